"""Attempts that are opened and never begin: once is no matter, again and again ends the search."""

from __future__ import annotations

import pytest

from outlast.core.plan import Limits, Verdict, verdict
from outlast.core.records import RunStarted
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.coordinator.backoff import Backoff
from outlast.testing.studies import StudyBuilder

_NEVER = {"state": TrialState.INTERRUPTED, "cause": Cause.NEVER_STARTED, "seconds": 0.0}


def _study(starts: int, *, trials: int = 1) -> StudyBuilder:
    built = StudyBuilder()
    built.run(0, trials=50)
    numbers = [built.trial(state=TrialState.CREATED) for _ in range(trials)]
    for at in range(starts):
        built.attempt(numbers[at % trials], at=at + 1.0, **_NEVER)
    return built


def _verdict(built: StudyBuilder) -> Verdict | None:
    return verdict(built.study, Limits(50), elapsed=0.0)


@pytest.mark.parametrize("trials", [1, 3, 10])
def test_starts_that_never_are_halt_the_study_whichever_trials_they_are_of(trials: int) -> None:
    assert _verdict(_study(9, trials=trials)) is None
    end = _verdict(_study(10, trials=trials))
    assert end is not None
    assert end.state is StudyState.HALTED
    assert "10 attempts in a row" in end.reason
    assert "repair --check" in end.reason


def test_one_that_begins_shows_that_they_can() -> None:
    built = _study(9)
    built.attempt(0, TrialState.INTERRUPTED, at=20.0)
    for at in range(9):
        built.attempt(0, at=30.0 + at, **_NEVER)
    assert _verdict(built) is None


def test_a_run_that_a_person_starts_counts_anew_and_leaves_out_what_was_opened_before_it() -> None:
    built = _study(9)
    for number in range(12):
        built.trial(state=TrialState.RUNNING, at=20.0)
        assert number + 1 in built.study.trials
    built.run(30.0)
    for number in range(1, 13):
        built.finish(number, at=31.0, **_NEVER)
    assert _verdict(built) is None


def test_what_a_scheduler_or_a_worker_was_to_start_is_no_fault_of_this_machine() -> None:
    built = StudyBuilder()
    built.run(0, trials=50)
    for slot in ("worker:elsewhere:1", "slurm:0"):
        for _ in range(10):
            number = built.trial(state=TrialState.RUNNING, at=1.0)
            attempt = built.study.trials[number].attempts[-1]
            attempt.slot = slot
            built.finish(number, at=2.0, **_NEVER)
    assert _verdict(built) is None


def test_each_further_one_waits_longer_and_the_first_not_at_all() -> None:
    waits = []
    for starts in range(1, 7):
        built = _study(starts)
        rests = Backoff(built.study)
        last = built.study.trials[0].last
        assert last is not None
        rests.note(last, 100.0)
        waits.append(rests.not_before[0] - 100.0)
    assert waits == [0.0, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_same_record_twice_is_one_start() -> None:
    built = _study(1)
    outcome = built.study.trials[0].last
    assert outcome is not None
    built.study.apply(outcome)
    assert built.study.false_starts == 1
    built.study.apply(RunStarted(built.at(9)))
    assert built.study.false_starts == 0
