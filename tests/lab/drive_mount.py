"""A mounted drive that fails as Google Drive's does in Colab, in user space; and what its cloud makes of a lost session.

What is written lies in a cache on the machine's own disk first, as there (https://github.com/googlecolab/colabtools/issues/287,
659 and 2607 of the same): the cloud gets it later, and what it has not got by the end of the session is lost, empty, cut off, or
a second file of that name. There are neither hard nor symbolic links. On request, operations fail with EIO, EAGAIN, ENOTCONN or
ENOSPC, and a file that was just written may be read as it was before.

Run as ``python drive_mount.py CACHE MOUNTPOINT CONTROL SEED``; CONTROL is a file of two doubles that is read at every operation:
the share of operations that fail, and of reads that are stale.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import struct
import sys
from pathlib import Path
from typing import Any

CONTROL = struct.Struct("dd")
FATES = ("whole", "old", "torn", "empty", "missing", "twice", "garbage")
_ERRORS = (errno.EIO, errno.EAGAIN, errno.ENOTCONN, errno.ENOSPC)
_ATTRIBUTES = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")


def meet(fate: str, data: bytes, there: Path, chance: random.Random) -> None:
    """What becomes of a file in the cloud that was not uploaded when the session ended; `there` is what the cloud has of it."""
    cut = data[: chance.randrange(len(data))] if data else data
    match fate:
        case "whole":
            there.write_bytes(data)
        case "torn":
            there.write_bytes(cut)
        case "empty":
            there.write_bytes(b"")
        case "missing":
            there.unlink(missing_ok=True)
        case "twice":  # two files of one name: the mount shows the second under another
            there.with_name(f"{there.stem} (1){there.suffix}").write_bytes(data)
        case "garbage":
            there.write_bytes(cut + bytes(len(data) - len(cut)))


def mount(cache: str, mountpoint: str, control: str, seed: str) -> None:
    """Serve until the mount is gone."""
    os.environ["FUSE_LIBRARY_NAME"] = "fuse"
    from mfusepy import FUSE, Operations

    chance = random.Random(int(seed))
    with open(control, "r+b") as file:
        shared = mmap.mmap(file.fileno(), CONTROL.size)

    class DriveMount(Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            self.before: dict[str, bytes] = {}  # path → what a stale read gives

        @staticmethod
        def perhaps_fails() -> None:
            if chance.random() < CONTROL.unpack_from(shared)[0]:
                raise OSError(chance.choice(_ERRORS), "the drive")

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            status = os.lstat(cache + path)
            return {name.removesuffix("_ns"): getattr(status, name) for name in _ATTRIBUTES}

        def access(self, path: str, amode: int) -> int:
            return 0

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *os.listdir(cache + path)]

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(cache + path)
            return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

        def open(self, path: str, flags: int) -> int:
            self.perhaps_fails()
            if flags & (os.O_WRONLY | os.O_RDWR):
                self.before[path] = Path(cache + path).read_bytes()
            return os.open(cache + path, flags & ~(os.O_CREAT | os.O_EXCL))

        def create(self, path: str, mode: int, flags: int) -> int:
            self.perhaps_fails()
            return os.open(cache + path, flags | os.O_CREAT, mode)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            self.perhaps_fails()
            if path in self.before and chance.random() < CONTROL.unpack_from(shared)[1]:
                return self.before.pop(path)[offset : offset + size]
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            self.perhaps_fails()
            return os.pwrite(fh, data, offset)

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            os.truncate(cache + path, length)
            return 0

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            self.perhaps_fails()
            return 0

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def utimens(self, path: str, times: Any = None) -> int:
            os.utime(cache + path, ns=times)
            return 0

        def chmod(self, path: str, mode: int) -> int:
            return 0

        def chown(self, path: str, uid: int, gid: int) -> int:
            return 0

        def link(self, target: str, source: str) -> int:
            raise OSError(errno.ENOTSUP, "no links here")

        symlink = link

        def mkdir(self, path: str, mode: int) -> int:
            self.perhaps_fails()
            os.mkdir(cache + path, mode)
            return 0

        def rename(self, old: str, new: str) -> int:
            self.perhaps_fails()
            os.rename(cache + old, cache + new)
            return 0

        def unlink(self, path: str) -> int:
            os.unlink(cache + path)
            return 0

        def rmdir(self, path: str) -> int:
            os.rmdir(cache + path)
            return 0

    FUSE(
        DriveMount(), mountpoint, foreground=True, nothreads=True, allow_other=True, fsname="drive", direct_io=True,
        entry_timeout=0, negative_timeout=0, attr_timeout=0, ac_attr_timeout=0,
    )  # fmt: skip


if __name__ == "__main__":
    mount(*sys.argv[1:])
