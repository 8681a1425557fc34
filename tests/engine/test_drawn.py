"""Whether what was drawn of a study lies there as it was drawn is told in doubt by a no."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from outlast.config.settings import MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, StudyCreated, TrialCreated, TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.engine.derived import derived_files, drawn
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.engine.derived.drawn import is_drawn, keep_drawn
from outlast.optimizer.index.index_build import rebuild_index
from outlast.optimizer.index.index_check import check_index
from outlast.optimizer.index.index_rows import ForeignRow
from outlast.optimizer.index.index_sql import Tables
from outlast.results.writer import ResultsWriter
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(
    name="small", command=("true",), metrics=(MetricSettings(name="loss", goal="minimize"),), parameters=()
)
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


def test_of_a_long_study_that_is_drawn_nothing_is_opened_before_its_trial_has_begun_and_tables_are_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, paths = StudyBuilder("small"), StudyPaths.at(tmp_path)
    for value in (0.5, 0.1, 0.9):
        build.trial(values=value)
    study = build.study
    rebuild_index(paths.index, study, SETTINGS)
    ResultsWriter(tmp_path, SETTINGS).write(study)
    monkeypatch.setattr(derived_files, "_MANY", 2)
    monkeypatch.setattr(derived_files, "_OF_EACH", 60.0)
    tables: list[int] = []
    write = ResultsWriter.write
    monkeypatch.setattr(ResultsWriter, "write", lambda self, study: (tables.append(1), write(self, study)))
    connections: list[object] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: (connections.append(a), connect(*a, **k))[1])

    derived = DerivedFiles(paths, SETTINGS)
    derived.start(study, doubtful=False, rivalled=False, drawn=True)
    assert not connections and "outlast-index" not in {thread.name for thread in threading.enumerate()}
    build.trial(values=0.05)
    derived.decided([study.trials[3]])
    derived.looked(study, [])
    assert not tables
    derived.close(study)
    assert derived.is_whole and len(connections) == 1 and len(tables) == 1
    assert check_index(paths.index, study, SETTINGS) == [] == ResultsWriter(tmp_path, SETTINGS).check(study)


@pytest.mark.parametrize("long", [False, True])
def test_what_somebody_enqueued_since_is_known_before_a_trial_is_drawn(
    tmp_path: Path, long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, paths = StudyBuilder("small"), StudyPaths.at(tmp_path)
    for value in (0.5, 0.1, 0.9):
        build.trial(values=value)
    monkeypatch.setattr(derived_files, "_MANY", 2 if long else 200)
    rebuild_index(paths.index, build.study, SETTINGS)
    with contextlib.closing(sqlite3.connect(paths.index)) as connection, connection:
        Tables(connection, "small").enqueue(ForeignRow("", 0, 0, "WAITING", {"x": 0.25}))
    derived = DerivedFiles(paths, SETTINGS)
    derived.start(build.study, doubtful=False, rivalled=False)
    assert [row.params for row in derived.index.take_foreign()] == [{"x": 0.25}]
    build.end(100.0)
    derived.close(build.study)
    assert not paths.drawn.exists(), "the next run looks into it again"
