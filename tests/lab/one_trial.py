"""One trial of a study, in its records and on the disk, as its coordinator and its runners leave it."""

from __future__ import annotations

import json
from pathlib import Path

from outlast.core.evidence import Evidence
from outlast.core.file_names import TrialPaths
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, Trial, TrialCreated, TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import put_away

AT = "2026-01-05T10:00:00.000+00:00"


class OneTrial:
    """Trial 0 of a study, in its records and on the disk."""

    def __init__(self, root: Path) -> None:
        self.study = Study()
        self.study.apply(TrialCreated(0, AT, {"lr": 0.5}))
        self.paths: TrialPaths = StudyPaths.at(root).trial(0)

    @property
    def trial(self) -> Trial:
        return self.study.trials[0]

    def attempt(self, number: int, state: TrialState, *, reason: str = "", evidence: Evidence | None = None) -> None:
        """An attempt that printed its number, reported it and ended like this."""
        files = self.paths.attempt(number)
        files.folder.mkdir(parents=True, exist_ok=True)
        files.log.write_text(f"printed by {number}\n")
        files.reports.write_text(json.dumps({"v": 1, "step": number, "metrics": {"acc": number / 10}}) + "\n")
        files.exit.write_text(json.dumps((evidence or Evidence()).to_json()))
        cause = Cause.COMPLETED if state is TrialState.COMPLETE else Cause.CRASH
        values = (number / 10,) if state is TrialState.COMPLETE else None
        self.study.apply(AttemptOpened(0, number, AT, "local:0"))
        self.study.apply(AttemptEnded(0, number, AT, state, cause, reason, values=values))

    def retry(self) -> None:
        self.study.apply(TrialRetried(0, AT))

    def put_away(self) -> set[str]:
        """Returns what the trial's folder holds then."""
        put_away(self.paths, self.trial)
        return {entry.name for entry in self.paths.folder.iterdir()}

    def open_again(self, number: int) -> None:
        """The coordinator's part of a further attempt."""
        open_attempt(StudyPaths.at(self.paths.folder.parents[1]), 0, number, "{}", {})
