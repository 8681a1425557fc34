"""Cards for a worker that nobody gave any: locked before a trial is asked for, since it would wait for them otherwise."""

from __future__ import annotations

from collections.abc import Callable

from outlast._system.card_locks import CardLock
from outlast.config.settings import Settings
from outlast.engine.attempts.slots import gpu_pool
from outlast.executors.gpu_pool import GpuPool, Grant


class WorkerCards:
    """The pool of this machine, as one worker uses it.

    Args:
        pool: Checked: a trial fits into it.
    """

    def __init__(self, pool: GpuPool) -> None:
        self._pool = pool
        self._grant: Grant | None = None

    @classmethod
    def of(cls, settings: Settings, say: Callable[[str], object]) -> WorkerCards | None:
        """For a study whose trials need cards; ``None`` for others, and where there is no trace of a card.

        Raises:
            UsageError: A trial needs more cards than there are here.
        """
        pool = gpu_pool(settings, say)
        if pool is None:
            return None
        pool.check()
        return cls(pool)

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
