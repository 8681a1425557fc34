"""What SLURM says of the jobs that somebody waits for: one listing for all of them, and not more often than it is worth; and the
executor of attempts that workers fetch by themselves: nothing is submitted for one, it is watched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from outlast._system.processes import Identity
from outlast.core.evidence import JobEnd
from outlast.errors import OutlastError, SlurmMissing, SlurmUnavailable
from outlast.executors.base import Executor
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job, JobLife, Sightings

_AFTER_TROUBLE = 15.0  # seconds
_SOON = 5.0  # seconds between two listings while one has left something open, or somebody waits for what they say


class SlurmJobs:
    """A memory of listings. A listing that failed changes nothing.

    Args:
        every: Seconds between two listings, at least.
        now: Monotonic seconds.
    """

    def __init__(self, slurm: Slurm, *, every: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        self.slurm, self._every, self._now = slurm, every, now
        self.listing: list[Job] | None = None  # the latest that succeeded; None before the first
        self.trouble = ""  # why the last one failed; empty if it did not
        self._sightings = Sightings()
        self._watched: set[str] = set()
        self._asked_at: dict[str, float] = {}  # job → when somebody first wanted to know how it ended
        self._looked_at = float("-inf")

    def watch(self, job: str) -> None:
        """Wait for a job."""
        self._watched.add(job)

    def forget(self, job: str) -> None:
        """Wait for it no longer."""
        self._watched.discard(job)

    def look(self, *, within: float | None = None) -> bool:
        """Make a listing if it is time.

        Args:
            within: Seconds since the last one that are soon enough; as often as `every` by default.

        Returns:
            Whether one was made and succeeded.
        """
        now = self._now()
        if now - self._looked_at < min(self._pause, self._every if within is None else within):
            return False
        self._looked_at = now
        try:
            self.listing = self.slurm.jobs()
            self._sightings.take(self.listing, self._watched)
            self._sightings.explain(self.slurm.past([job for job in self._sightings.missing if job in self._watched]))
        except SlurmUnavailable as error:
            self.trouble = error.fact
            return False
        self.trouble = ""
        return True

    @property
    def _pause(self) -> float:
        """Seconds between two listings at the most: fewer while the last one left something open."""
        if self.trouble:
            return min(self._every, _AFTER_TROUBLE)
        missing = (job for job in self._sightings.missing if job in self._watched)
        half_sure = any(not self._sightings.certainly_over(job) for job in missing)
        return min(self._every, _SOON) if half_sure else self._every

    def over(self, job: str, restarts: int = 0) -> bool | None:
        """Whether the job, as it was after so many restarts, is over: certainly, certainly not, or not known (``None``)."""
        last = self._sightings.last(job)
        if last is not None and last.restarts > restarts:
            return True  # it was started anew, or waits to be
        if self._sightings.certainly_over(job):
            return True
        if last is None or last.life is JobLife.UNKNOWN:
            return None
        return False

    def end(self, job: str, restarts: int = 0) -> JobEnd | None:
        """How the job, as it was after so many restarts, ended; ``None`` while that is not known.

        A job that still runs in a listing made since we were first asked has nothing to do with what ended in it.
        """
        asked_at = self._asked_at.setdefault(job, self._now())
        last = self._sightings.last(job)
        if last is not None and last.restarts > restarts:
            return JobEnd.REQUEUED
        if last is not None and last.word == "RUNNING" and self._looked_at > asked_at:
            return JobEnd.UNTOLD
        if last is not None and last.life is JobLife.ENDED:
            return last.end
        return JobEnd.UNTOLD if self.over(job, restarts) else None


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

    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        """Never called: every slot is a worker's."""
        raise OutlastError(f"attempt {name} was given no worker")

    def adopt(self, name: str, runner: Identity | None, *, job: str = "", restarts: int = 0) -> bool:
        if job and self._jobs is not None:
            self._of[name] = job, restarts
            self._jobs.watch(job)
        return bool(job) or runner is not None

    def poll(self) -> None:
        """The query is put off until somebody wants to know."""
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
