"""A turn: the study's lease for a moment. Whoever has something to ask or to tell takes one; nobody needs to hold it all along.

A task of an array, a worker started by hand, the finisher and `outlast stop` come this way. The lease is taken before this
room and what it needs are imported: of five hundred tasks that start at once only one does so at a time, and answers all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from typing import TypeAlias

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.states import StudyState
from outlast.engine.attempts.code_snapshot import as_taken
from outlast.engine.attempts.running import Pulse
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.coordinator.listener import Saying
from outlast.engine.coordinator.round import Holding
from outlast.engine.derived.catching_up import every, is_old
from outlast.engine.hold.opening import join_study
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import OutlastError
from outlast.executors.slurm.commands import Slurm, can_list
from outlast.executors.slurm.listing import FetchedExecutor, SlurmJobs
from outlast.executors.slurm.parse import JobLife
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.opened import Opened

Last: TypeAlias = Callable[[Coordinator, "Verdict | None"], object]

_WITHDRAWN = ("array", "controller")  # jobs that a study at rest has no use for


class Memory(Struct):
    """What a process keeps between its turns: heartbeats only tell whoever sees them twice."""

    pulses: dict[str, Pulse] = {}
    jobs: SlurmJobs | None = None


class Turn(Struct, frozen=True):
    """How the study stood at the end of a turn."""

    verdict: Verdict | None  # None: it goes on
    study: Study
    settings: Settings


def take_turn(
    folder: str | os.PathLike[str],
    lease: Lease,
    memory: Memory,
    *,
    say: Callable[[str], object] = print,
    last: Last | None = None,
    derive: bool | None = None,
) -> Turn:
    """Coordinate a study for one turn under a lease that was just taken, and give it back.

    Args:
        last: Called with the coordinator and its verdict before the lease is given back.
        derive: Whether to bring index and tables up to date; by default if they have not been for a while.

    Raises:
        OutlastError: Any of the tree; the lease is given back, and the next turn is somebody else's.
    """
    with join_study(StudyPaths.at(folder), lease, momentary=True) as opened:
        settings, _ = recorded_settings(folder, opened.study)
        paths = study_paths(folder, settings)
        settings = as_taken(paths, settings, opened.study)
        return coordinate(opened, paths, settings, memory, say=say, last=last, derive=derive)


def coordinate(
    opened: Opened,
    paths: StudyPaths,
    settings: Settings,
    memory: Memory,
    *,
    say: Callable[[str], object] = print,
    last: Last | None = None,
    derive: bool | None = None,
) -> Turn:
    """What `take_turn` does with a study once it is in hand."""
    study = opened.study
    with closing(FetchedExecutor(_jobs(memory, study))) as executor:
        coordinator = Coordinator(
            paths, settings, opened, executor, Saying(say), slots=Slots(()), pulses=memory.pulses, holding=Holding.TURN
        )  # fmt: skip
        due = derive if derive is not None else is_old(paths, every(len(study.trials)))
        verdict = coordinator.turn(derive=due)
        if last is not None:
            last(coordinator, verdict)
        _after(verdict, paths, study, settings, memory)
    return Turn(verdict, study, settings)


def _jobs(memory: Memory, study: Study) -> SlurmJobs | None:
    if memory.jobs is None and study.jobs and can_list():
        memory.jobs = SlurmJobs(Slurm())
    return memory.jobs


def _after(verdict: Verdict | None, paths: StudyPaths, study: Study, settings: Settings, memory: Memory) -> None:
    """What follows from a study's rest: its plots, and no more tasks of ours in the queue."""
    ended = study.ended
    if ended is None:
        return
    if ended.state != StudyState.DONE.value or verdict is not None:
        _withdraw_tasks(paths, settings, study, memory)
    if verdict is not None:
        from outlast.engine.derived.final_plots import draw_at_the_end

        draw_at_the_end(paths, study, settings)


def _withdraw_tasks(paths: StudyPaths, settings: Settings, study: Study, memory: Memory) -> None:
    """Cancel the study's jobs that still wait in the queue: there is nothing left for them to do. The finisher stays.

    They are found by their mark, not by what the ledger says: that of a copy speaks of the original's jobs.
    """
    jobs = _jobs(memory, study)
    if jobs is None or all(job.role not in _WITHDRAWN for job in study.jobs):
        return
    from outlast.engine.record.study_queue import StudyQueue

    try:
        waiting = [
            job.array
            for job in StudyQueue(paths, settings, jobs.slurm).active(*_WITHDRAWN)
            if job.life is JobLife.WAITING
        ]
        if waiting:
            jobs.slurm.cancel(sorted(set(waiting)), pending_only=True)
    except OutlastError:  # they start, find nothing to do, and leave
        return
