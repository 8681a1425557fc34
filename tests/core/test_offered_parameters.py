"""Parameters that were drawn ahead: what the objective asked for is the trial's, and nothing else ever was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from outlast.core.fold import Study
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    ParamDrawn,
    TrialCreated,
    TrialRetried,
    from_json,
    to_json,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator.offers import Offers

AT = "2026-01-05T10:00:00.000+00:00"
OFFERED = {"x": ("float", 0.5), "y": ("int", 3)}


def ended(attempt: int, state: TrialState, *drawn: str) -> AttemptEnded:
    return AttemptEnded(
        0, attempt, AT, state, Cause.LOST if state is TrialState.INTERRUPTED else Cause.COMPLETED, drawn=drawn
    )


def folded(*events: Event) -> Study:
    study = Study()
    for event in events:
        study.apply(from_json(json.loads(json.dumps(to_json(event)))))
    return study


@pytest.mark.parametrize(
    ("events", "params"),
    [
        ([ended(1, TrialState.COMPLETE, "y", "x")], {"y": 3, "x": 0.5}),
        ([ended(1, TrialState.COMPLETE, "y")], {"y": 3}),
        ([ParamDrawn(0, "z", 1, "other"), ended(1, TrialState.COMPLETE, "x")], {"z": 1, "x": 0.5}),
        ([ended(1, TrialState.INTERRUPTED), AttemptOpened(0, 2, AT, "kept:0"), ended(2, TrialState.COMPLETE, "x")], {"x": 0.5}),
        ([ended(1, TrialState.COMPLETE, "x"), TrialRetried(0, AT), AttemptOpened(0, 2, AT), ended(2, TrialState.COMPLETE, "x")],
         {"x": 0.5}),
    ],
)  # fmt: skip
def test_what_was_asked_for_is_the_trials_in_that_order(events: list[Event], params: dict[str, Any]) -> None:
    study = folded(TrialCreated(0, AT, offered=OFFERED), AttemptOpened(0, 1, AT, "kept:0"), *events)
    trial = study.trials[0]
    assert list(trial.params.items()) == list(params.items()) and trial.distributions.keys() == params.keys()
    again = folded(*trial.events()).trials[0]  # from its copy
    assert (again.params, again.distributions, again.state) == (trial.params, trial.distributions, trial.state)


def test_what_most_of_the_latest_trials_asked_for_is_offered() -> None:
    study = Study()
    offers = Offers(study)
    assert offers.wanted() == {}
    for number in range(40):
        study.apply(TrialCreated(number, AT))
        study.apply(AttemptOpened(number, 1, AT, "kept:0"))
        names = ["x", *(["rare"] if number % 8 == 0 else []), *(["old"] if number < 20 else [])]
        for name in names:
            study.apply(ParamDrawn(number, name, 0.0, f"{name} {number}"))
        study.apply(AttemptEnded(number, 1, AT, TrialState.COMPLETE, Cause.COMPLETED))
    assert offers.wanted() == {"x": "x 39"}


def test_what_is_offered_waits_for_no_trial_that_runs_for_hours_and_is_the_same_after_a_restart() -> None:
    study = Study()
    offers = Offers(study)
    for number in range(100):
        study.apply(TrialCreated(number, AT))
        study.apply(AttemptOpened(number, 1, AT, "kept:0"))
        if number % 10:
            study.apply(ParamDrawn(number, "x", 0.0, f"x {number}"))
            study.apply(AttemptEnded(number, 1, AT, TrialState.COMPLETE, Cause.COMPLETED))
    assert offers.wanted() == Offers(study).wanted() == {"x": "x 99"}
