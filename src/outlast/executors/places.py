"""Places in a queue of processes: one small file each, with an flock on it as long as its owner lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid

from msgspec import Struct

_BYTES = 8192  # a file's length is a number of these that never shrinks: a write replaces all of it at once
_MOST = 2**24  # bytes that are read of somebody's file


class OwnPlace:
    """Our file in a folder of places, seen by the others from the first `write` on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd: int | None = None
        self._length = _BYTES

    @property
    def is_taken(self) -> bool:
        """Whether we have said anything yet."""
        return self._fd is not None

    def write(self, content: bytes) -> None:
        """Say this, and nothing else any more. The file appears with its lock held.

        Raises:
            OSError: The folder cannot be written.
        """
        self._length = max(self._length, -(-len(content) // _BYTES) * _BYTES)
        content = content.ljust(self._length)
        if self._fd is None:
            self._fd = self._made(content)
        os.pwrite(self._fd, content, 0)

    def _made(self, content: bytes) -> int:
        beside = os.path.join(os.path.dirname(self.path), f".{uuid.uuid4().hex}")
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.pwrite(fd, content, 0)
            os.rename(beside, self.path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def close(self, *, keep: bool = False) -> None:
        """Leave the queue; what we said last stays to be read if it is to be kept."""
        if self._fd is not None:
            if not keep:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path)
            os.close(self._fd)
            self._fd = None


class Said(Struct, frozen=True):
    """What a place's file says."""

    content: bytes
    alive: bool  # somebody holds it
    uid: int  # whose it is, as the kernel knows


def read_place(path: str) -> Said | None:
    """Read a place; ``None`` where there is none, or none for us."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return Said(os.read(fd, min(_MOST, os.fstat(fd).st_size)), not _is_free(fd), os.fstat(fd).st_uid)
    finally:
        os.close(fd)


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
