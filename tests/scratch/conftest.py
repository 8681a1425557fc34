"""A study in a live folder on scratch, written by hand, that goes on step by step."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from outlast.config.load import settings_from_resolved, to_yaml
from outlast.core.fold import Study, fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RevisionMade,
    RunStarted,
    StudyCreated,
    TrialCreated,
    TrialRetried,
)
from outlast.core.states import Cause, TrialState
from outlast.optimizer.index.index_build import rebuild_index
from outlast.results.writer import ResultsWriter
from outlast.study.home import tie
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.putting_away import put_away
from outlast.study.segments import read_ledger

AT = "2026-01-05T10:00:00.000+00:00"
RESOLVED = {
    "name": "s", "command": ["run", "${args}"], "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 50},
}  # fmt: skip


class OnScratch:
    """A live folder and its home."""

    def __init__(self, place: Path) -> None:
        self.live, self.home = StudyPaths.at(place / "scratch/s"), StudyPaths.at(place / "home/studies/s")
        self.settings = settings_from_resolved(RESOLVED, str(place))
        tie(self.home, self.live)
        self.ledger = self.hold()
        self.say(StudyCreated("s", AT), RevisionMade(1, AT, self.settings.resolved), RunStarted(AT))
        self.live.study_file.write_text(to_yaml(self.settings))

    def hold(self) -> Ledger:
        """A new holder claims the ledger."""
        self.ledger, _ = Ledger.claim(self.live.ledger)
        return self.ledger

    def say(self, *events: Event) -> None:
        self.ledger.append(events)

    @property
    def study(self) -> Study:
        return fold(read_ledger(self.live.ledger).events)

    def trial(self, number: int, value: float | None = 0.5, *, attempt: int = 1) -> None:
        """A trial with checkpoints and output that completed, or, without a value, was interrupted."""
        files = self.live.trial(number)
        state, cause = TrialState.COMPLETE, Cause.COMPLETED
        if value is None:
            state, cause = TrialState.INTERRUPTED, Cause.PREEMPTED
        if attempt == 1:
            self.say(TrialCreated(number, AT, {"lr": number / 10}))
        self.say(AttemptOpened(number, attempt, AT, "local:0"))
        folder = files.attempt(attempt).folder
        folder.mkdir(parents=True)
        (folder / "output.log").write_text(f"trial {number}, attempt {attempt}\n")
        files.checkpoints.mkdir(exist_ok=True)
        (files.checkpoints / "last.pt").write_text(f"weights of trial {number}, attempt {attempt}")
        self.say(AttemptEnded(number, attempt, AT, state, cause, values=None if value is None else (value,)))
        if state.finished:
            put_away(files, self.study.trials[number])
        self.derive()

    def retry(self, number: int) -> None:
        self.say(TrialRetried(number, AT))

    def derive(self) -> None:
        ResultsWriter(self.live.root, self.settings).write(self.study)
        self.live.index.unlink(missing_ok=True)  # rather than set aside
        rebuild_index(self.live.index, self.study, self.settings)

    def purge(self, *names: str) -> None:
        """What a purge takes: these files and folders, or everything."""
        for name in names or [str(self.live.root)]:
            path = self.live.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                os.unlink(path)


@pytest.fixture
def scratch(tmp_path: Path) -> OnScratch:
    return OnScratch(tmp_path)
