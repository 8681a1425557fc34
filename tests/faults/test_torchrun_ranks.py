"""A trial of several ranks under torchrun: they stop together, die together, and go on together from one checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from outlast._system.processes import identity_of
from outlast.core.fold import fold
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

pytestmark = [pytest.mark.slow, pytest.mark.foreign]
SCRIPT = Path(__file__).with_name("ranks_training.py")
SECONDS_ALLOWED = 120


class Ranks:
    """One study of one trial with two ranks."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self.place, self.audit_path = place, place / "audit"
        study = {
            "name": "ranks",
            "command": [
                sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", str(SCRIPT), "${args}", "--audit",
                str(self.audit_path), *arguments,
            ],
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": 1},
            "parallel": 1,
            "trial": {"grace": "60s", "retries": 1},
        }  # fmt: skip
        (place / "study.yaml").write_text(json.dumps(study))

    def start(self) -> subprocess.Popen[bytes]:
        with open(self.place / "said.log", "ab") as out:
            argv = [sys.executable, "-m", "outlast", "run", "study.yaml"]
            env = {**os.environ, "OUTLAST_BACKOFF_SECONDS": "0.02", "OMP_NUM_THREADS": "1"}
            return subprocess.Popen(argv, cwd=self.place, stdout=out, stderr=out, env=env)

    def audit(self, attempt: int) -> list[dict[str, Any]]:
        lines = self.audit_path.read_text().rpartition("\n")[0].splitlines() if self.audit_path.exists() else []
        return [line for line in map(json.loads, lines) if line["attempt"] == attempt]

    def wait_for(self, attempt: int, epochs: int) -> None:
        """Until both ranks of this attempt are in their so-many-th epoch."""
        deadline = time.monotonic() + SECONDS_ALLOWED
        while len(self.audit(attempt)) < 2 * epochs:
            assert time.monotonic() < deadline, (self.place / "said.log").read_text()
            time.sleep(0.02)

    def kill_the_second(self, attempt: int) -> None:
        """The first one stands still until torchrun has seen it and asks the first to leave: else it is chance whether that one
        says before that its connection is lost, which is another cause."""
        first, second = (next(e["pid"] for e in self.audit(attempt) if e["rank"] == rank) for rank in (0, 1))
        os.kill(first, signal.SIGSTOP)
        try:
            os.kill(second, signal.SIGKILL)
            deadline = time.monotonic() + SECONDS_ALLOWED
            while not is_pending(first, signal.SIGTERM):
                assert time.monotonic() < deadline, (self.place / "said.log").read_text()
                time.sleep(0.02)
        finally:
            os.kill(first, signal.SIGCONT)

    def epochs(self, attempt: int) -> list[list[int]]:
        return [[line["epoch"] for line in self.audit(attempt) if line["rank"] == rank] for rank in (0, 1)]

    def nobody_is_left(self, attempt: int) -> bool:
        return all(identity_of(line["pid"]) is None for line in self.audit(attempt))

    @property
    def trial(self) -> Trial:
        return fold(read_ledger(StudyPaths.at(self.place / "studies" / "ranks").ledger).events).trials[0]


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a process has been sent a signal that it has not met yet (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    waiting = next(line for line in lines if line.startswith("ShdPnd:"))
    return bool(int(waiting.split()[1], 16) >> number - 1 & 1)


def test_ranks_stop_die_and_resume_together(tmp_path: Path) -> None:
    ranks = Ranks(tmp_path)
    run = ranks.start()
    ranks.wait_for(1, epochs=3)
    run.send_signal(signal.SIGINT)
    assert run.wait(SECONDS_ALLOWED) == 4
    first = ranks.epochs(1)
    assert first[0] == first[1] == list(range(len(first[0]))), "both left after the same epoch"
    assert (ranks.trial.state, ranks.trial.cause) == (TrialState.INTERRUPTED, Cause.STOPPED)
    assert ranks.nobody_is_left(1)

    run = ranks.start()
    ranks.wait_for(2, epochs=3)
    ranks.kill_the_second(2)
    assert run.wait(SECONDS_ALLOWED) == 0, (tmp_path / "said.log").read_text()
    begun = len(first[0])
    second, third = ranks.epochs(2), ranks.epochs(3)
    assert second[0][0] == second[1][0] == begun, "both went on from the one checkpoint"
    assert third[0] == third[1] and third[0][-1] == 29
    assert third[0][0] in (second[1][-1], second[1][-1] + 1), "no epoch behind the last checkpoint ran again"
    assert [outcome.cause for outcome in ranks.trial.ended] == [Cause.STOPPED, Cause.CRASH, Cause.COMPLETED]
    assert ranks.nobody_is_left(2) and ranks.nobody_is_left(3)
    assert len(ranks.trial.curve()) == 30, "one rank reports"


def test_a_collective_that_times_out_costs_no_more_than_the_epoch(tmp_path: Path) -> None:
    ranks = Ranks(tmp_path, "--stall")
    run = ranks.start()
    assert run.wait(SECONDS_ALLOWED) == 0, (tmp_path / "said.log").read_text()
    assert [outcome.cause for outcome in ranks.trial.ended] == [Cause.TRANSIENT, Cause.COMPLETED]
    assert "Timed out waiting" in ranks.trial.ended[0].reason
    assert ranks.epochs(1) == [[0, 1, 2, 3]] * 2
    assert ranks.epochs(2) == [list(range(3, 30))] * 2
    assert ranks.nobody_is_left(1) and ranks.nobody_is_left(2)
