"""A coordinator that is killed takes its kept workers with it; nothing of theirs runs on, and each trial that ran runs again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.functions import settings_of, write_study
from lab.study import TRAININGS
from lab.waiting import until
from outlast._system.processes import identity_of
from outlast.core.fold import Study
from outlast.core.states import Cause, TrialState
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths

pytestmark = pytest.mark.slow

#: Says who it is, starts a process in a session of its own, and waits until it may go.
SOURCE = """
import json, os, pathlib, subprocess, time
import outlast
HERE = pathlib.Path(__file__).parent

def run(x):
    trial = outlast.current_trial()
    trial.save_checkpoint({"x": x})
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    name = f"{trial.number}.{trial.attempt}"
    (HERE / f"part.{name}").write_text(json.dumps([os.getpid(), child.pid, x]))
    os.rename(HERE / f"part.{name}", HERE / f"who.{name}")
    while not (HERE / "go").exists() and not trial.should_stop:
        time.sleep(0.01)
    child.kill()
    child.wait()
    return x
"""
Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    write_study(tmp_path / "here", SOURCE, trials=2, isolation="kept", parallel=2)
    env = {**os.environ, "PYTHONPATH": str(TRAININGS.parents[1])}
    begun: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "lab.driver", str(tmp_path / "here")]
        begun.append(subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def test_what_ran_in_kept_workers_runs_again_with_the_same_parameters(start: Start, tmp_path: Path) -> None:
    place = tmp_path / "here"

    def who(name: str) -> tuple[int, int, float]:
        until((place / f"who.{name}").exists, f"attempt {name} begins")
        pid, child, x = json.loads((place / f"who.{name}").read_text())
        return pid, child, x

    def study() -> Study:
        return read_study(study_paths(place / "study", settings_of(place)))

    search = start()
    first = [who("0.1"), who("1.1")]
    search.kill()
    search.wait()
    until(lambda: not any(identity_of(pid) for pid, _, _ in first), "the workers end with their coordinator")
    search = start()
    again = [who("0.2"), who("1.2")]
    assert [x for _, _, x in again] == [x for _, _, x in first]
    assert not any(identity_of(child) for _, child, _ in first), "what they had started runs on"
    os.kill(again[0][0], signal.SIGKILL)  # a worker alone costs its trial
    until(lambda: study().trials[0].state.finished, "that is noticed")
    assert identity_of(again[0][1]) is None
    (place / "go").touch()
    assert search.wait(timeout=120) == 0
    trials = study().trials
    assert [outcome.cause for outcome in trials[1].ended] == [Cause.LOST, Cause.COMPLETED]
    assert [outcome.cause for outcome in trials[0].ended] == [Cause.LOST, Cause.CRASH]
    assert trials[1].ended[0].saved and trials[1].attempts[1].resumed  # it moves on, whoever dies how often
    assert trials[1].state is TrialState.COMPLETE and len(trials) == 2
