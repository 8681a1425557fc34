"""What ends the training of a host that is cut off from its storage: another may have been given the trial."""

from __future__ import annotations

import threading
from collections.abc import Callable

_TICK = 0.5  # seconds


class Watchdog:
    """Acts when it has not been fed for too long, also while everything else of this process waits for a server that is away.

    It counts ticks of its own: time in which the whole process was stopped is none.

    Attributes:
        struck: Whether it has acted.

    Args:
        limit: Seconds between two feedings.
        act: What it does then, once, in a thread of its own.
    """

    def __init__(self, limit: float, act: Callable[[], object]) -> None:
        self.struck = False
        self._limit = self._left = limit
        self._act = act
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def feed(self) -> None:
        """All is well."""
        self._left = self._limit

    def stop(self) -> None:
        """There is nothing more to watch."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(_TICK):
            self._left -= _TICK
            if self._left <= 0:
                self.struck = True
                self._act()
                return
