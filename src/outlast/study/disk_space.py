"""Whether the disks that a study writes to have room for its records."""

from __future__ import annotations

import os

from outlast._system.mounts import room_in
from outlast.core.plan import no_room
from outlast.study.layout import StudyPaths


def lacking_space(paths: StudyPaths) -> str | None:
    """What the disk of the study folder, or of its checkpoints, lacks and where, as a sentence; ``None`` while there is room."""
    places = [paths.root, *filter(None, [paths.checkpoints_root])]
    return next(filter(None, map(_lacking_in, places)), None)


def _lacking_in(place: os.PathLike[str]) -> str | None:
    room = room_in(place)
    lacking = None if room is None else no_room(*room)
    return None if lacking is None else f"{lacking} in {os.fspath(place)}"
