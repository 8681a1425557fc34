"""`run` of a study that is done says so, and loads and writes nothing; what is amiss is mended all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import pytest
from tests.cli.test_what_looking_loads import HEAVY

from outlast.config.settings import MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.records import StudyCreated, TrialCreated
from outlast.engine.check.nothing_left import done_before
from outlast.engine.derived import derived_files
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import recorded_settings
from outlast.optimizer.index.index_check import check_index
from outlast.optimizer.index.index_rows import RowMaker
from outlast.optimizer.index.study_db import IndexWriter
from outlast.results import writer
from outlast.results.writer import ResultsWriter
from outlast.study import requests
from outlast.study.layout import StudyPaths


@pytest.fixture
def done(here):
    """A study that is done, and has nothing left to do."""
    assert here("run", "study.yaml").code == 0
    return StudyPaths.at(here.folder / "studies" / "small")


def state_of(paths: StudyPaths) -> dict[str, tuple[int, int]]:
    """Every file of a study with its length and time."""
    found = (path for path in paths.root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


@pytest.mark.slow
def test_it_says_the_same_as_the_long_way_and_writes_nothing(here, done):
    before = state_of(done)
    quickly = here("run", "study.yaml")
    assert state_of(done) == before
    done.drawn.unlink()
    at_length = here("run", "study.yaml")
    assert read_study(done).runs == 2

    def without_times(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.strip().startswith("when")]

    assert quickly.code == at_length.code == 0
    assert without_times(quickly.out) == without_times(at_length.out)


#: What a run needs that has something to run.
RUNS = {
    "optuna", "numpy", "sqlite3", "outlast.cli.running.run_here", "outlast.engine.launch", "outlast.engine.hold.run",
    "outlast.engine.coordinator.coordinator", "outlast.optimizer.sampling", "outlast.optimizer.index.study_db",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("done")
def test_it_loads_nothing_that_runs():
    program = "import json, sys; from outlast.cli.main import run_cli; run_cli(['run', 'study.yaml']); "
    program += "print(json.dumps(sorted(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True).stdout
    assert not {name for name in json.loads(out.splitlines()[-1]) if name in RUNS | HEAVY}


def _truncate(path: os.PathLike[str]) -> None:
    with open(path, "r+b") as file:
        file.truncate(10)


AMISS = {
    "a table is gone": lambda paths: paths.trials_table.unlink(),
    "a table was edited": lambda paths: paths.trials_table.write_text("mine\n"),
    "the ranked table is gone": lambda paths: paths.summary.unlink(),
    "the best configuration is gone": lambda paths: paths.best_config.unlink(),
    "the results are gone": lambda paths: paths.best_results.unlink(),
    "the index is gone": lambda paths: paths.index.unlink(),
    "the index is cut": lambda paths: _truncate(paths.index),
    "the study file's copy is gone": lambda paths: paths.study_file.unlink(),
    "a link where there was none": lambda paths: paths.best_checkpoint.symlink_to("trials"),
    "what was drawn is not known": lambda paths: paths.drawn.unlink(),
    "what was drawn is garbled": lambda paths: paths.drawn.write_text("x"),
    "an attempt is open": lambda paths: paths.open_marker(0, 1).touch(),
    "somebody asks": lambda paths: requests.drop(paths, "stop"),
}


@pytest.mark.slow
def test_anything_that_is_amiss_is_looked_after_by_a_run(here, done, tmp_path):
    settings, study = recorded_settings(done.root)
    kept = tmp_path / "kept"
    shutil.copytree(done.root, kept, symlinks=True)
    assert done_before(settings, str(done.root)) is not None
    for what, harm in AMISS.items():
        shutil.rmtree(done.root)
        shutil.copytree(kept, done.root, symlinks=True)
        assert done_before(settings, str(done.root)) is not None, what
        harm(done)
        assert done_before(settings, str(done.root)) is None, what
    done.requests.exists() and shutil.rmtree(done.requests)
    done.trials_table.unlink()
    done.index.unlink()
    assert here("run", "study.yaml").code == 0
    assert done.trials_table.read_text() == (kept / done.trials_table.name).read_text()
    assert done.index.exists()
    assert done_before(settings, str(done.root)) is not None
    assert read_study(done).runs == study.runs + 1


@pytest.mark.slow
def test_other_settings_are_run(here, done):
    assert here("run", "study.yaml", "--trials", "3").code == 0
    assert len(read_study(done).trials) == 3
    runs = read_study(done).runs
    assert here("run", "study.yaml", "--trials", "3").code == 0
    assert read_study(done).runs == runs
    (here.folder / "train.py").unlink()
    assert here("run", "study.yaml", "--trials", "3").code == 2  # it cannot run: that is said, whether it has to or not


@pytest.mark.slow
def test_one_more_trial_writes_each_table_once_and_makes_its_own_row_only(here, done, monkeypatch):
    written: Counter[str] = Counter()
    made: Counter[int] = Counter()
    write, row = writer.write_atomic, RowMaker.row

    def counted(path, *given, **how):
        written[path.name] += 1
        return write(path, *given, **how)

    def counted_row(self, trial, *given):
        made[trial.number] += 1
        return row(self, trial, *given)

    monkeypatch.setattr(writer, "write_atomic", counted)
    monkeypatch.setattr(RowMaker, "row", counted_row)
    assert here("run", "study.yaml", "--trials", "3").code == 0
    assert set(made) == {2}
    assert written["trials.csv"] == written["study_summary.csv"] == 1
    monkeypatch.undo()
    settings, study = recorded_settings(done.root)
    assert check_index(done.index, study, settings) == []
    assert ResultsWriter(done.root, settings).check(study) == []


@pytest.mark.slow
def test_an_index_that_is_lost_while_its_rows_were_trusted_has_all_of_them_again(done):
    settings, study = recorded_settings(done.root)
    index = IndexWriter(done.index, settings)
    index.trust(study.trials.values())
    done.index.unlink()
    index.start()
    assert index.close(10.0)
    assert check_index(done.index, study, settings) == []


def test_of_a_long_study_nothing_is_drawn_before_its_first_trials_have_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(derived_files, "_MANY", 2)
    paths, settings, study = (
        StudyPaths.at(tmp_path),
        Settings(name="s", metrics=(MetricSettings(name="score"),)),
        Study(),
    )
    study.apply(StudyCreated("s", "2026-01-01T00:00:00.000+00:00"))
    for number in range(3):
        study.apply(TrialCreated(number, "2026-01-01T00:00:00.000+00:00", {"x": 0.5}))
    derived = DerivedFiles(paths, settings)
    derived.start(study, doubtful=False, rivalled=False)
    assert not paths.trials_table.exists()
    derived.looked(study, [])
    assert paths.trials_table.exists()
    derived.close(study)
    assert check_index(paths.index, study, settings) == []
