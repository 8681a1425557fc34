"""What says to others that a runner lives, and to the runner itself whether they can know: one that is cut off from its storage
ends its training, since another host may have been given the trial."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from outlast._system.clock import utc_now
from outlast._system.locks import FileLock
from outlast._system.syncing import fsync_file
from outlast.core.evidence import beat
from outlast.core.file_names import AttemptPaths

_TICK = 0.5  # seconds
_CUT_OFF_AFTER = 12  # heartbeats that could not be written; half the time after which another host gives the attempt up


class Heartbeat:
    """Written into the file that the attempt's lock is on, every so many seconds of training.

    The lock is held by whoever makes this.
    """

    def __init__(self, files: AttemptPaths, lock: FileLock, every: float) -> None:
        self._files, self._lock, self._every = files, lock, every
        self._longest = _CUT_OFF_AFTER * every
        self._last = self._written = 0.0  # seconds of training
        self._beats = 0
        self._watchdog: Watchdog | None = None  # where writing a heartbeat may block

    def guard(self, kill: Callable[[], object]) -> None:
        """Have the training killed when no beat could be written for too long, also while a write itself hangs."""
        if self._lock.shared:
            self._watchdog = Watchdog(self._longest, kill)

    def rest(self) -> bool:
        """Watch no longer. Returns whether the training had to be killed."""
        if self._watchdog is None:
            return False
        self._watchdog.stop()
        return self._watchdog.struck

    def beat(self, now: float) -> bool:
        """Write one if it is time (seconds of training). Returns whether we may still believe that others see it."""
        if self._beats and now - self._last < self._every:
            return True
        self._last = now
        self._beats += 1
        try:
            os.pwrite(self._lock.content, beat(self._beats, now, utc_now()), 0)
            if self._lock.shared:  # otherwise they stay on this host for half a minute
                os.fsync(self._lock.content)
                fsync_file(self._files.reports)
            self._written = now
            if self._watchdog is not None:
                self._watchdog.feed()
        except OSError:
            return now - self._written < self._longest
        return True


class Watchdog:
    """Acts, once and in its own thread, when it has not been fed for `limit` seconds, also while all else waits for a server.

    It counts ticks of its own: time in which the whole process was stopped is none.
    """

    def __init__(self, limit: float, act: Callable[[], object]) -> None:
        self.struck = False  # it has acted
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
