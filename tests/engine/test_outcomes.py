"""From evidence and history to the value of a trial."""

from __future__ import annotations

import pytest

from outlast.config.settings import MetricSettings, Settings
from outlast.core.evidence import Evidence, Report
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.outcome import outcome_of

AT = "2026-01-01T00:00:00+00:00"


def settings(take: str, goal: str = "maximize") -> Settings:
    metric = MetricSettings(name="acc", goal=goal, take=take)
    return Settings(name="s", command=("true",), metrics=(metric,))


def interrupted_trial() -> Trial:
    first = AttemptEnded(0, 1, AT, TrialState.INTERRUPTED, Cause.LOST, curves=(((0, 0.2), (1, 0.9)),))
    return Trial(0, attempts=[Attempt(1, AT, outcome=first)])


def finished(resumed: bool) -> Evidence:
    reports = (Report(2, {"acc": 0.6}), Report(3, {"acc": 0.5}))
    return Evidence(exit_code=0, scores={"acc": 0.6}, reports=reports, resumed=resumed)


@pytest.mark.parametrize(
    ("take", "goal", "resumed", "value"),
    [
        ("best", "maximize", True, 0.9),
        ("best", "minimize", True, 0.2),
        ("best", "maximize", False, 0.6),  # it began from scratch: the earlier attempt was another training
        ("last", "maximize", True, 0.6),
    ],
)
def test_the_best_value_of_a_resumed_trial_may_lie_before_its_resume(
    take: str, goal: str, resumed: bool, value: float
) -> None:
    event = outcome_of(finished(resumed), interrupted_trial(), 2, settings(take, goal), AT)
    assert event.values == (value,)


def test_an_attempt_whose_trial_goes_on_leaves_its_score_for_one_that_has_nothing_left_to_do() -> None:
    stopped = Evidence(exit_code=0, scores={"acc": 0.7}, stop_reason="user", terminated=True, together=True)
    first = outcome_of(stopped, Trial(0), 1, settings("best"), AT)
    assert (first.state, first.scores, first.together) == (TrialState.INTERRUPTED, {"acc": 0.7}, True)
    trial = Trial(0, attempts=[Attempt(1, AT, outcome=first)])
    nothing = Evidence(exit_code=0, resumed=True, notes=("acc was not found, and no other metric was seen either",))
    second = outcome_of(nothing, trial, 2, settings("last"), AT)
    assert (second.state, second.values, second.scores) == (TrialState.COMPLETE, (0.7,), {})
    assert "not found" not in second.reason and "earlier attempts" in second.reason
    worse = Evidence(exit_code=0, resumed=True, scores={"acc": 0.6})
    assert outcome_of(worse, trial, 2, settings("best"), AT).values == (0.7,)
    assert outcome_of(worse, trial, 2, settings("last"), AT).values == (0.6,)
