"""A job for each attempt, submitted and watched by a controller that may die: the next one finds the jobs again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.clock import utc_now
from outlast._system.files import write_atomic
from outlast._system.processes import Identity
from outlast.core.evidence import JobEnd
from outlast.core.file_names import AttemptPaths
from outlast.core.records import JobSubmitted
from outlast.errors import SlurmRefused, SlurmUnavailable
from outlast.executors.base import Executor
from outlast.executors.slurm.listing import SlurmJobs
from outlast.executors.slurm.planning import ours
from outlast.executors.slurm.script import JobScript, render

_AGAIN_AFTER = 30.0  # seconds after a limit, or no answer
_SOON = 5.0  # seconds between two listings while somebody waits for what they say


class _Submission(Struct):
    script: str
    job: str = ""  # "": not known
    restarts: int = 0  # of the job when it took the attempt
    sure: bool = False  # certain that there is no job of this attempt: it can be submitted (again)
    again_at: float = 0.0
    looked: int = 0  # successful listings without it, while its job is not known


class SlurmExecutor(Executor):
    """Runners as jobs of their own.

    One job is one attempt. A job that SLURM starts a second time finds its attempt claimed and leaves; the attempt that
    follows gets a job of its own.

    Args:
        mark: Of the study; with the attempt's name it is the job's comment.
        script_of: Attempt's name, marker and log → its script.
        now: Monotonic seconds.
    """

    outlives = True
    pause = 0.5

    def __init__(
        self,
        jobs: SlurmJobs,
        mark: str,
        script_of: Callable[[str, str, str], JobScript],
        *,
        say: Callable[[str], object] = print,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._jobs, self._mark, self._script_of, self.say, self._now = jobs, mark, script_of, say, now
        self._of: dict[str, _Submission] = {}
        self._end_wanted = False  # somebody waits to hear how a job ended
        self._doomed: set[str] = set()  # jobs to be cancelled
        self._cancel_at = 0.0

    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        """See `Executor.submit`. The script lies beside the log."""
        script = AttemptPaths(Path(log).parent).script
        job = replace(self._script_of(name, marker, log), comment=self._mark + name)
        write_atomic(script, render(job), durable=False)
        self._of[name] = _Submission(str(script), sure=True)
        self._try(name)

    def _try(self, name: str) -> None:
        wanted = self._of[name]
        try:
            job = self._jobs.slurm.submit(wanted.script)
        except SlurmRefused as refused:
            if not refused.limit:
                del self._of[name]
                raise
            self._tell(f"{refused.fact}; submitted again in a while")
        except SlurmUnavailable as trouble:  # the job may exist: listings will tell
            self._tell(f"{trouble.fact}; asked again in a while")
            wanted.sure, wanted.looked = False, 0
        else:
            self._know(name, job)
            self._said = ""
        wanted.again_at = self._now() + _AGAIN_AFTER

    def _know(self, name: str, job: str) -> None:
        self._of[name].job = job
        self._jobs.watch(job)
        self._taken.append(JobSubmitted(job, utc_now(), "trial", attempt=name))

    def adopt(self, name: str, runner: Identity | None, *, job: str = "", restarts: int = 0) -> bool:
        self._of[name] = _Submission("", job, restarts)
        if job:
            self._jobs.watch(job)
        return True

    def poll(self) -> None:
        lost = [name for name, wanted in self._of.items() if not wanted.job and not wanted.sure]
        soon, self._end_wanted = bool(lost) or self._end_wanted, False
        answered = self._jobs.look(within=_SOON if soon else None)
        if answered:
            self._find(lost)
        if self._doomed and (answered or self._now() >= self._cancel_at):
            self._cancel_doomed()
        for name, wanted in list(self._of.items()):
            if wanted.sure and not wanted.job and wanted.script and self._now() >= wanted.again_at:
                self._try(name)
                if not wanted.job:
                    break  # the others would meet the same limit

    def _find(self, lost: list[str]) -> None:
        """Look in the listing for jobs whose submission was not answered, or whose id was not recorded."""
        by_comment = {job.comment: job for job in ours(self._jobs.listing or [], self._mark)}
        for name in lost:
            job, wanted = by_comment.get(self._mark + name), self._of[name]
            if job is not None:
                self._know(name, job.id)
            else:
                wanted.looked += 1
                wanted.sure = wanted.looked >= 2
                if wanted.sure:
                    wanted.again_at = self._now()  # SLURM answers again

    def ended(self, name: str) -> bool | None:
        wanted = self._of.get(name)
        if wanted is None:
            return None
        if wanted.job:
            return self._jobs.over(wanted.job, wanted.restarts)
        if wanted.script:
            return False  # it waits to be submitted
        return True if wanted.sure else None  # an earlier controller's that SLURM never got

    def job_end(self, name: str) -> JobEnd | None:
        wanted = self._of.get(name)
        if wanted is None:
            return JobEnd.UNTOLD
        if not wanted.job:
            return JobEnd.NEVER_SUBMITTED
        end = self._jobs.end(wanted.job, wanted.restarts)
        self._end_wanted = self._end_wanted or end is None
        return end

    def cancel(self, name: str) -> None:
        wanted = self._of.get(name)
        if wanted is not None and wanted.job:
            self._doomed.add(wanted.job)
            if self._now() >= self._cancel_at:  # otherwise it is silent: each call may take long to find that out
                self._cancel_doomed()
        elif wanted is not None:
            wanted.script = ""  # not submitted any more

    def _cancel_doomed(self) -> None:
        """Ids come from the ledger, and a copy's speaks of the original's jobs: none is cancelled that bears another mark."""
        if self._jobs.listing is None and not self._jobs.look(within=0.0):
            self._cancel_at = self._now() + _AGAIN_AFTER
            return
        theirs = {job.id for job in self._jobs.listing or () if not job.comment.startswith(self._mark)}
        try:
            self._jobs.slurm.cancel(sorted(self._doomed - theirs))
        except SlurmUnavailable as trouble:
            self._tell(f"{trouble.fact}; asked again in a while")
            self._cancel_at = self._now() + _AGAIN_AFTER
        else:
            self._doomed.clear()

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        wanted = self._of.pop(name, None)
        if wanted is not None and wanted.job:
            self._jobs.forget(wanted.job)
