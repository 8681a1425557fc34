"""Room on the disk for an attempt's evidence."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from outlast._system.mounts import room_in

#: In the attempt's folder, while it runs.
RESERVE = ".reserve"
_BYTES = 16 * 1024
_ROOM = 4096  # bytes without which nothing can be written


def fill_reserve(reserve: Path) -> None:
    """Room that is given back before the evidence is written, so that a full disk does not cost it."""
    try:
        reserve.write_bytes(b"\0" * _BYTES)
    except OSError as error:
        print(f"outlast: no room in reserve: {error}", file=sys.stderr)


def is_full(places: Iterable[Path]) -> bool:
    """Whether a filesystem of these places has no room left, or none for another file."""
    rooms = filter(None, map(room_in, places))
    return any(room.free < _ROOM or (room.inodes and not room.inodes_free) for room in rooms)
