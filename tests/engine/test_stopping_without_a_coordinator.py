"""`stop` while nobody coordinates the study: the trainings themselves are asked, all of them or one."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.core.records import AttemptOpened, RevisionMade, RunStarted, StudyCreated, TrialCreated
from outlast.engine.care.stop import stop_study
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger

AT = "2026-01-05T10:00:00.000+00:00"
SETTINGS = {
    "name": "lab",
    "command": ["true"],
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "budget": {"trials": 6},
}


@pytest.mark.parametrize(("trial", "asked"), [(None, [0, 1]), (1, [1])])
def test_whoever_is_meant_is_asked_and_nobody_else(tmp_path: Path, trial: int | None, asked: list[int]) -> None:
    paths = StudyPaths.at(tmp_path / "lab")
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append([StudyCreated("lab", AT, study_seed=1), RevisionMade(1, AT, SETTINGS), RunStarted(AT, "box", 1)])
    for number in (0, 1):
        paths.attempt(number, 1).folder.mkdir(parents=True)
        ledger.append([TrialCreated(number, AT, {"x": 0.5}), AttemptOpened(number, 1, AT, "plugged:7")])
    ledger.close()
    stop_study(str(paths.root), trial=trial)
    assert [number for number in (0, 1) if paths.attempt(number, 1).asked.exists()] == asked


def test_a_trial_that_died_with_its_kept_worker_is_not_asked(tmp_path: Path) -> None:
    paths = StudyPaths.at(tmp_path / "lab")
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append([StudyCreated("lab", AT, study_seed=1), RevisionMade(1, AT, SETTINGS), RunStarted(AT, "box", 1)])
    ledger.append([TrialCreated(0, AT, {"x": 0.5}), AttemptOpened(0, 1, AT, "kept:0")])
    ledger.close()
    assert "nothing runs" in stop_study(str(paths.root))
