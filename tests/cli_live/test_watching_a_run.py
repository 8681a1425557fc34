"""The live view of a real search, in a real terminal: keys, stopping one trial, leaving."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli_live.tmux import Tmux
from tests.lab.waiting import until

STUDY = """\
command: [{python}, -u, train.py, "--x=${{x}}"]
metric: {{name: score, goal: maximize}}
parameters: {{x: {{min: 0.0, max: 1.0}}}}
budget: {{trials: 50}}
sampler: random
parallel: 2
"""
TRAIN = """\
import time
for step in range(6000):
    print(f"epoch {step}", flush=True)
    time.sleep(0.05)
print("score: 1")
"""
OUTLAST = [sys.executable, "-m", "outlast"]

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "long.yaml").write_text(STUDY.format(python=sys.executable))
    (tmp_path / "train.py").write_text(TRAIN)
    yield tmp_path
    outlast(tmp_path, "stop", "studies/long", "--now")


def outlast(folder: Path, *words: str) -> str:
    return subprocess.run([*OUTLAST, *words], cwd=folder, capture_output=True, text=True, timeout=60).stdout


def facts(folder: Path) -> Any:
    return json.loads(outlast(folder, "status", "studies/long", "--json"))


def test_one_trial_is_stopped_from_the_view_and_nothing_by_leaving_it(folder: Path) -> None:
    outlast(folder, "run", "--detach", "long.yaml")
    tmux = Tmux(folder, 80, 24)
    try:
        tmux.run([*OUTLAST, "status", "-w", "studies/long"])
        tmux.waits_for("trial 1 ")
        tmux.type("l")
        tmux.waits_for("log of trial 0")
        tmux.waits_for("epoch ")
        tmux.type("Escape")
        tmux.waits_for("> trial 0")
        tmux.type("s")
        tmux.waits_for("stop trial 0?")
        tmux.type("n")
        tmux.waits_for("not stopped")
        tmux.type("s")
        tmux.waits_for("y: yes")  # what is typed before the question is seen is no answer
        tmux.type("y")
        tmux.waits_for("trial 0 pruned by hand")
        tmux.type("q")
        until(lambda: "$" in tmux.lines(), "the prompt", 60.0)
        until(lambda: len(facts(folder)["running"]) == 2, "the search goes on")
        found = facts(folder)
        assert found["state"] == "running" and found["counts"]["pruned"] == 1
        assert 1 in [trial["trial"] for trial in found["running"]]
    finally:
        tmux.close()


def test_an_attended_run_takes_keys_and_control_c_stops_it_as_ever(folder: Path) -> None:
    tmux = Tmux(folder, 80, 24)
    try:
        tmux.run([*OUTLAST, "run", "long.yaml"])
        tmux.waits_for("trial 1 ")
        tmux.type("q")
        tmux.waits_for("Ctrl-C stops the search")
        tmux.type("Down", "Enter")
        tmux.waits_for("attempts")
        tmux.type("C-c")
        tmux.waits_for("outlast run studies/long")
        assert facts(folder)["state"] == "stopped"
    finally:
        tmux.close()
