"""Whole searches on scratch, with real purges and real kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from lab.waiting import until
from outlast._system.tokens import processes_with
from outlast.cli.main import run_cli
from outlast.core.states import TrialState
from outlast.engine.record.examine import read_study
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

pytestmark = pytest.mark.slow

TRAIN = """\
import os, sys
folder = os.environ["OUTLAST_CHECKPOINT_DIR"]
seen = os.path.exists(os.path.join(folder, "state"))
open(os.path.join(folder, "state"), "w").write("x" * 1000)
for step in range(2):
    print(f"step {step}: score={step + float(sys.argv[1])}", flush=True)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project/train.py").write_text(TRAIN)
    study = {
        "name": "s", "command": f"{sys.executable} train.py ${{x}}", "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 2}, "parallel": 1,
        "slurm": {"scratch": str(tmp_path / "scratch"), "purge_days": 60},
    }  # fmt: skip
    (tmp_path / "project/study.yaml").write_text(json.dumps(study))
    return tmp_path


def home(place: Path) -> StudyPaths:
    return StudyPaths.at(place / "project/studies/s")


def live(place: Path) -> Path:
    (found,) = [path for path in (place / "scratch").iterdir() if "." not in path.name]
    return found


def test_a_search_runs_on_scratch_and_comes_home(place, capsys, monkeypatch):
    monkeypatch.setenv("OUTLAST_PLOTS", "1")
    assert run_cli(["run", "--trials", "4"]) == 0
    assert live_of(home(place).root) == str(live(place))
    study = read_study(home(place))
    assert len(study.trials) == 4 and study.ended is not None and study.ended.state == "done"
    names = {path.name for path in home(place).root.iterdir()}
    assert {"trials.csv", "best_results.json", "study.db", "plots", "study.yaml", "live"} <= names
    assert (home(place).root / "best_checkpoint/state").exists()
    capsys.readouterr()
    assert run_cli(["status", "--json"]) == 0  # by its home, which is the only study here
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "done" and found["dir"] == str(live(place))


def test_after_a_purge_the_same_command_goes_on_and_finished_trials_stay_finished(place):
    assert run_cli(["run"]) == 0
    values = [trial.value for trial in read_study(home(place)).trials.values()]
    shutil.rmtree(live(place))
    assert run_cli(["run", "--trials", "3"]) == 0
    study = read_study(home(place))
    assert [trial.value for trial in study.trials.values()][:2] == values
    assert [len(trial.attempts) for trial in study.trials.values()] == [1, 1, 1]


def test_after_a_purge_the_study_folder_alone_goes_on_too(place):
    assert run_cli(["run"]) == 0
    shutil.rmtree(live(place))
    assert run_cli(["run", "studies/s", "--trials", "3"]) == 0
    assert run_cli(["run", str(live(place)), "--trials", "4"]) == 0
    assert len(read_study(home(place)).trials) == 4 and live(place)


def test_a_fresh_start_sets_home_and_live_folder_aside(place, capsys):
    assert run_cli(["run"]) == 0
    assert run_cli(["run", "--fresh", "--trials", "1"]) == 0
    assert capsys.readouterr().out.count("the earlier study is kept in") == 2
    assert len(read_study(home(place)).trials) == 1
    kept = [path for path in home(place).root.parent.iterdir() if path.name != "s"]
    assert len(kept) == 1 and len(read_study(StudyPaths.at(kept[0])).trials) == 2


def test_a_study_that_ran_at_home_moves_to_scratch_with_its_checkpoints(place):
    study = json.loads((place / "project/study.yaml").read_text())
    (place / "project/study.yaml").write_text(json.dumps({k: v for k, v in study.items() if k != "slurm"}))
    assert run_cli(["run"]) == 0
    (place / "project/study.yaml").write_text(json.dumps(study))
    assert run_cli(["run", "--trials", "3"]) == 0
    assert len(read_study(StudyPaths.at(live(place))).trials) == 3 == len(read_study(home(place)).trials)
    assert (live(place) / "trials/0000/checkpoints/state").exists()


def test_a_home_that_cannot_be_written_stops_no_search(place, capsys):
    assert run_cli(["run"]) == 0
    os.unlink(home(place).root / "trials.csv")
    (home(place).root / "trials.csv").mkdir()  # in the way
    assert run_cli(["run", "--trials", "3"]) == 0
    assert "cannot be brought home" in " ".join(capsys.readouterr().out.split())
    assert len(read_study(home(place)).trials) == 3 and (home(place).root / "trials/0002/trial.json").exists()
    (home(place).root / "trials.csv").rmdir()
    assert run_cli(["run", "--trials", "3"]) == 0
    assert (home(place).root / "trials.csv").read_text().count("\n") == 4


_SYNC = """
import sys
from outlast.testing.fault_injection import install_from_environment
from outlast.study.homesync import HomeSync
from outlast.study.layout import StudyPaths
install_from_environment("coordinator")
HomeSync(StudyPaths.at(sys.argv[1]), StudyPaths.at(sys.argv[2])).sync()
"""


def test_a_process_that_is_killed_while_it_syncs_leaves_a_home_to_go_on_from(place):
    assert run_cli(["run"]) == 0
    killed = 0
    for at in range(1, 200, 5):
        kept = StudyPaths.at(place / f"kept-{at}")
        env = {**os.environ, "OUTLAST_FAULTS": json.dumps({"kill_at": at})}
        command = [sys.executable, "-c", _SYNC, str(live(place)), str(kept.root)]
        done = subprocess.run(command, env=env, check=False, timeout=60)
        if done.returncode == 0:
            break
        killed += done.returncode == -signal.SIGKILL
        if kept.exists:
            read_study(kept)
        subprocess.run(command, check=True, timeout=60, env={**os.environ, "OUTLAST_FAULTS": "{}"})
        assert [trial.state.value for trial in read_study(kept).trials.values()] == ["complete"] * 2
        assert not list(kept.root.rglob("*.tmp"))
    assert killed > 5


def test_a_search_that_is_killed_comes_home_with_the_next_one(place):
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "outlast", "run", "--trials", "500"], stdout=subprocess.DEVNULL,
        env={**os.environ, "LAB_MARK": mark},
    )  # fmt: skip
    try:
        came = home(place).root
        until(lambda: process.poll() is not None or len(list(came.glob("trials/*/trial.json"))) >= 3, "they come home")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    until(lambda: not processes_with(mark), "what still trained has ended: it writes in the live folder")
    done = read_study(home(place)).counts()[TrialState.COMPLETE]
    assert done >= 3
    shutil.rmtree(live(place))
    assert run_cli(["run", "--trials", str(done + 2)]) == 0
    assert read_study(home(place)).counts()[TrialState.COMPLETE] == done + 2
