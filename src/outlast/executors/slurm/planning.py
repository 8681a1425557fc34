"""How many tasks an array gets, which of the queue's jobs are ours, and what the jobs of a study are called. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from outlast.executors.slurm.parse import Job, JobLife

__all__ = ["array_option", "cron_line", "ours", "slot_limit", "study_mark", "tasks_for", "waiting_reason"]

_SMALL = ("finisher", "controller")


def study_mark(folder: Sequence[int]) -> str:
    """What the comments of a study's jobs begin with.

    Args:
        folder: Device and inode of the study's folder: a copy has others.
    """
    return f"outlast:{folder[0]:x}.{folder[1]:x}:"


def ours(listing: Iterable[Job], mark: str, *roles: str) -> list[Job]:
    """The study's jobs that are not over.

    Args:
        listing: Of all our jobs.
        mark: Of the study.
        roles: Only these: array, finisher, controller, or an attempt's name; all by default.
    """
    found = []
    for job in listing:
        role = job.comment.removeprefix(mark) if job.comment.startswith(mark) else ""
        if role and job.life is not JobLife.ENDED and (not roles or role in roles):
            found.append(job)
    return found


def tasks_for(trials: int, *, per_task: int, at_once: int, most: int | None) -> int:
    """Tasks that so many trials need, at most as many as one array may have."""
    tasks = -(-trials // (per_task * at_once)) if trials > 0 else 0
    return tasks if most is None else min(tasks, most)


def array_option(tasks: int, at_once: int | None) -> str:
    """``0-99%6`` for ``--array``."""
    return f"0-{tasks - 1}" + (f"%{at_once}" if at_once is not None and at_once < tasks else "")


def slot_limit(config: Mapping[str, str]) -> int | None:
    """How many tasks one array may have: their indices lie below ``MaxArraySize`` (slurm.conf(5))."""
    text = config.get("MaxArraySize", "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def waiting_reason(jobs: Iterable[Job]) -> str:
    """Why most of the waiting jobs wait, in SLURM's word; empty where none does."""
    reasons = [job.reason for job in jobs if job.life is JobLife.WAITING and job.reason not in ("", "None")]
    return max(set(reasons), key=reasons.count) if reasons else ""


def cron_line(folder: str) -> str:
    """For the crontab of a machine that may submit, where the nodes may not.

    Args:
        folder: The study's, absolute.
    """
    return f"*/10 * * * * outlast submit {shlex.quote(folder)} >/dev/null 2>&1"
