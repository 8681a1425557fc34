"""Killed coordinators, runners and workers leave nothing behind, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.functions import settings_of, write_study
from lab.study import TRAININGS
from lab.waiting import until
from outlast._system.processes import identity_of
from outlast._system.tokens import processes_with
from outlast.core.fold import Study
from outlast.core.states import Cause, TrialState
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths
from outlast.runner.spec import token_of_trial

pytestmark = pytest.mark.slow

#: Says who it is, starts a grandchild in a session of its own, and waits until it may go.
SOURCE = """
import json, os, pathlib, subprocess, sys, time
import outlast
WORKER = os.getpid()
HERE = pathlib.Path(__file__).parent

def run(x):
    trial = outlast.current_trial()
    grandchild = subprocess.Popen(["sleep", "300"], start_new_session=True)
    who = {"trial": trial.number, "attempt": trial.attempt, "pid": os.getpid(), "runner": os.getppid(), "worker": WORKER,
           "grandchild": grandchild.pid, "warm": "outlast.runner.forked" in sys.modules}
    part = HERE / f"part.{trial.number}.{trial.attempt}"
    part.write_text(json.dumps(who))
    part.rename(HERE / f"who.{trial.number}.{trial.attempt}")
    while not (HERE / f"go.{trial.number}.{trial.attempt}").exists():
        if trial.should_stop:
            break
        time.sleep(0.01)
    grandchild.kill()
    return x
"""


class Search:
    """A search in a process of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv, env = (
            [sys.executable, "-m", "lab.driver", str(self.place)],
            {**os.environ, "PYTHONPATH": str(TRAININGS.parents[1])},
        )
        self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=120)

    def who(self, trial: int, attempt: int = 1) -> dict[str, Any]:
        path = self.place / f"who.{trial}.{attempt}"
        until(path.exists, f"trial {trial} begins")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def go(self, trial: int, attempt: int = 1) -> None:
        (self.place / f"go.{trial}.{attempt}").touch()

    @property
    def study(self) -> Study:
        return read_study(study_paths(self.place / "study", settings_of(self.place)))

    def leftovers(self) -> list[int]:
        root = str(self.place / "study")
        return [pid for number in self.study.trials for pid in processes_with(token_of_trial(root, number))]


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Search]:
    write_study(tmp_path / "search", SOURCE, trials=2)
    made = Search(tmp_path / "search")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()
    for pid in made.leftovers():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_trial_outlives_its_coordinator_and_counts_once(search: Search) -> None:
    search.start()
    first = search.who(0)
    assert first["warm"]
    search.kill()
    until(lambda: identity_of(first["worker"]) is None, "the worker ends with its coordinator")
    assert identity_of(first["pid"]) is not None
    search.start()
    search.go(0)
    search.go(1)
    assert search.wait() == 0
    trials = search.study.trials
    assert [trial.state for trial in trials.values()] == [TrialState.COMPLETE] * 2
    assert [len(trial.attempts) for trial in trials.values()] == [1, 1]
    assert search.leftovers() == []


def test_a_trial_dies_with_its_runner_and_everything_it_started(search: Search) -> None:
    search.start()
    first = search.who(0)
    os.kill(first["runner"], signal.SIGKILL)
    until(lambda: identity_of(first["pid"]) is None, "the training dies with its runner")
    search.go(1)  # it has the slot while the first one rests
    second = search.who(0, attempt=2)
    assert second["warm"] and second["worker"] != first["worker"]
    assert identity_of(first["grandchild"]) is None
    search.go(0, attempt=2)
    assert search.wait() == 0
    trial = search.study.trials[0]
    assert [outcome.cause for outcome in trial.ended] == [Cause.LOST, Cause.COMPLETED]
    assert search.leftovers() == []


def test_a_killed_worker_is_replaced_and_its_trial_goes_on(search: Search) -> None:
    search.start()
    first = search.who(0)
    os.kill(first["worker"], signal.SIGKILL)
    search.go(0)
    assert search.who(1)["warm"] and search.who(1)["worker"] != first["worker"]
    search.go(1)
    assert search.wait() == 0
    assert [trial.state for trial in search.study.trials.values()] == [TrialState.COMPLETE] * 2


def test_a_search_that_is_stopped_leaves_no_worker(search: Search) -> None:
    search.start()
    first = search.who(0)
    assert search.process is not None
    search.process.send_signal(signal.SIGINT)
    assert search.wait() == 0
    assert search.study.trials[0].state is TrialState.INTERRUPTED
    until(lambda: identity_of(first["worker"]) is None, "the worker ends")
    assert search.leftovers() == []


def test_a_training_that_is_killed_alone_is_a_failure_of_that_trial(search: Search) -> None:
    search.start()
    os.kill(search.who(0)["pid"], signal.SIGKILL)
    search.go(1)
    assert search.wait() == 0
    states = [trial.state for trial in search.study.trials.values()]
    assert states[1] is TrialState.COMPLETE and states[0] is not TrialState.COMPLETE
    assert identity_of(search.who(0)["grandchild"]) is None
