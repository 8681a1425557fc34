"""A study in a folder on a mounted drive, which knows no links: it runs beside it, and what must not be lost is brought there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.hosts import Share
from outlast._system.mounts import lacking

pytestmark = pytest.mark.slow
_TRAIN = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
x = parser.parse_args().x
time.sleep(0.1)
print(f"score={x}")
"""


def _study_file(place: Path) -> None:
    (place / "train.py").write_text(_TRAIN)
    study = {
        "name": "lab",
        "command": [sys.executable, "train.py", "${args}"],
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": 4},
        "sampler": {"name": "random", "seed": 7},
        "parallel": 1,
    }
    (place / "study.yaml").write_text(json.dumps(study))


def _outlast(place: Path, *arguments: str) -> str:
    env = {**os.environ, "XDG_STATE_HOME": str(place.parent / "state"), "COLUMNS": "200"}
    command = [sys.executable, "-m", "outlast", *arguments]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_folder_of_this_machine_lacks_nothing_and_keeps_no_trace_of_the_question(tmp_path: Path) -> None:
    assert lacking(tmp_path / "not" / "there") == ()
    assert os.listdir(tmp_path) == []


def test_a_study_on_a_drive_outlasts_the_machine_that_ran_it(share: Share, tmp_path: Path) -> None:
    drive = share.host("drive", links=False).mountpoint
    assert lacking(drive) == ("hard links",)
    _study_file(drive)
    said = _outlast(drive, "run", "study.yaml")
    assert "brought to studies/lab after each trial" in said
    home = drive / "studies" / "lab"
    assert {"trials.csv", "best_config.yaml", "ledger", "study.yaml", "study.db"} <= set(os.listdir(home))
    assert json.loads(_outlast(drive, "status", "studies/lab", "--json"))["counts"]["complete"] == 4
    shutil.rmtree(tmp_path / "state")  # the session is gone, and its disk
    more = _outlast(drive, "run", "study.yaml", "--trials", "6")
    assert "RESUMING" in more
    status = json.loads(_outlast(drive, "status", "studies/lab", "--json"))
    assert status["counts"]["complete"] == 6
    numbers = [line.split(",")[0] for line in (home / "trials.csv").read_text().splitlines()[1:]]
    assert sorted(numbers) == ["0", "1", "2", "3", "4", "5"]


def test_an_objective_on_a_drive_is_searched_beside_it_and_goes_on(share: Share, tmp_path: Path) -> None:
    drive = share.host("drive", links=False).mountpoint
    (drive / "tune.py").write_text(
        "import sys, outlast\n"
        "def objective(trial):\n    trial.set_user_attr('n', trial.number)\n    return trial.suggest_float('x', 0, 1)\n"
        "if __name__ == '__main__':\n"
        "    result = outlast.optimize(objective, trials=int(sys.argv[1]), retries=1)\n"
        "    print(result, [trial.user_attrs['n'] for trial in result.study.trials])\n"
    )
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    for trials, told in (("2", "[0, 1]"), ("3", "[0, 1, 2]")):
        command = [sys.executable, "tune.py", trials]
        done = subprocess.run(command, cwd=drive, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert f"<outlast.Result studies/objective: done, {trials} trials" in done.stdout and told in done.stdout, done
    assert "resuming studies/objective: 2 complete, 1 to go" in done.stdout
    assert {"trials.csv", "ledger", "study.db", "objective.pkl"} <= set(os.listdir(drive / "studies" / "objective"))
