"""What SLURM's commands answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

__all__ = ["SQUEUE_FORMAT", "Job", "JobLife", "Sightings", "life_of", "parse_sbatch", "parse_squeue"]

SQUEUE_FORMAT = "%i|%F|%K|%T|%r|%N|%j"


class JobLife(Enum):
    """What a job's state says about it. `UNKNOWN` says nothing: it is never an ending."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


#: Every state of squeue(1) and sacct(1), SLURM 22 to 25. COMPLETING still runs its epilog, and its processes may live.
_LIVES: Mapping[str, JobLife] = {
    **dict.fromkeys(
        ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "EXPEDITING"),
        JobLife.WAITING,
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING", "POWER_UP_NODE", "LAUNCH_FAILED"),
        JobLife.RUNNING,
    ),
    **dict.fromkeys(
        (
            "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE",
            "REVOKED", "RECONFIG_FAIL", "UPDATE_DB",
        ),
        JobLife.ENDED,
    ),
}  # fmt: skip


def life_of(state: str) -> JobLife:
    """What a state's name means; a name that nobody knows means nothing."""
    return _LIVES.get(state.split(maxsplit=1)[0].rstrip("+") if state.strip() else "", JobLife.UNKNOWN)


@dataclass(frozen=True)
class Job:
    """One job, or one task of an array.

    Attributes:
        id: ``123``, or ``120_7`` for a task.
        array: The array's id; the job's own where there is none.
        task: The task's index, or ``None``.
        state: SLURM's word.
        reason: Why it waits.
        node: Where it runs.
        name: As submitted.
    """

    id: str
    array: str
    task: int | None
    state: str
    reason: str = ""
    node: str = ""
    name: str = ""
    comment: str = ""
    restarts: int = 0

    @property
    def life(self) -> JobLife:
        """What the state means."""
        return life_of(self.state)


def parse_sbatch(text: str) -> str:
    """The id in what ``sbatch --parsable`` prints (``123`` or ``123;cluster``)."""
    return text.strip().splitlines()[-1].split(";", 1)[0].strip() if text.strip() else ""


def parse_squeue(text: str) -> list[Job]:
    """The jobs in a listing made with `SQUEUE_FORMAT`. Lines of another shape are passed over."""
    found = []
    for line in text.splitlines():
        parts = line.strip().split("|", 6)
        if len(parts) == 7:
            identifier, array, task, state, reason, node, name = parts
            number = int(task) if task.isdigit() else None
            found.append(Job(identifier, array, number, state, reason, node, name))
    return found


class Sightings:
    """What successive listings say of the jobs that somebody waits for.

    A job is certainly over when a listing shows it ended, or when two successful unfiltered listings in a row lack it. A listing
    that failed says nothing and breaks no row.
    """

    def __init__(self) -> None:
        self._last: dict[str, Job] = {}
        self._missing: dict[str, int] = {}

    def take(self, listing: Iterable[Job] | None, waited_for: Iterable[str]) -> None:
        """Take a listing in; ``None`` for one that failed."""
        if listing is None:
            return
        seen = {job.id: job for job in listing}
        for job in waited_for:
            if job in seen:
                self._last[job] = seen[job]
                self._missing.pop(job, None)
            else:
                self._missing[job] = self._missing.get(job, 0) + 1

    def certainly_over(self, job: str) -> bool:
        """Whether there is positive evidence that the job is over."""
        if self._missing.get(job, 0) >= 2:
            return True
        last = self._last.get(job)
        return last is not None and not self._missing.get(job) and last.life is JobLife.ENDED

    def last(self, job: str) -> Job | None:
        """How the job was last seen."""
        return self._last.get(job)
