"""From evidence and history to the value of a trial."""

from __future__ import annotations

import pytest

from outlast.config.settings import MetricSettings, Settings
from outlast.core.evidence import Evidence, Report
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.evidence import outcome_of

AT = "2026-01-01T00:00:00+00:00"


def settings(take: str, goal: str = "maximize") -> Settings:
    metric = MetricSettings.model_validate({"name": "acc", "goal": goal, "take": take})
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
