"""A lock that the kernel drops with the last process that inherited it (flock(2))."""

from __future__ import annotations

import errno
import fcntl
import os

__all__ = ["FileLock", "is_locked"]


class FileLock:
    """An exclusive flock on an open file. Children that inherit `fd` hold it as well, until the last of them ends."""

    def __init__(self, path: str, *, create: bool = True) -> None:
        flags = os.O_RDWR | (os.O_CREAT if create else 0)
        self.path = path
        self.fd = os.open(path, flags, 0o644)

    def acquire(self) -> bool:
        """Take the lock without waiting. Returns whether it was free."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def close(self) -> None:
        """Close our descriptor; the lock goes when the last inheritor's goes."""
        os.close(self.fd)


def is_locked(path: str) -> bool | None:
    """Whether anybody on this host holds the lock; ``None`` if there is no such file."""
    try:
        lock = FileLock(path, create=False)
    except FileNotFoundError:
        return None
    try:
        return not lock.acquire()
    finally:
        lock.close()
