"""How many tasks an array gets, which of the queue's jobs are ours, and what the jobs of a study are called. Pure."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from zlib import crc32

from outlast.executors.slurm.parse import Job, JobLife

_SMALL = ("finisher", "controller")


def study_mark(inode: int, name: str) -> str:
    """What the comments of a study's jobs begin with: the same on every host that shares the folder.

    So the device is left out, which a network filesystem numbers anew on each host.

    Args:
        inode: Of the study's folder: a copy has another.
        name: Of the folder: inodes of two filesystems may be equal.
    """
    return f"outlast:{inode:x}.{crc32(name.encode(errors='surrogateescape')):x}:"


def ours(listing: Iterable[Job], mark: str, *roles: str) -> list[Job]:
    """The study's jobs that are not over.

    Args:
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
    """For the crontab of a machine that may submit, where the nodes may not: a finisher's turn every ten minutes.

    Unlike `outlast submit` it leaves alone what was stopped or halted. What it says goes to ``jobs/cron.log``.

    Args:
        folder: The study's, absolute.
    """
    log = f"{folder}/jobs/cron.log"
    command = [sys.executable, "-m", "outlast", "finisher", "--once", folder]  # a crontab knows no virtual environment
    line = f"{shlex.join(command)} >>{shlex.quote(log)} 2>&1"
    return "*/10 * * * * " + line.replace("%", "\\%")  # which stands for a newline in crontab(5)


def how_to_go_on(folder: str) -> list[str]:
    """What a person reads where a node may not submit, or has nothing to submit with."""
    line = cron_line(os.path.abspath(folder))
    return [f"on a node that may submit: outlast submit {folder}", f"or, as a line of its crontab: {line}"]
