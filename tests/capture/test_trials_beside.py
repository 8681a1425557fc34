"""Whether another trial ran at the same time, as far as the study's folder tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.runner.beside import Beside
from outlast.study.attempts import void_start
from outlast.study.layout import StudyPaths


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    found = StudyPaths.at(tmp_path)
    found.open.mkdir()
    return found


def opened(paths: StudyPaths, trial: int, attempt: int = 1, **files: str) -> None:
    folder = paths.attempt(trial, attempt).folder
    folder.mkdir(parents=True)
    paths.open_marker(trial, attempt).touch()
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text)


def test_an_attempt_that_begins_later_runs_beside_also_once_it_is_over(paths: StudyPaths) -> None:
    opened(paths, 3, started="{}")
    opened(paths, 12345, 2)
    beside = Beside(paths.root, "0003.1")
    assert not beside.look()
    (paths.attempt(12345, 2).folder / "started.json").write_text("{}")
    (paths.attempt(12345, 2).folder / "exit.json").write_text("{}")
    assert beside.look()
    paths.open_marker(12345, 2).unlink()
    assert beside.look()


def test_a_trial_that_came_and_went_between_two_looks_is_seen_when_one_looks_back(paths: StudyPaths) -> None:
    opened(paths, 3, started="{}")
    beside = Beside(paths.root, "0003.1")
    assert not beside.look_back()
    paths.trial(4).folder.mkdir()
    assert not beside.look()
    assert beside.look_back()


def test_what_was_over_before_or_never_started_runs_beside_nobody(paths: StudyPaths) -> None:
    opened(paths, 1, started="{}", exit="{}")
    opened(paths, 2)
    opened(paths, 4)
    void_start(paths.attempt(4, 1))
    (paths.open / ".0005.1.77.0.tmp").touch()
    opened(paths, 3, started="{}")
    assert not Beside(paths.root, "0003.1").look_back()
