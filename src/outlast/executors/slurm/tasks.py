"""Attempts that workers fetch by themselves, tasks of an array among them: nothing is submitted for one, it is watched."""

from __future__ import annotations

import contextlib

from outlast._system.processes import Identity
from outlast.core.evidence import JobEnd
from outlast.errors import OutlastError, SlurmMissing, SlurmUnavailable
from outlast.executors.base import Executor
from outlast.executors.slurm.listing import SlurmJobs

_SOON = 5.0  # seconds between two listings while somebody waits for what they say


class FetchedExecutor(Executor):
    """Knows what SLURM says of the jobs that fetched their attempts. Asks it only where the attempt's own files do not tell.

    Args:
        jobs: Kept by the process over its turns; ``None`` where there is no SLURM.
    """

    outlives = True

    def __init__(self, jobs: SlurmJobs | None = None) -> None:
        super().__init__()
        self._jobs, self.asks = jobs, jobs is not None
        self._of: dict[str, tuple[str, int]] = {}  # attempt → job, and its restarts when it took the attempt
        self._looked = False  # since the last poll

    def submit(self, name: str, marker: str, log: str, *, keep_fds: tuple[int, ...] = ()) -> None:
        """Never called: every slot is a worker's."""
        raise OutlastError(f"attempt {name} was given no worker")

    def adopt(self, name: str, runner: Identity | None, *, job: str = "", restarts: int = 0) -> bool:
        if job and self._jobs is not None:
            self._of[name] = job, restarts
            self._jobs.watch(job)
        return bool(job) or runner is not None

    def poll(self) -> None:
        """See `Executor.poll`. The query is put off until somebody wants to know."""
        self._looked = False

    def _look(self, jobs: SlurmJobs) -> SlurmJobs:
        if not self._looked:
            self._looked = True
            jobs.look(within=_SOON)
        return jobs

    def ended(self, name: str) -> bool | None:
        if name not in self._of or self._jobs is None:
            return None
        return self._look(self._jobs).over(*self._of[name])

    def job_end(self, name: str) -> JobEnd | None:
        """See `Executor.job_end`."""
        if name not in self._of or self._jobs is None:
            return JobEnd.UNTOLD
        return self._look(self._jobs).end(*self._of[name])

    def cancel(self, name: str) -> None:
        if name in self._of and self._jobs is not None:
            with contextlib.suppress(SlurmUnavailable, SlurmMissing):
                self._jobs.slurm.cancel([self._of[name][0]])

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        job, _ = self._of.pop(name, ("", 0))
        if job and self._jobs is not None and all(job != other for other, _ in self._of.values()):
            self._jobs.forget(job)

    def close(self) -> None:
        for name in list(self._of):
            self.forget(name)
        super().close()
