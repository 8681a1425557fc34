"""The filesystem that a folder lies on: whether other hosts may share it, where flock says nothing, or too much, about this host;
and what room it has left."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_TYPES = frozenset(
    {
        "nfs", "nfs4", "lustre", "gpfs", "beegfs", "beegfs_nodev", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "glusterfs",
        "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2", "coda", "fuse", "virtiofs",
    }
)  # fmt: skip
_ESCAPE = re.compile(r"\\([0-7]{3})")


def is_shared(path: str | os.PathLike[str], mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether a path lies on a network filesystem, or on one in user space (FUSE), which may well be one.

    Args:
        path: It need not exist.
        mounts: A table of mounts as in proc(5). Where there is none (macOS), nothing is known to be shared.
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
