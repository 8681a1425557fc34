"""What a filesystem can do, found out by trying: a study needs hard links, locks and fsync, and a mounted drive may lack them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable

#: How filesystems say that they cannot do what was asked.
NOT_SUPPORTED = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EMLINK, errno.ENOLCK)
_PROBE = ".outlast-probe."
_TRIED_WITHIN = 60.0  # seconds


def lacking(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """What the filesystem under a folder cannot do, of ``hard links``, ``locks`` and ``fsync``.

    Nothing is left behind. A folder that cannot be written at all lacks nothing here: that is said elsewhere.

    Args:
        folder: Its nearest parent that exists is tried.
    """
    place = os.path.abspath(folder)
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    _remove_forgotten(place)
    path = os.path.join(place, f"{_PROBE}{os.urandom(4).hex()}")
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return ()
    tried: tuple[tuple[str, Callable[[], object]], ...] = (
        # First: it says to others that this is in use.
        ("locks", lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)),
        ("hard links", lambda: os.link(path, path + ".2")),
        ("fsync", lambda: os.fsync(fd)),
    )
    try:
        return tuple(name for name, attempt in tried if not _works(attempt))
    finally:
        os.close(fd)
        for name in (path, path + ".2"):
            with contextlib.suppress(OSError):
                os.unlink(name)


def _remove_forgotten(place: str) -> None:
    """Remove what a process left that was killed while it tried.

    Whoever tries holds the lock of what it tries with; where nobody can hold one, what is old is forgotten.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            if name.startswith(_PROBE) and (_is_nobodys(path) or time.time() - os.stat(path).st_mtime > _TRIED_WITHIN):
                os.unlink(path)


def _is_nobodys(path: str) -> bool:
    """Whether a lock could be taken that whoever tries would hold."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError as error:
        return error.errno not in NOT_SUPPORTED
    return True
