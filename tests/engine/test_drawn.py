"""Whether what was drawn of a study lies there as it was drawn is told in doubt by a no."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, StudyCreated, TrialCreated, TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.engine.derived import drawn
from outlast.engine.derived.drawn import is_drawn, keep_drawn
from outlast.study.layout import StudyPaths

AT = "2026-01-05T10:00:00.000+00:00"


@pytest.fixture
def study() -> Study:
    found = Study()
    for event in (
        StudyCreated("small", AT),
        TrialCreated(0, AT, {}),
        AttemptOpened(0, 1, AT),
        AttemptEnded(0, 1, AT, TrialState.FAILED, Cause.CRASH, "no"),
    ):
        found.apply(event)
    return found


@pytest.fixture
def paths(tmp_path: Path, study: Study) -> StudyPaths:
    found = StudyPaths.at(tmp_path)
    found.index.write_text("rows")
    found.trials_table.write_text("rows")
    keep_drawn(found, study)
    assert is_drawn(found, study)
    return found


def test_a_trial_that_is_to_be_tried_again_is_not_drawn(paths: StudyPaths, study: Study) -> None:
    study.apply(TrialRetried(0, AT))
    assert not is_drawn(paths, study)


def test_what_cannot_be_read_is_in_doubt(paths: StudyPaths, study: Study) -> None:
    paths.drawn.unlink()
    paths.drawn.mkdir()
    assert not is_drawn(paths, study)


def test_over_a_network_a_file_server_is_asked_for_each_file(
    paths: StudyPaths, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a server: what this host knows of a file by its name alone may be a minute old."""
    asked: set[str] = set()
    monkeypatch.setattr(drawn, "can_be_opened", lambda path: asked.add(path.name))
    assert is_drawn(paths, study) and not asked
    monkeypatch.setattr(drawn, "is_shared", lambda _path: True)
    assert is_drawn(paths, study)
    assert asked >= {paths.index.name, paths.study_file.name, paths.trials_table.name, f"{paths.index.name}-wal"}
