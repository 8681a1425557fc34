"""What sinks are given, made by hand: a study, its trials, a memory that lasts as long as the test."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from outlast.core.states import StudyState, TrialState
from outlast.tracking.sink import TrackedMetric, TrackedPoint, TrackedStudy, TrackedTrial

CREATED = 1_700_000_000.25


@dataclass
class RememberedMemory:
    """A sink's memory: what was kept is what the next process has."""

    data: dict[str, Any] = field(default_factory=dict)
    kept: str = "{}"

    def keep(self) -> None:
        self.kept = json.dumps(self.data)

    def after_a_crash(self) -> RememberedMemory:
        return RememberedMemory(json.loads(self.kept), self.kept)


def tracked_study(folder: Path, **others: Any) -> TrackedStudy:
    study = TrackedStudy(
        identity="1f0c2e", name="digits", folder=str(folder), cwd=str(folder), state=StudyState.RUNNING, created=CREATED,
        metrics=(TrackedMetric("accuracy", maximize=True),), max_trials=20, runs=1, index=str(folder / "study.db"),
    )  # fmt: skip
    return replace(study, **others)


def tracked_trial(number: int, epochs: int = 3, *, done: bool = True, **others: Any) -> TrackedTrial:
    """A trial with a point an epoch; what it is while it runs is a beginning of what it is when it is done."""
    began = CREATED + 10 * number
    points = tuple(
        TrackedPoint(step, began + step, {"accuracy": 0.5 + step / 100, "loss": 1 / (step + 1)})
        for step in range(1, epochs + 1)
    )
    trial = TrackedTrial(
        number=number, state=TrialState.RUNNING,
        params={"lr": 1e-3 * (number + 1), "optimizer": "adam", "layers": 2, "bias": True},
        began=began, points=points, attempts=1, host="node1",
    )  # fmt: skip
    if done:
        ending: dict[str, Any] = {"state": TrialState.COMPLETE, "ended": began + 9, "values": (0.8 + number / 100,)}
        trial = replace(trial, **ending, metrics={"latency_ms": 4.5})
    return replace(trial, **others)
