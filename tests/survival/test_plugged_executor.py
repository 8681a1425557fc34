"""A coordinator whose trials are somebody else's jobs is killed: the same command finds the jobs again and goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest

from lab.survival import Lab, verify
from lab.waiting import until

pytestmark = pytest.mark.slow

_PSIJ = {"name": "psij", "scheduler": "local", "poll": 0.5}
#: The scheduler has the first job, and the ledger does not know it yet.
_DIE_BEFORE_THE_LEDGER = """
import os, signal
from outlast.executors.scheduler_jobs import JobExecutor
JobExecutor.take_submissions = lambda self: os.kill(os.getpid(), signal.SIGKILL) if self._taken else []
"""

#: A queue in which jobs wait for ever, and that counts what it was asked to start.
_QUEUE = """
import sys, types
from outlast.executors.scheduler_jobs import JobExecutor

class Queue(JobExecutor):
    def start(self, name, marker, log):
        with open("started", "a") as file:
            file.write(name + " ")
        return "job-" + name

    def living(self, jobs):
        return dict.fromkeys(jobs, True)

    def end(self, job):
        with open("ended", "a") as file:
            file.write(job + " ")

sys.modules["my_lab"] = types.ModuleType("my_lab")
sys.modules["my_lab"].Queue = Queue
"""


def test_a_killed_coordinators_job_is_adopted_and_one_that_was_killed_as_well_is_started_again(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(executor=_PSIJ, trials=2, seconds=0.03, parallel=2)
    lab.hold(0, 1), lab.hold(1, 1)
    first = lab.start()
    lab.wait_for_epoch(0, 1), lab.wait_for_epoch(1, 1)
    lives, dies = lab.runner_of(0, 1), lab.runner_of(1, 1)
    os.kill(lives, signal.SIGSTOP)  # it is there still, however late the next coordinator comes
    os.kill(dies, signal.SIGSTOP)
    first.kill()
    os.kill(dies, signal.SIGKILL)
    lab.let_go(0), lab.let_go(1)
    again = lab.start()
    until(lambda: "trial 0 is still running: taken over, not restarted" in again.said, lambda: again.said)
    os.kill(lives, signal.SIGCONT)
    assert again.wait() == 0, again.said
    assert verify(lab, reference, trials=2, interruptions=1).faults == []
    assert [len(trial.attempts) for trial in lab.study().trials.values()] == [1, 2]


@pytest.mark.parametrize("over", [False, True])
def test_a_job_is_found_again_whose_id_the_ledger_never_got(
    make_lab: Callable[..., Lab], reference: dict[int, float], over: bool
) -> None:
    lab = make_lab(executor=_PSIJ, trials=1, seconds=0.03)
    if not over:
        lab.hold(0, 1)
    first = lab.start(patch=_DIE_BEFORE_THE_LEDGER)
    assert first.wait() == -signal.SIGKILL, first.said
    lab.wait_for_epoch(0, 1)
    (record,) = lab.paths.jobs.iterdir()
    job = json.loads(record.read_text())["job"]
    if over:
        until(lab.paths.attempt(0, 1).exit.exists, "the job has ended before somebody looks")
    again = lab.start()
    until(lambda: over or "taken over" in again.said, lambda: again.said)
    lab.let_go(0)
    assert again.wait() == 0, again.said
    assert verify(lab, reference, trials=1, interruptions=0).faults == []
    (attempt,) = lab.study().trials[0].attempts
    assert attempt.job == job


def test_a_job_that_waits_is_neither_started_twice_nor_forgotten_by_a_stop(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(executor="my_lab.Queue", trials=1)
    first = lab.start(patch=_QUEUE)
    until(lambda: lab.paths.ledger.is_dir() and any(t.attempts[0].job for t in lab.study().trials.values()), first.said)
    assert "waits in the queue" in lab.run("status", str(lab.folder)).said
    first.kill()
    assert "asked 1 trial" in lab.run("stop", str(lab.folder)).said, "whenever the job starts"
    again = lab.start(patch=_QUEUE)
    until(lambda: "RESUMING" in again.said, "the same command goes on")
    lab.run("stop", str(lab.folder))
    again.wait()
    assert ((lab.place / "started").read_text(), (lab.place / "ended").read_text()) == ("0000.1 ", "job-0000.1 ")
    assert "interrupted" in lab.run("status", str(lab.folder)).said
