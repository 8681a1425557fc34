"""`outlast worker` by hand: a study that is set going if it rests, and cards of this machine.

Nobody gave it any: they are locked before a trial is asked for, since it would wait for them otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from outlast._system.card_locks import CardLock
from outlast.core.states import StudyState
from outlast.engine.attempts.slots import gpu_pool
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.worker import Worker
from outlast.engine.hold.workplace import Workplace
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.executors.gpu_pool import GpuPool, Grant
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, holder_is_live


def by_hand(folder: str, *, parallel: int, most: int | None, say: Callable[[str], object]) -> int:
    """Work for a study until there is nothing more to do.

    Returns the exit code: 0 nothing is left to do, or somebody else goes on; 3 the study was halted; 4 there is work left.

    Raises:
        UsageError: A trial needs more GPUs than there are here.
    """
    settings, study = recorded_settings(folder)
    paths = study_paths(folder, settings)
    pool = gpu_pool(settings, say)  # None: trials need no cards, or there is no trace of one
    if pool is not None:
        pool.check()
    helping = _somebody_runs_it(paths)
    if helping:
        say("helping the live run; Ctrl-C ends this worker only")
    elif study.ended is not None or study.last_run is None:
        with open_study(paths, settings):  # a person wants it to go on
            pass
    Worker(Workplace(paths, say, parallel, most, cards=None if pool is None else WorkerCards(pool))).run()
    _, study = recorded_settings(folder)
    if study.ended is None:
        return 0 if helping and _somebody_runs_it(paths) else 4
    return {StudyState.DONE.value: 0, StudyState.HALTED.value: 3}.get(study.ended.state, 4)


def _somebody_runs_it(paths: StudyPaths) -> bool:
    """Whether somebody holds the study for longer than a turn."""
    return holder_is_live(paths.ledger) is not False and not current_holder(paths.ledger).get("turn")


class WorkerCards:
    """The pool of this machine, as one worker uses it.

    Args:
        pool: Checked: a trial fits into it.
    """

    def __init__(self, pool: GpuPool) -> None:
        self._pool = pool
        self._grant: Grant | None = None

    def ready(self, *, running: int) -> bool:
        """Whether a trial could run here now; its cards are locked then."""
        if self._grant is None:
            self._grant = next(iter(self._pool.take(1, running=running)), None)
        return self._grant is not None

    @property
    def locks(self) -> tuple[CardLock, ...]:
        """Of the cards that are ready."""
        return () if self._grant is None else self._grant.locks

    def let_go(self, *, running: int) -> None:
        """Let go of the cards that were ready: the attempt that was started has them now, or nobody does."""
        if self._grant is not None:
            self._grant.close()
            self._grant = None
        self._pool.take(0, running=running)

    def close(self) -> None:
        """Unlock what was not handed on, and leave the queue for cards."""
        if self._grant is not None:
            self._grant.close()
        self._pool.close()
