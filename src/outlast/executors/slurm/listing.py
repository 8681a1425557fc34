"""What SLURM says of the jobs that somebody waits for: one listing for all of them, and not more often than it is worth."""

from __future__ import annotations

import time
from collections.abc import Callable

from outlast.core.evidence import JobEnd
from outlast.errors import SlurmUnavailable
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job, JobLife, Sightings

_AFTER_TROUBLE = 15.0  # seconds
_SOON = 5.0  # seconds until a job that one listing lacks is looked for again


class SlurmJobs:
    """A memory of listings. A listing that failed changes nothing.

    Args:
        slurm: The commands.
        every: Seconds between two listings, at least.
        now: Monotonic seconds.

    Attributes:
        listing: The latest that succeeded; ``None`` before the first.
        trouble: Why the last one failed; empty if it did not.
    """

    def __init__(self, slurm: Slurm, *, every: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        self.slurm, self._every, self._now = slurm, every, now
        self.listing: list[Job] | None = None
        self.trouble = ""
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
        half_sure = any(
            job in self._watched and not self._sightings.certainly_over(job) for job in self._sightings.missing
        )
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
