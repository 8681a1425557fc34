"""SLURM's commands without a cluster: answers as a test asks for them, and jobs that run on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from outlast.errors import OutlastError, SlurmRefused, SlurmUnavailable
from outlast.executors.slurm.cluster_facts import Limits, Partition
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job, JobLife, Refusal, life_of, refusal_of

__all__ = ["FakeSlurm", "LocalSlurm"]

_DIRECTIVE = re.compile(r'^#SBATCH --(job-name|comment|output)="?(.*?)"?$', re.MULTILINE)
_SILENCE = "Unable to contact slurm controller (connect failure)"


class FakeSlurm(Slurm):
    """A cluster in memory. Whatever is submitted waits until the test says that something happens to it."""

    def __init__(self, *, accounting: bool = False) -> None:
        super().__init__()
        self.accounting = accounting  # whether there is any
        self.queue: dict[str, Job] = {}  # as listings show it
        self.scripts: dict[str, str] = {}  # id → the script that was submitted
        self.accounts: dict[str, Job] = {}  # as accounting remembers it
        self.asked: list[tuple[str, ...]] = []  # what accounting was asked for, call by call
        self.cancelled: list[str] = []  # in order
        self.throttles: dict[str, int] = {}  # array → how many tasks may run side by side, where that was changed
        self.listings = self.submissions = 0  # how often squeue and sbatch were called, whatever they answered
        self._next_answers: deque[tuple[OutlastError, bool]] = deque()  # and whether the job is there all the same
        self._silent = 0
        self._hidden: dict[str, int] = {}

    # what a test says

    def add(self, job: str, state: str = "PENDING", **more: Any) -> Job:
        """A job that somebody else submitted; `more` are further fields of `Job`."""
        self.queue[job] = Job(job, job, None, state, **more)
        return self.queue[job]

    def set(self, job: str, state: str, **more: Any) -> None:
        """What the next listing says of a job."""
        self.queue[job] = replace(self.queue[job], state=state, **more)

    def purge(self, job: str) -> None:
        """SLURM knows it no longer; accounting, where there is some, does."""
        self.accounts[job] = self.queue.pop(job)

    def hide(self, job: str, listings: int = 1) -> None:
        """The next listings that succeed lack it."""
        self._hidden[job] = listings

    def refuse(self, words: str, times: int = 1) -> None:
        """The next submissions are refused. `words` are what sbatch says: they decide whether it is a limit."""
        refused = SlurmRefused(f"sbatch: {words}", limit=refusal_of(words) is Refusal.LIMIT)
        self._next_answers.extend([(refused, False)] * times)

    def lose_answer(self, *, accepted: bool) -> None:
        """The next submission is not answered; the job is there or not."""
        self._next_answers.append((SlurmUnavailable("sbatch: Socket timed out on send/recv operation"), accepted))

    def fall_silent(self, times: int) -> None:
        """That many of the next queries, cancellations and requeues get no answer."""
        self._silent = times

    # what the code under test calls

    def submit(self, script: str, arguments: Sequence[str] = ()) -> str:
        self.submissions += 1
        error, accepted = self._next_answers.popleft() if self._next_answers else (None, True)
        job = self._accept(script) if accepted else ""
        if error is not None:
            raise error
        return job

    def _accept(self, script: str) -> str:
        job = str(1000 + self.submissions)
        told = dict(_DIRECTIVE.findall(Path(script).read_text()))
        self.scripts[job] = script
        self.add(job, name=told.get("job-name", ""), comment=told.get("comment", ""), reason="Priority")
        return job

    def jobs(self) -> list[Job]:
        self.listings += 1
        self._answer("squeue")
        hidden = {job for job, left in self._hidden.items() if left > 0}
        self._hidden = {job: left - 1 for job, left in self._hidden.items() if left > 1}
        return [job for job in self.queue.values() if job.id not in hidden]

    def job(self, job: str) -> Job | None:
        self._answer("squeue")
        return self.queue.get(job)

    def past(self, jobs: Sequence[str]) -> list[Job]:
        if not jobs or not self.accounting:
            return []
        self.asked.append(tuple(jobs))
        known = {**self.accounts, **self.queue}
        return [known[job] for job in jobs if job in known and known[job].life is JobLife.ENDED]

    def has_accounting(self) -> bool:
        """See `Slurm.has_accounting`."""
        return self.accounting

    def cancel(self, jobs: Sequence[str], *, pending_only: bool = False) -> None:
        self._answer("scancel")
        for job in jobs:
            found = self.queue.get(job)
            if found is None or found.life is JobLife.ENDED or (pending_only and found.life is not JobLife.WAITING):
                continue
            self.cancelled.append(job)
            self.set(job, "CANCELLED")

    def throttle(self, array: str, tasks: int) -> bool:
        self._answer("scontrol")
        self.throttles[array] = tasks
        return any(job.array == array and job.life is JobLife.WAITING for job in self.queue.values())

    def requeue(self, job: str) -> bool:
        self._answer("scontrol")
        if job not in self.queue:
            return False
        self.set(job, "PENDING", restarts=self.queue[job].restarts + 1)
        return True

    def config(self) -> dict[str, str]:
        return {"MaxArraySize": "1001", "KillWait": "30 sec"}

    def partitions(self) -> list[Partition]:
        return [Partition("gpu", True, True, None, None, False, "REQUEUE", 4, "ALL")]

    def limits(self, *, account: str | None = None, qos: str | None = None) -> Limits:
        return Limits()

    def _answer(self, command: str) -> None:
        if self._silent > 0:
            self._silent -= 1
            raise SlurmUnavailable(f"{command}: {_SILENCE}")


class LocalSlurm(FakeSlurm):
    """Jobs run on this machine, at once and all side by side; who is cancelled is killed. `close` ends what is left."""

    def __init__(self, *, accounting: bool = False) -> None:
        super().__init__(accounting=accounting)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _accept(self, script: str) -> str:
        job = super()._accept(script)
        told = dict(_DIRECTIVE.findall(Path(script).read_text()))
        with open(told.get("output", os.devnull), "ab") as log:
            self._processes[job] = subprocess.Popen(
                ["bash", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.set(job, "RUNNING", reason="None")
        return job

    def jobs(self) -> list[Job]:
        for job, process in self._processes.items():
            code = process.poll()
            if code is not None and job in self.queue and life_of(self.queue[job].state) is JobLife.RUNNING:
                self.set(job, "COMPLETED" if code == 0 else "FAILED")
        return super().jobs()

    def cancel(self, jobs: Sequence[str], *, pending_only: bool = False) -> None:
        super().cancel(jobs, pending_only=pending_only)
        for job in jobs:
            self._kill(job)

    def close(self) -> None:
        """End every job."""
        for job in self._processes:
            self._kill(job)

    def _kill(self, job: str) -> None:
        process = self._processes.get(job)
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
