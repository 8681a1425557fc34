"""Room on the disks that a study writes to: looked at all along, so that it pauses before its records are in danger."""

from __future__ import annotations

import os
from collections.abc import Sequence

from outlast.core.plan import no_room
from outlast.study.layout import StudyPaths

__all__ = ["Room"]

_LOOK_EVERY = 1.0  # seconds


class Room:
    """Watches the disks of the study folder and of the checkpoints."""

    def __init__(self, paths: StudyPaths) -> None:
        self._places: Sequence[os.PathLike[str]] = [paths.root, *filter(None, [paths.checkpoints_root])]
        self._look_at = float("-inf")
        self._lacking: str | None = None

    def lacking(self, now: float) -> str | None:
        """What is lacking and where, as a sentence; ``None`` while there is room. Looks at most once a second.

        Args:
            now: Monotonic seconds.
        """
        if now - self._look_at >= _LOOK_EVERY:
            self._look_at = now
            self._lacking = next(filter(None, map(self._lacking_in, self._places)), None)
        return self._lacking

    @staticmethod
    def _lacking_in(place: os.PathLike[str]) -> str | None:
        try:
            disk = os.statvfs(place)
        except OSError:
            return None
        lacking = no_room(
            disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, disk.f_favail, disk.f_files
        )  # fmt: skip
        return None if lacking is None else f"{lacking} in {os.fspath(place)}"
