from __future__ import annotations

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
