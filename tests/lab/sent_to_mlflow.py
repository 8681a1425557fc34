"""Studies as a sink is given them, a memory in a file, and whoever sends until all has arrived."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from outlast.core.states import StudyState, TrialState
from outlast.tracking.sink import (
    EverythingAgain,
    Sink,
    SinkError,
    TrackedMetric,
    TrackedPoint,
    TrackedStudy,
    TrackedTrial,
)

BEGAN = 1_700_000_000.0


def a_study(name: str = "digits", **changes: Any) -> TrackedStudy:
    """A study as a sink is given it."""
    study = TrackedStudy(
        identity=f"20231114T221320-{name}-5eed",
        name=name,
        folder=f"/studies/{name}",
        cwd=os.getcwd(),
        state=StudyState.RUNNING,
        created=BEGAN,
        metrics=(TrackedMetric("val_acc", maximize=True),),
        max_trials=8,
        runs=1,
        index=f"/studies/{name}/study.db",
        constants={"backbone": "distilbert"},
    )
    return msgspec.structs.replace(study, **changes)


def a_trial(number: int, state: TrialState = TrialState.COMPLETE, points: int = 5, **changes: Any) -> TrackedTrial:
    """A trial with a curve."""
    began = BEGAN + 100 * number
    reported = tuple(
        TrackedPoint(step, began + step + 0.25, {"val_acc": 0.5 + step / 100 + number / 1000, "loss": 1 / (step + 1)})
        for step in range(points)
    )
    over = state.finished
    trial = TrackedTrial(
        number=number,
        state=state,
        params={"lr": 0.001 * (number + 1), "layers": 2, "backbone": "distilbert"},
        began=began,
        ended=began + 50 if over else None,
        values=(0.9 + number / 1000,) if state is TrialState.COMPLETE else None,
        points=reported,
        attempts=1,
        host="here",
    )
    return msgspec.structs.replace(trial, **changes)


class FileMemory:
    """A sink's memory in a file, as durable as a killed process needs it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.data: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def keep(self) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.data))
        part.replace(self._path)


def send_all(
    sink: Callable[[], Sink],
    study: TrackedStudy,
    trials: Sequence[TrackedTrial],
    memory: FileMemory,
    *,
    within: float = 30.0,
    between: float = 0.05,
    at_once: int = 3,
    close: bool = True,
) -> list[SinkError]:
    """Send a study to the end, a few trials at once, as often as it takes.

    Returns:
        What went wrong meanwhile.
    """
    troubles: list[SinkError] = []
    deadline = time.monotonic() + within
    opened: Sink | None = None
    while True:
        try:
            if opened is None:
                new = sink()
                new.open(study, memory)
                opened = new
            taken = memory.data.setdefault("driver", {})
            waiting = [trial for trial in trials if taken.get(str(trial.number)) != _digest(trial)]
            opened.send(study, waiting[:at_once])
            memory.data.setdefault("driver", {}).update({str(t.number): _digest(t) for t in waiting[:at_once]})
            memory.keep()
            if len(waiting) <= at_once:
                if close:
                    opened.close(study)
                return troubles
        except EverythingAgain as error:
            troubles.append(error)
            memory.data.pop("driver", None)
            opened = None
        except SinkError as error:
            troubles.append(error)
            if error.lasting or time.monotonic() > deadline:
                raise
            opened = None if len(troubles) % 2 else opened
            time.sleep(between)


def _digest(trial: TrackedTrial) -> str:
    return hashlib.sha256(msgspec.json.encode(trial)).hexdigest()[:12]
