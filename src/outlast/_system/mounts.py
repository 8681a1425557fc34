"""The filesystem that a folder lies on: whether other hosts may share it, where flock says nothing, or too much, about this host;
what room it has left; and what it can do, found out by trying: a study needs hard links, locks and fsync."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Callable
from typing import NamedTuple

_TYPES = frozenset(
    {
        "nfs", "nfs4", "lustre", "gpfs", "beegfs", "beegfs_nodev", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "glusterfs",
        "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2", "coda", "fuse", "virtiofs",
    }
)  # fmt: skip
#: How filesystems say that they cannot do what was asked.
NOT_SUPPORTED = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EMLINK, errno.ENOLCK)
_PROBE = ".outlast-probe."
_TRIED_WITHIN = 60.0  # seconds
_ESCAPE = re.compile(r"\\([0-7]{3})")


def is_shared(path: str | os.PathLike[str], mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether a path lies on a network filesystem, or on one in user space (FUSE), which may well be one.

    The path need not exist. Where there is no table of `mounts` as in proc(5) (macOS), nothing is known to be shared.
    """
    path = os.path.realpath(path)
    longest, kind = -1, ""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as table:
            for line in table:
                before, _, after = line.partition(" - ")
                point = _ESCAPE.sub(lambda code: chr(int(code[1], 8)), before.split(" ")[4])
                if len(point) >= longest and (path == point or path.startswith(point.rstrip("/") + "/")):
                    longest, kind = len(point), after.split(" ", 1)[0]  # of two at one place the later one is seen
    except (OSError, IndexError):
        return False
    return kind in _TYPES or kind.startswith("fuse.")


class Room(NamedTuple):
    """What a filesystem has left for us, and has in all."""

    free: int  # bytes
    size: int
    inodes_free: int  # files that may be made
    inodes: int  # 0 where it does not count them


def room_in(place: str | os.PathLike[str]) -> Room | None:
    """The room where a folder or file lies; ``None`` where nobody can tell."""
    try:
        disk = os.statvfs(place)
    except OSError:
        return None
    return Room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize, disk.f_favail, disk.f_files)


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
