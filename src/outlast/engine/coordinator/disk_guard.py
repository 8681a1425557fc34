"""Room on the disks that a study writes to: looked at all along, so that it pauses before its records are in danger."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from outlast.errors import NO_ROOM, DiskFull, StorageError
from outlast.study.disk_space import lacking_space
from outlast.study.layout import StudyPaths

_LOOK_EVERY = 1.0  # seconds
_TRY_EVERY = 5.0  # seconds between two tries on a disk that refused, at least: a quota is not seen from outside
_Result = TypeVar("_Result")


class DiskGuard:
    """Watches the disks of the study folder and of the checkpoints."""

    def __init__(self, paths: StudyPaths) -> None:
        self._paths = paths
        self._look_at = float("-inf")
        self._lacking: str | None = None

    def lacking(self, now: float) -> str | None:
        """What is lacking and where, as a sentence; ``None`` while there is room. Looks at most once a second.

        Args:
            now: Monotonic seconds.
        """
        if now - self._look_at >= _LOOK_EVERY:
            self._look_at = now
            self._lacking = lacking_space(self._paths)
        return self._lacking


def whenever_there_is_room(paths: StudyPaths, work: Callable[[], _Result], say: Callable[[str], object]) -> _Result:
    """Do something that a full disk may end, again each time that there may be room: what was decided is on record."""
    while True:
        try:
            return work()
        except (DiskFull, OSError) as error:
            if isinstance(error, OSError) and error.errno not in NO_ROOM:
                raise
            refused = StorageError.of(error) if isinstance(error, OSError) else error
            with contextlib.suppress(OSError):  # our words may go to the same disk
                say(f"{refused.fact}: waiting for room; it goes on by itself")
        time.sleep(_TRY_EVERY)
        while lacking_space(paths):
            time.sleep(_LOOK_EVERY)
