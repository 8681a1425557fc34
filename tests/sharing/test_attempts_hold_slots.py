"""A slot belongs to the processes of its attempt: whoever else is killed, it is busy as long as they live, and no longer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.waiting import until
from outlast.executors.shared_slots import SharedSlots, Sharing

pytestmark = pytest.mark.slow
STUDY = Path(__file__).parents[2] / "benchmarks" / "_sharing_study.py"
TRAINING = """\
import os, pathlib, time

def train(x: float = 0.0) -> float:
    here = pathlib.Path(os.environ["HERE"])
    (here / "training").write_text(str(os.getpid()))
    while not (here / "go").exists():
        time.sleep(0.02)
    return x

if __name__ == "__main__":
    print("score =", train())
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts coordinators of studies that share one slot; what is left of them ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(name: str, **settings: Any) -> subprocess.Popen[bytes]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "training.py").write_text(TRAINING)
        study = {
            "name": name, "metric": {"name": "score", "goal": "maximize"}, "sampler": "random", "budget": {"trials": 1},
            "parameters": {"x": {"min": 0.0, "max": 1.0}}, "env": {"HERE": str(folder)}, **settings,
        }  # fmt: skip
        (folder / "study.yaml").write_text(json.dumps(study))
        sharing = json.dumps({"folder": str(tmp_path / "slots"), "study": name, "parallel": 1})
        started.append(subprocess.Popen([sys.executable, str(STUDY), str(folder), sharing], cwd=folder))
        return started[-1]

    yield begin
    for name in tmp_path.iterdir():
        (name / "go").touch() if name.is_dir() else None
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture
def free(tmp_path: Path) -> Iterator[Callable[[], bool]]:
    slots = SharedSlots(Sharing(str(tmp_path / "slots"), "onlooker"), 1)
    yield lambda: slots.room(1) == 1
    slots.close()


COMMAND = {"command": [sys.executable, "training.py"]}
WARM = {"function": "training:train", "isolation": "worker"}


@pytest.mark.parametrize("how", [COMMAND, WARM], ids=["command", "warm"])
def test_a_killed_coordinator_s_attempt_keeps_its_slot_and_nobody_else_begins(
    start: Callable[..., subprocess.Popen[bytes]], free: Callable[[], bool], tmp_path: Path, how: dict[str, Any]
) -> None:
    first = start("first", **how)
    until((tmp_path / "first" / "training").exists, "a training")
    first.kill()
    first.wait()
    second = start("second", **COMMAND)
    until((tmp_path / "slots" / "study.second").exists, "the other waits")
    assert not free()
    assert not (tmp_path / "second" / "training").exists()
    (tmp_path / "first" / "go").touch()
    until((tmp_path / "second" / "training").exists, "the slot is handed on")
    assert not free()
    (tmp_path / "second" / "go").touch()
    assert second.wait(60) == 0
    until(free, "it is free again")


def test_a_killed_runner_s_slot_is_free_once_its_training_is_dead(
    start: Callable[..., subprocess.Popen[bytes]], free: Callable[[], bool], tmp_path: Path
) -> None:
    run = start("first", **COMMAND)
    training = tmp_path / "first" / "training"
    until(lambda: training.exists() and training.read_text(), "a training")
    run.kill()
    run.wait()
    assert not free()
    os.kill(int(training.read_text()), signal.SIGKILL)
    until(free, "nobody holds it any more")
