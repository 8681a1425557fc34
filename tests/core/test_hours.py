"""What the hours of a study went into: an exact partition, and nothing is called saved that the steps do not prove."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outlast.core.hours import Hours, hours
from outlast.core.records import RevisionMade
from outlast.core.states import Cause, TrialState
from outlast.testing.studies import StudyBuilder

HOUR = 3600.0
#: What is added up is whole nanoseconds: half a one is lost of each of up to thirty attempts, on up to two cards.
NANOSECONDS = 3e-8


def curve(*steps: int) -> tuple[tuple[tuple[int, float], ...], ...]:
    return (tuple((step, 0.5) for step in steps),)


def interrupted(build: StudyBuilder, seconds: float = HOUR, **outcome: Any) -> int:
    return build.trial(state=TrialState.INTERRUPTED, seconds=seconds, **outcome)


def approximately(found: Hours, **expected: float) -> None:
    names = ("used", "complete", "pruned", "wasted", "open", "saved")
    assert {name: getattr(found, name) for name in names} == pytest.approx({**dict.fromkeys(names, 0.0), **expected})


def test_each_outcome_has_its_hours() -> None:
    build = StudyBuilder()
    build.trial(values=0.5, seconds=HOUR)
    build.trial(state=TrialState.PRUNED, seconds=2 * HOUR)
    build.trial(state=TrialState.FAILED, seconds=3 * HOUR)
    build.trial(state=TrialState.INFEASIBLE, seconds=4 * HOUR)
    build.trial(state=TrialState.INTERRUPTED, seconds=5 * HOUR)
    running = build.trial(state=TrialState.RUNNING)
    approximately(hours(build.study, {running: 6 * HOUR}), used=21, complete=1, pruned=2, wasted=7, open=11)
    assert not hours(build.study).gpu


def test_what_a_resumed_attempt_went_on_from_is_saved_and_what_it_repeated_is_wasted() -> None:
    build = StudyBuilder()
    number = interrupted(build, 10 * HOUR, curves=curve(*range(10)))
    build.attempt(number, seconds=4 * HOUR, values=0.9, curves=curve(8, 9, 10, 11))
    approximately(hours(build.study), used=14, complete=12, wasted=2, saved=8)


def test_an_hour_counts_once_however_often_it_was_resumed_from() -> None:
    build = StudyBuilder()
    number = interrupted(build, 2 * HOUR, curves=curve(0, 1))
    build.attempt(number, TrialState.INTERRUPTED, seconds=2 * HOUR, curves=curve(2, 3))
    build.attempt(number, seconds=2 * HOUR, values=0.9, curves=curve(4, 5))
    approximately(hours(build.study), used=6, complete=6, saved=4)


def test_a_resume_further_back_throws_away_more() -> None:
    build = StudyBuilder()
    number = interrupted(build, 4 * HOUR, curves=curve(0, 1, 2, 3))
    build.attempt(number, TrialState.INTERRUPTED, seconds=2 * HOUR, curves=curve(4, 5))
    build.attempt(number, seconds=3 * HOUR, values=0.9, curves=curve(3, 4, 5))  # its newest checkpoint was bad
    approximately(hours(build.study), used=9, complete=6, wasted=3, saved=3)


def test_what_came_before_a_start_over_is_wasted() -> None:
    build = StudyBuilder()
    number = interrupted(build, 3 * HOUR, curves=curve(0, 1, 2))
    build.attempt(number, resumed=False, seconds=HOUR, values=0.9, curves=curve(0))
    approximately(hours(build.study), used=4, complete=1, wasted=3)


def test_a_script_that_ignores_its_checkpoint_saves_nothing() -> None:
    build = StudyBuilder()
    number = interrupted(build, 3 * HOUR, curves=curve(0, 1, 2))
    build.attempt(number, seconds=4 * HOUR, values=0.9, curves=curve(0, 1, 2, 3))
    approximately(hours(build.study), used=7, complete=4, wasted=3)


def test_where_no_step_tells_the_time_goes_with_the_trial_and_nothing_is_called_saved() -> None:
    build = StudyBuilder()
    number = interrupted(build)
    build.attempt(number, seconds=HOUR, values=0.9)
    approximately(hours(build.study), used=2, complete=2)


def test_an_attempt_that_reported_nothing_before_one_that_did_is_wasted() -> None:
    build = StudyBuilder()
    number = interrupted(build)
    build.attempt(number, seconds=HOUR, values=0.9, curves=curve(0))
    approximately(hours(build.study), used=2, complete=1, wasted=1)


def test_what_waits_to_be_resumed_is_neither_saved_nor_wasted_yet() -> None:
    build = StudyBuilder()
    number = interrupted(build, 2 * HOUR, curves=curve(0, 1))
    build.attempt(number, TrialState.RUNNING)
    approximately(hours(build.study, {number: HOUR}), used=3, open=3)


def test_nothing_of_a_failed_trial_is_called_saved() -> None:
    build = StudyBuilder()
    number = interrupted(build, curves=curve(0))
    build.attempt(number, TrialState.FAILED, seconds=HOUR, curves=curve(1))
    approximately(hours(build.study), used=2, wasted=2)


def test_each_part_of_a_trial_stands_by_itself() -> None:
    build = StudyBuilder()
    number = interrupted(build, cause=Cause.PART, part=0, part_values=(0.5,), curves=(((0, 0.5),),))
    build.attempt(number, TrialState.INTERRUPTED, resumed=False, seconds=HOUR, part=1)  # lost, and started over
    build.attempt(number, resumed=False, seconds=HOUR, part=1, values=0.6, curves=(((1, 0.7),),))
    approximately(hours(build.study), used=3, complete=2, wasted=1)


def test_a_start_that_never_was_changes_nothing() -> None:
    build = StudyBuilder()
    number = interrupted(build, curves=curve(0))
    build.attempt(number, TrialState.INTERRUPTED, resumed=False, seconds=0, cause=Cause.NEVER_STARTED)
    build.attempt(number, seconds=HOUR, values=0.9, curves=curve(1))
    approximately(hours(build.study), used=2, complete=2, saved=1)


@pytest.mark.parametrize(
    ("wanted", "cards", "expected"),
    [
        (2, (), 2.0),  # nobody handed out cards: what was asked for
        (0.5, ("GPU-a",), 0.5),
        (1, ("GPU-a",), 1.0),
        (1.5, ("GPU-a", "GPU-b"), 2.0),  # whole cards
        (0, ("GPU-a",), 1.0),  # a job's
        (0.5, ("GPU-a", "GPU-b", "GPU-c"), 3.0),
        (1, ("GPU-a", "GPU-b"), 2.0),
    ],
)
def test_an_attempt_counts_the_cards_that_it_had(wanted: float, cards: tuple[str, ...], expected: float) -> None:
    build = StudyBuilder(gpus=wanted)
    number = build.trial(state=TrialState.CREATED)
    build.attempt(number, seconds=HOUR, values=0.5, gpus=cards)
    found = hours(build.study)
    assert found.gpu and found.used == expected
    assert build.study.gpu_seconds == expected * HOUR


def test_a_new_revision_changes_no_hours_of_earlier_attempts() -> None:
    build = StudyBuilder(gpus=2)
    number = build.trial(values=0.5, seconds=HOUR)
    build.study.apply(RevisionMade(2, build.at(0), {"resources": {"gpus": 4}}))
    build.trial(values=0.5, seconds=HOUR)
    approximately(hours(build.study), used=6, complete=6)
    build.finish(number, TrialState.FAILED, seconds=0, cause=Cause.SPACE_CHANGED)  # it does not fit the new space
    approximately(hours(build.study), used=6, complete=4, wasted=2)
    assert build.study.gpu_seconds == 6 * HOUR


def test_imported_trials_were_not_run_here() -> None:
    build = StudyBuilder(gpus=1)
    build.trial(values=0.5, seconds=HOUR, source="imported")
    approximately(hours(build.study))
    assert build.study.gpu_seconds == 0


STATES = [state for state in TrialState if state.finished or state is TrialState.INTERRUPTED]
attempts = st.lists(
    st.tuples(
        st.floats(0, 1e5),
        st.booleans(),
        st.lists(st.integers(0, 20), max_size=6),
        st.sampled_from([(), ("GPU-a",), ("GPU-a", "GPU-b")]),
    ),
    min_size=1,
    max_size=5,
)
studies = st.lists(st.tuples(st.sampled_from(STATES), attempts), max_size=6)


def built(drawn: list[Any], gpus: float, *, times: float = 1.0) -> StudyBuilder:
    build = StudyBuilder(gpus=gpus)
    for state, ran in drawn:
        number = build.trial(state=TrialState.CREATED)
        for at, (seconds, resumed, steps, cards) in enumerate(ran):
            now = state if at == len(ran) - 1 else TrialState.INTERRUPTED
            given = {"seconds": seconds * times, "curves": curve(*steps), "resumed": resumed and at > 0}
            build.attempt(number, now, gpus=cards if gpus else (), **given)
    return build


@given(studies, st.sampled_from([0.0, 0.5, 1.0, 2.0]))
@example([(TrialState.INTERRUPTED, [(4e-10, False, [], ())])], 0.5)
def test_every_hour_goes_into_exactly_one_kind(drawn: list[Any], gpus: float) -> None:
    build = built(drawn, gpus)
    found = hours(build.study)
    assert found.complete + found.pruned + found.wasted + found.open == pytest.approx(found.used)
    assert min(found.complete, found.pruned, found.wasted, found.open, found.saved) >= 0
    assert found.saved <= (found.complete + found.pruned + found.open) * (1 + 1e-9)
    if found.gpu:
        assert found.used * HOUR == pytest.approx(build.study.gpu_seconds, abs=NANOSECONDS)
    else:
        assert found.used * HOUR == pytest.approx(
            sum(trial.seconds for trial in build.study.trials.values()), abs=NANOSECONDS
        )


@given(studies)
def test_without_a_resume_nothing_is_saved(drawn: list[Any]) -> None:
    never = [(state, [(seconds, False, steps, cards) for seconds, _, steps, cards in ran]) for state, ran in drawn]
    assert hours(built(never, 0.0).study).saved == 0


@given(studies, st.floats(0.1, 10))
def test_what_takes_longer_costs_as_much_more_of_every_kind(drawn: list[Any], times: float) -> None:
    once, more = hours(built(drawn, 1.0).study), hours(built(drawn, 1.0, times=times).study)
    for name in ("used", "complete", "pruned", "wasted", "open", "saved"):
        assert getattr(more, name) == pytest.approx(times * getattr(once, name), abs=1e-9)
