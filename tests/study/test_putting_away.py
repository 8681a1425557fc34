"""A finished trial's files in their final form, after one attempt or several."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from outlast.core.evidence import Evidence
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, Trial, TrialCreated, TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.study.attempts import put_away
from outlast.study.layout import StudyPaths, TrialPaths

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
        files.folder.mkdir(parents=True)
        files.log.write_text(f"printed by {number}\n")
        files.reports.write_text(json.dumps({"v": 1, "step": number, "metrics": {"acc": number / 10}}) + "\n")
        files.exit.write_text(json.dumps((evidence or Evidence()).to_json()))
        cause = Cause.CRASH if state is TrialState.FAILED else Cause.COMPLETED
        values = (number / 10,) if state is TrialState.COMPLETE else None
        self.study.apply(AttemptOpened(0, number, AT, "local:0"))
        self.study.apply(AttemptEnded(0, number, AT, state, cause, reason, values=values))

    def retry(self) -> None:
        self.study.apply(TrialRetried(0, AT))

    def put_away(self) -> set[str]:
        """Returns what the trial's folder holds then."""
        put_away(self.paths, self.trial)
        return {entry.name for entry in self.paths.folder.iterdir()}


@pytest.fixture
def one(tmp_path: Path) -> OneTrial:
    return OneTrial(tmp_path / "study")


def test_a_failure_that_names_a_file_in_another_encoding_is_put_away(one: OneTrial) -> None:
    name = os.fsdecode(b"f\xfcr.py")
    one.attempt(1, TrialState.FAILED, reason=f"could not be started: {name}", evidence=Evidence(error=name))
    assert one.put_away() == {"trial.json", "output.log", "error.log"}
    assert "could not be started: f?r.py" in one.paths.error_log.read_text()
    assert json.loads(one.paths.record.read_text())["events"][-1]["reason"] == f"could not be started: {name}"
