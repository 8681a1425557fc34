"""What says to others that a runner lives, and to the runner itself whether they can know."""

from __future__ import annotations

import os
from collections.abc import Callable

from outlast._system.clock import utc_now
from outlast._system.locks import FileLock
from outlast._system.syncing import fsync_file
from outlast.core.alive import beat
from outlast.core.file_names import AttemptPaths
from outlast.runner.watchdog import Watchdog

_CUT_OFF_AFTER = 12  # heartbeats that could not be written; half the time after which another host gives the attempt up


class Heartbeat:
    """Written into the file that the attempt's lock is on.

    Args:
        files: The attempt's.
        lock: Held on them.
        every: Seconds of training between two beats.
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
        """Write one if it is time.

        Args:
            now: Seconds of training.

        Returns:
            Whether we may still believe that others see it.
        """
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
