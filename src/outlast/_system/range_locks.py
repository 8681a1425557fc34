"""Locks on ranges of a file's bytes through an open file description (fcntl(2), F_OFD_SETLK).

Whoever inherits the descriptor holds its ranges as well, until the last of them ends or closes it; ranges that do not touch are
independent. The bytes need not be there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Iterator

_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, len, pid


def lock_range(fd: int, start: int, length: int) -> bool:
    """Lock these bytes, without waiting. Returns whether nobody had any of them."""
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def locked_ranges(fd: int, start: int, end: int) -> list[tuple[int, int]]:
    """Beginning and length of every range between two bytes that others hold than this descriptor; sorted."""
    return sorted(_locked(fd, start, end))


def gaps(locked: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Beginning and length of what lies between these ranges, from one byte to another."""
    for at, length in sorted(locked):
        if at > start:
            yield start, at - start
        start = max(start, at + length)
    if start < end:
        yield start, end - start


def _locked(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Asks for any lock in a range (F_OFD_GETLK names one), then for those before and after it."""
    if start >= end:
        return
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, end - start, 0)
    kind, _, at, length, _ = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return
    yield at, length
    yield from _locked(fd, start, at)
    yield from _locked(fd, at + length, end)
