from __future__ import annotations

import pytest

from outlast.core.states import Cause, TrialState
from outlast.results.failures import group_failures
from outlast.testing.studies import StudyBuilder


def test_a_study_without_failures_has_no_groups() -> None:
    build = StudyBuilder()
    build.trial(values=0.5)
    build.trial(state=TrialState.PRUNED)
    assert group_failures(build.study) == []


def test_failures_of_one_signature_are_one_group_largest_first() -> None:
    build = StudyBuilder()
    build.trial({}, TrialState.FAILED, signature="b", reason="KeyError: 'x'")
    for _ in range(2):
        build.trial({}, TrialState.FAILED, signature="a", reason="ValueError: shape")
    groups = group_failures(build.study)
    assert [(group.signature, group.trials, group.first) for group in groups] == [("a", (1, 2), 1), ("b", (0,), 0)]
    assert groups[0].reason == "ValueError: shape" and groups[0].cause is Cause.CRASH


def test_without_a_signature_reasons_that_differ_in_numbers_are_alike() -> None:
    build = StudyBuilder()
    build.trial({}, TrialState.INFEASIBLE, reason="tried to allocate 512 MiB")
    build.trial({}, TrialState.INFEASIBLE, reason="tried to allocate 1024 MiB")
    build.trial({}, TrialState.FAILED, cause=Cause.TIMEOUT, reason="tried to allocate 1 MiB")
    assert [group.trials for group in group_failures(build.study)] == [(0, 1), (2,)]


def test_a_group_shares_the_values_that_set_it_apart() -> None:
    build = StudyBuilder()
    build.trial({"model": "cnn", "lr": 0.1, "always": 1}, TrialState.FAILED, signature="a")
    build.trial({"model": "cnn", "lr": 0.2, "always": 1}, TrialState.FAILED, signature="a")
    build.trial({"model": "mlp", "lr": 0.1, "always": 1}, values=0.5)
    assert group_failures(build.study)[0].shared == (("model", "cnn"),)


def test_a_single_failure_is_not_said_to_share_anything() -> None:
    build = StudyBuilder()
    build.trial({"model": "cnn"}, TrialState.FAILED, signature="a")
    build.trial({"model": "mlp"}, values=0.5)
    assert group_failures(build.study)[0].shared == ()


def grown(*values: tuple[TrialState, dict[str, object]]) -> StudyBuilder:
    build = StudyBuilder()
    for state, params in values:
        build.trial(params, state, **({"signature": "a"} if state is TrialState.FAILED else {}))
    return build


F, C, P = TrialState.FAILED, TrialState.COMPLETE, TrialState.PRUNED


@pytest.mark.parametrize(
    ("failed", "well", "ranges"),
    [
        ([0.6, 0.7, 0.9], [0.1, 0.2, 0.3, 0.5], (("x", ">", 0.5),)),
        ([1, 2, 3], [4, 8, 16, 32], (("x", "<", 4.0),)),
        ([0.6, 0.4, 0.9], [0.1, 0.2, 0.3, 0.5], ()),  # one of them lies among the others
        ([0.6, 0.7], [0.1, 0.2], ()),  # two and two: chance would do that, too
        ([0.9], [0.1] * 18, ()),  # one trial has something of its own by chance
        (["b", "b", "b"], ["a"] * 9, ()),
        ([True, True, True], [False] * 9, ()),
        ([0.6, 0.7, 0.9], [], ()),
    ],
)
def test_a_group_shares_a_range_in_which_no_trial_ended_well(
    failed: list[object], well: list[object], ranges: tuple[object, ...]
) -> None:
    states = [(F, {"x": value}) for value in failed] + [((C, P)[at % 2], {"x": value}) for at, value in enumerate(well)]
    assert group_failures(grown(*states).study)[0].ranges == ranges


def test_trials_without_the_parameter_say_nothing_about_its_range() -> None:
    states = [(F, {"kind": "a", "x": 1.0 + at}) for at in range(3)] + [(C, {"kind": "b"})] * 9
    assert group_failures(grown(*states).study)[0].ranges == ()
    states += [(C, {"kind": "a", "x": 0.1 * at}) for at in range(9)]
    found = group_failures(grown(*states).study)[0]
    assert found.ranges == (("x", ">", 0.1 * 8),)
