"""Runners as jobs of somebody else's scheduler: all of an executor but how a job is started, seen and ended.

What is certain of a job comes from listings that succeeded. One that failed says nothing; a job that one lacks is looked for
again, and is over when a second one lacks it. What is refused, or not answered, is submitted again: at the worst two jobs run
the same attempt, and the second one finds it claimed and leaves. The id of a job is written down the moment that it is known,
beside the ledger, so that a coordinator that dies in between leaves no job that nobody knows.
"""

from __future__ import annotations

import abc
import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import Struct

from outlast._system.clock import utc_now
from outlast._system.files import write_atomic
from outlast._system.processes import Identity
from outlast._system.reading import read_json
from outlast._system.syncing import make_dir
from outlast.core.evidence import JobEnd
from outlast.core.records import PLUGGED, JobSubmitted
from outlast.errors import JobRefused, OutlastError, SchedulerUnavailable
from outlast.executors.base import Executor, StudyFacts

__all__ = ["JobExecutor", "runner_command"]

_AGAIN_AFTER = 30.0  # seconds after a limit, or no answer
_SOON = 5.0  # seconds until a job that one listing lacks is looked for again


def runner_command(marker: str) -> list[str]:
    """What a job runs; its output belongs into the log that `JobExecutor.start` is given, behind what is there."""
    return [sys.executable, "-m", "outlast.runner", marker]


class _Wanted(Struct):
    marker: str = ""  # "": not to be submitted (any more)
    log: str = ""
    job: str = ""  # "": none that we know of
    ours: bool = True  # started for this study folder, not for the one that this is a copy of
    over: bool | None = None
    missing: int = 0  # successful listings in a row without it
    again_at: float = 0.0


class JobExecutor(Executor):
    """Subclasses say `start`, `living` and `end`.

    Args:
        poll: Seconds between two listings, at least.
        now: Monotonic seconds.
    """

    outlives = True
    pause = 0.5

    def __init__(self, study: StudyFacts, *, poll: float = 30.0, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.study, self._every, self._now = study, poll, now
        self._of: dict[str, _Wanted] = {}
        self._had_attempts = False  # then no other process submits for this study meanwhile
        self._accepted = False  # some job of ours was: what is refused now is refused for a limit
        self._look_at = self._end_at = -math.inf
        self._doomed: set[str] = set()  # jobs to be ended

    # -- what a scheduler's own executor says ---------------------------------------------------------------------------

    @abc.abstractmethod
    def start(self, name: str, marker: str, log: str) -> str:
        """Ask for a job that runs `runner_command`.

        Args:
            name: Of the attempt, ``0007.2``; unique within the study.
            marker: For the runner.
            log: File that gets what the job prints.

        Returns:
            The scheduler's id of the job: one line of text, by which every later coordinator finds it.

        Raises:
            JobRefused: The scheduler said no.
            SchedulerUnavailable: No answer; the job may exist.
        """

    @abc.abstractmethod
    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        """Which of these jobs wait or run (``True``) and which are over (``False``), in one query.

        A job that the scheduler does not list is left out: it is over when it was left out twice. ``None`` says that nobody can
        tell.

        Raises:
            SchedulerUnavailable: No answer, or none that can be read: nothing is known of any job.
        """

    @abc.abstractmethod
    def end(self, job: str) -> None:
        """End a job that waits or runs; harmless where it is over.

        Raises:
            SchedulerUnavailable: No answer: it is tried again.
        """

    # -- the contract -------------------------------------------------------------------------------------------------

    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        self._had_attempts = True
        self._of[name] = _Wanted(marker, log)
        self._try(name)

    def _try(self, name: str) -> None:
        wanted = self._of[name]
        try:
            job = self.start(name, wanted.marker, wanted.log)
        except Exception as trouble:  # whatever it is that a plugged executor met
            refused = trouble if isinstance(trouble, JobRefused) else JobRefused(_fact_of(trouble))
            if not (refused.limit or self._accepted or isinstance(trouble, SchedulerUnavailable)):
                del self._of[name]  # not even the first one: it is the request that is wrong
                if refused is trouble:
                    raise
                raise refused from trouble
            self._tell(f"{_fact_of(trouble)}; submitted again in a while")
        else:
            wanted.job, self._accepted, self._said = job, True, ""
            self._remember(name, job)
            self._look_at = min(self._look_at, self._now() + _SOON)
        wanted.again_at = self._now() + _AGAIN_AFTER

    def adopt(self, name: str, runner: Identity | None, *, job: str = "", restarts: int = 0) -> bool:
        """See `Executor.adopt`. A job that nobody knows finds its attempt voided, if it ever starts."""
        self._had_attempts = True
        recorded = self._recall(name)
        if not recorded and not job:
            return runner is not None
        self._of[name] = _Wanted(job=recorded or job, ours=bool(recorded))
        if recorded and not job:
            self._taken.append(_submitted(recorded, name))
        return True

    def poll(self) -> None:
        now = self._now()
        if now >= self._look_at and any(wanted.job and not wanted.over for wanted in self._of.values()):
            self._look(now)
        if self._doomed and now >= self._end_at:
            self._end_doomed()
        for name, wanted in list(self._of.items()):
            if wanted.marker and not wanted.job and now >= wanted.again_at:
                self._try(name)
                if not wanted.job:
                    break  # the others would meet the same limit

    def _look(self, now: float) -> None:
        watched = [wanted for wanted in self._of.values() if wanted.job and not wanted.over]
        self._look_at = now + self._every
        try:
            seen = self.living([wanted.job for wanted in watched])
        except Exception as trouble:  # whatever it is that a plugged executor met: it says nothing of any job
            self._tell(f"{_fact_of(trouble)}; asked again in a while")
            return
        for wanted in watched:
            wanted.missing = 0 if wanted.job in seen else wanted.missing + 1
            if wanted.job in seen:
                alive = seen[wanted.job]
                wanted.over = None if alive is None else not alive
            elif wanted.missing > 1:
                wanted.over = True
            else:
                self._look_at = now + min(_SOON, self._every)

    def ended(self, name: str) -> bool | None:
        wanted = self._of.get(name)
        if wanted is None:
            return None
        return wanted.over if wanted.job else not wanted.marker

    def job_end(self, name: str) -> JobEnd | None:
        """See `Executor.job_end`. What a job died of is its runner's to tell."""
        wanted = self._of.get(name)
        return JobEnd.NEVER_SUBMITTED if wanted is not None and not wanted.job else JobEnd.UNTOLD

    def cancel(self, name: str) -> None:
        """See `Executor.cancel`. Ids come from the ledger, and a copy's speaks of the original's jobs: those are left alone."""
        wanted = self._of.get(name)
        if wanted is None or wanted.over:
            return
        wanted.marker = ""  # not submitted any more
        if wanted.job and wanted.ours:
            self._doomed.add(wanted.job)
            if self._now() >= self._end_at:  # otherwise it is silent: each call may take long to find that out
                self._end_doomed()

    def _end_doomed(self) -> None:
        for job in sorted(self._doomed):
            try:
                self.end(job)
            except Exception as trouble:
                self._tell(f"{_fact_of(trouble)}; asked again in a while")
                self._end_at = self._now() + _AGAIN_AFTER
                return
            self._doomed.discard(job)
            self._look_at = min(self._look_at, self._now() + _SOON)

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        if self._of.pop(name, None) is not None:
            self._record(name).unlink(missing_ok=True)

    def close(self) -> None:
        if self._had_attempts:
            with contextlib.suppress(OSError):  # not empty: somebody's job is still on record
                os.rmdir(self.study.jobs)
        super().close()

    # -- the ids of jobs, until the ledger has them ---------------------------------------------------------------------

    def _record(self, name: str) -> Path:
        return Path(self.study.jobs, f"{name}.job")

    def _remember(self, name: str, job: str) -> None:
        self._taken.append(_submitted(job, name))
        with contextlib.suppress(OSError):  # no room: the ledger gets it all the same, in a moment
            make_dir(Path(self.study.jobs))
            text = json.dumps({"job": job, "folder": os.stat(self.study.jobs).st_ino})  # of a copy, it is another one
            write_atomic(self._record(name), text, durable=False)

    def _recall(self, name: str) -> str:
        told = read_json(self._record(name))
        if not isinstance(told, dict) or told.get("folder") != os.stat(self.study.jobs).st_ino:
            return ""
        return str(told.get("job", ""))


def _submitted(job: str, name: str) -> JobSubmitted:
    return JobSubmitted(job, utc_now(), PLUGGED, attempt=name)


def _fact_of(trouble: Exception) -> str:
    return trouble.fact if isinstance(trouble, OutlastError) else f"the executor failed: {trouble!r}"
