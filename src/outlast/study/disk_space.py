"""Whether the disks that a study writes to have room for its records."""

from __future__ import annotations

import os

from outlast.core.plan import no_room
from outlast.study.layout import StudyPaths


def lacking_space(paths: StudyPaths) -> str | None:
    """What the disk of the study folder, or of its checkpoints, lacks and where, as a sentence; ``None`` while there is room."""
    places = [paths.root, *filter(None, [paths.checkpoints_root])]
    return next(filter(None, map(_lacking_in, places)), None)


def _lacking_in(place: os.PathLike[str]) -> str | None:
    try:
        disk = os.statvfs(place)
    except OSError:
        return None
    lacking = no_room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, disk.f_favail, disk.f_files)
    return None if lacking is None else f"{lacking} in {os.fspath(place)}"
