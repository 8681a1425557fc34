"""A study's jobs in a scheduler's queue, as ``outlast status`` says them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

_SMALL = ("finisher", "controller")


class QueuedJob(Struct, frozen=True):
    """One job that waits or runs."""

    id: str  # ``123``, or ``120_7`` for a task of an array
    role: str  # array, finisher, controller, or the name of the attempt that it runs
    state: str  # the scheduler's word, for people
    waits: bool = False  # it has not started
    reason: str = ""  # why it waits, in the scheduler's word
    node: str = ""  # where it runs
    restarts: int = 0  # how often it was started anew
    suspended: bool = False  # it stands still: it keeps its node, trains nothing, and wakes up where it was

    @property
    def is_small(self) -> bool:
        """Whether it runs no trial."""
        return self.role in _SMALL

    def to_json(self) -> dict[str, Any]:
        """Plain object for ``--json``."""
        return {
            "job": self.id,
            "role": self.role if self.is_small or self.role == "array" else "trial",
            "state": self.state,
            "reason": self.reason,
            "node": self.node,
            "restarts": self.restarts,
        }


def queue_in_words(jobs: Iterable[QueuedJob], silence: str = "") -> str:
    """``6 running, 1 suspended, 18 waiting (Resources), finisher 131 waiting (Dependency)``; empty where there is nothing to say.

    The jobs are as listed last; `silence` is why the scheduler gave no answer since.
    """
    found = list(jobs)
    trials = [job for job in found if not job.is_small]
    suspended = sum(job.suspended for job in trials)
    running = sum(not job.waits for job in trials) - suspended
    waiting = [job for job in trials if job.waits]
    reasons = sorted({job.reason for job in waiting if job.reason})
    parts = [f"{running} running"] if running else []
    parts += [f"{suspended} suspended"] if suspended else []
    if waiting:
        parts.append(f"{len(waiting)} waiting" + (f" ({', '.join(reasons)})" if reasons else ""))
    for job in found:
        if job.is_small:
            where = f" on {job.node}" if job.node else ""
            why = f" waiting ({job.reason})" if job.waits and job.reason else " suspended" if job.suspended else ""
            parts.append(f"{job.role} {job.id}{where}{why}")
    if silence:
        before = f"; before: {', '.join(parts)}" if parts else ""
        return f"no answer from SLURM ({silence}); jobs that run go on{before}"
    return ", ".join(parts)
