"""Whether another trial ran at the same time, as far as the study's folder tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.runner.capture.metric_files import Neighbours
from outlast.study.layout import StudyPaths


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study in which attempt 1 of trial 3 runs."""
    found = StudyPaths.at(tmp_path)
    found.open.mkdir()
    opened(found, 3)
    return found


def opened(paths: StudyPaths, trial: int, attempt: int = 1) -> None:
    paths.attempt(trial, attempt).folder.mkdir(parents=True)
    paths.open_marker(trial, attempt).touch()


def test_an_attempt_that_begins_later_runs_beside_also_once_it_is_over(paths: StudyPaths) -> None:
    neighbours = Neighbours(paths.root, "0003.1")
    assert not neighbours.look()
    opened(paths, 12345, 2)
    assert neighbours.look()
    paths.open_marker(12345, 2).unlink()
    assert neighbours.look()


def test_a_trial_that_came_and_went_between_two_looks_is_seen_when_one_looks_back(paths: StudyPaths) -> None:
    neighbours = Neighbours(paths.root, "0003.1")
    assert not neighbours.look_back()
    paths.trial(4).folder.mkdir()
    assert not neighbours.look()
    assert neighbours.look_back()


def test_trials_that_are_over_run_beside_nobody(paths: StudyPaths) -> None:
    paths.trial(1).folder.mkdir()
    (paths.open / ".0005.1.77.0.tmp").touch()
    assert not Neighbours(paths.root, "0003.1").look_back()
