"""A study folder on disk, written by hand: ledger, trial folders, checkpoints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.fold import Study, fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RevisionMade,
    RunStarted,
    StudyCreated,
    StudyEnded,
    TrialCreated,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.record.recorded import study_paths
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.putting_away import put_away

AT = "2026-01-05T10:00:00.000+00:00"
CAUSES = {
    TrialState.COMPLETE: Cause.COMPLETED,
    TrialState.PRUNED: Cause.PRUNED,
    TrialState.FAILED: Cause.CRASH,
    TrialState.INTERRUPTED: Cause.PREEMPTED,
}


@dataclass
class Made:
    """A study folder."""

    folder: str
    paths: StudyPaths
    settings: Settings
    study: Study

    def checkpoints(self, number: int) -> Path:
        return self.paths.trial(number).checkpoints

    def having_checkpoints(self) -> list[int]:
        return [number for number in self.study.trials if self.checkpoints(number).is_dir()]


def events_of(
    settings: Settings, outcomes: Sequence[tuple[TrialState, float | None]], at: str, root: Path
) -> list[Event]:
    """One attempt a trial; its state, and its value if it completed."""
    where = os.path.relpath(settings.working_directory, root)
    run = RunStarted(at, working_directory=where)
    events: list[Event] = [StudyCreated("digits", at), RevisionMade(1, at, settings.resolved), run]
    for number, (state, value) in enumerate(outcomes):
        events.append(TrialCreated(number, at, {"lr": 0.5}))
        if state is TrialState.CREATED:
            continue
        events.append(AttemptOpened(number, 1, at, "local:0"))
        if state is not TrialState.RUNNING:
            values = None if value is None else (value,)
            events.append(AttemptEnded(number, 1, at, state, CAUSES[state], values=values))
    events.append(StudyEnded(at, "stopped"))
    return events


@pytest.fixture
def made(tmp_path: Path):
    """Make a study of these outcomes, each trial with a checkpoint of 10 kB."""

    def make(
        outcomes: Sequence[tuple[TrialState, float | None]], folder: str = "studies/digits", at: str = AT, **study: Any
    ) -> Made:
        resolved = {
            "name": "digits",
            "command": ["run", "${args}"],
            "metric": {"name": "acc", "goal": "maximize"},
            "parameters": {"lr": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": 50},
            **study,
        }
        settings = settings_from_resolved(resolved, str(tmp_path))
        place = str(tmp_path / folder)
        paths = study_paths(place, settings)
        events = events_of(settings, outcomes, at, paths.root)
        ledger, _ = Ledger.claim(paths.ledger)
        ledger.append(events)
        ledger.close()
        folded = fold(events)
        for trial in folded.trials.values():
            checkpoints = paths.trial(trial.number).checkpoints
            os.makedirs(checkpoints)
            (checkpoints / "last.pt").write_bytes(b"x" * 10_000)
            if trial.state.finished:
                put_away(paths.trial(trial.number), trial)
        return Made(place, paths, settings, folded)

    return make
