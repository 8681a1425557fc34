"""What was to be known of a study when it came to rest, kept in its folder: who looks at hundreds need not read their ledgers.

It is derived, and believed only while everything is as it was: the segments of the ledger have the names, lengths and times that
they had, no trial's folder has come or gone, and its own checksum is right. Otherwise it is as if there were none. Who looks at
one study has every byte of the ledger held against what it was besides.
"""

from __future__ import annotations

import os
import zlib

import msgspec

from outlast._system.files import remove, write_atomic
from outlast._system.reading import read_bytes
from outlast.study.folded import ends_at
from outlast.study.layout import StudyPaths
from outlast.study.segments import Place

_SEGMENT = ".jsonl"


def keep_glance(paths: StudyPaths, content: bytes, marks: str, place: Place) -> None:
    """Keep it, for the state of the folder that `marks_of` told before it was made, and the ledger up to its end. Nobody waits
    for the disk.

    Raises:
        OSError: The folder cannot be written.
    """
    body = b"%b\n%b\n%b" % (marks.encode(), msgspec.json.encode(place), content)
    write_atomic(paths.glance, b"%08x\n%b" % (zlib.crc32(body), body), durable=False)


def drop_glance(paths: StudyPaths) -> None:
    """Forget it."""
    remove(paths.glance, durable=False)


def known_glance(paths: StudyPaths, *, certain: bool = False) -> bytes | None:
    """What was kept; ``None`` where nothing was, or anything is not as it was then.

    Args:
        paths: The study's files.
        certain: Whether the ledger's bytes are read, too: a disk may change them, which its times do not tell; and times and
            names that this host knows over a network may be a minute old.
    """
    try:
        head, _, body = (read_bytes(paths.glance) or b"").partition(b"\n")
        if not body or int(head, 16) != zlib.crc32(body):
            return None
        marks, place, content = body.split(b"\n", 2)
        if marks.decode() != marks_of(paths):
            return None
        if certain and not ends_at(paths.ledger, msgspec.json.decode(place, type=Place)):
            return None
        return content
    except (OSError, ValueError, msgspec.MsgspecError):
        return None


def marks_of(paths: StudyPaths) -> str:
    """What tells one state of a study's folder from the next: its segments, and when a trial's folder last came or went.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(paths.ledger) as entries:
        segments = sorted(
            (entry.name, status.st_size, status.st_mtime_ns)
            for entry in entries
            if entry.name.endswith(_SEGMENT) and (status := entry.stat())
        )
    found = [f"{name}:{size}:{at}" for name, size, at in segments]
    trials = os.stat(paths.trials).st_mtime_ns if paths.trials.exists() else 0
    return f"{' '.join(found)} trials:{trials}{' damaged' if paths.new_ledger.exists() else ''}"
