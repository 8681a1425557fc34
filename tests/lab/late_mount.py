"""A network filesystem with slow caches, in user space: one mount of it is one client host.

All mounts pass through to one backing folder, which is the server. Each has caches of its own, as an NFS client has:

- What a name leads to (or that it leads to nothing), attributes and listings are believed for D seconds. What was changed
  through the same mount shows at once, what was changed through another only when the cache has run out.
- Opening a file that the cache knows asks the server (close-to-open): a new content, or that the file is gone, shows at once.
  A name of which the cache believes that nobody has it stays missing. Listings are as late as everything else, which is worse
  than what Linux's NFS client does unless it is mounted with `nocto`.
- Whatever creates a name exclusively (O_EXCL, link, mkdir) is answered by the server.
- A file that was removed or replaced through another mount while it is open is stale: ESTALE. More of these come on request.
- There is no RENAME_EXCHANGE, and locks are not seen by other hosts.

Run as ``python late_mount.py BACKING MOUNTPOINT CONTROL``; CONTROL is a file of three doubles that is read at every operation:
D in seconds, how far the caches' clock is ahead of the real one, and the share of opens and reads that answer ESTALE. A fourth
argument takes hard and symbolic links away.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import re
import struct
import sys
import time
from typing import Any

CONTROL = struct.Struct("ddd")
_STUDY_FILES = re.compile(r"/(ledger|open|requests|attempts|lease)(/|$)")  # what the storms of ESTALE hit
_ATTRIBUTES = (
    "st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size",
    "st_atime_ns", "st_mtime_ns", "st_ctime_ns", "st_blocks", "st_rdev",
)  # fmt: skip


def _attributes(status: os.stat_result) -> dict[str, int]:
    return {name.removesuffix("_ns"): getattr(status, name) for name in _ATTRIBUTES}


class Caches:
    """What one client believes. Paths are those of the backing folder."""

    def __init__(self, control: mmap.mmap) -> None:
        self._control = control
        self._names: dict[str, tuple[float, os.stat_result | None]] = {}
        self._listings: dict[str, tuple[float, set[str]]] = {}
        self._random = random.Random(7)

    @property
    def _now(self) -> float:
        return time.monotonic() + float(CONTROL.unpack_from(self._control)[1])

    def _believed(self, fetched_at: float) -> bool:
        return self._now - fetched_at < float(CONTROL.unpack_from(self._control)[0])

    def perhaps_stale(self, path: str) -> None:
        """A storm of ESTALE."""
        if self._random.random() < CONTROL.unpack_from(self._control)[2] and _STUDY_FILES.search(path):
            raise OSError(errno.ESTALE, "stale")

    def look_up(self, path: str) -> os.stat_result:
        """What a name leads to, as far as this client knows."""
        known = self._names.get(path)
        if known is None or not self._believed(known[0]):
            known = self.ask(path)
        if known[1] is None:
            raise OSError(errno.ENOENT, "no such file")
        return known[1]

    def believes_missing(self, path: str) -> bool:
        known = self._names.get(path)
        return known is not None and known[1] is None and self._believed(known[0])

    def ask(self, path: str) -> tuple[float, os.stat_result | None]:
        """Ask the server, and remember."""
        try:
            found: os.stat_result | None = os.lstat(path)
        except FileNotFoundError:
            found = None
        self._names[path] = (self._now, found)
        return self._names[path]

    def list(self, path: str) -> list[str]:
        known = self._listings.get(path)
        if known is None or not self._believed(known[0]):
            known = self._listings[path] = (self._now, set(os.listdir(path)))
        return [".", "..", *sorted(known[1])]

    def made(self, path: str) -> None:
        """This client has made or changed a name."""
        self.ask(path)
        if listing := self._listings.get(os.path.dirname(path)):
            listing[1].add(os.path.basename(path))

    def removed(self, path: str) -> None:
        """This client has removed a name."""
        for known in (self._names, self._listings):
            for name in [name for name in known if name.startswith(path + "/")]:
                del known[name]
        self._listings.pop(path, None)
        self.ask(path)
        if listing := self._listings.get(os.path.dirname(path)):
            listing[1].discard(os.path.basename(path))


def mount(backing: str, mountpoint: str, control: str, no_links: str = "") -> None:
    """Serve until the mount is gone; with `no_links` like a mounted drive, which knows neither kind."""
    os.environ["FUSE_LIBRARY_NAME"] = "fuse"  # version 2: with 3, the binding takes an exchange for a plain rename
    from mfusepy import FUSE, Operations

    class LateMount(Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            with open(control, "r+b") as file:
                self.caches = Caches(mmap.mmap(file.fileno(), CONTROL.size))

        # what is looked at

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            if fh is not None:
                return _attributes(_still_there(fh))
            return _attributes(self.caches.look_up(backing + path))

        def access(self, path: str, amode: int) -> int:
            return 0

        def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
            names = self.caches.list((backing + path).rstrip("/"))
            return [(name, {"st_ino": 1, "st_mode": 0}, 0) for name in names]  # an inode of 0 would be no entry

        def readlink(self, path: str) -> str:
            return os.readlink(backing + path)

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(backing + path)
            return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

        # files

        def open(self, path: str, flags: int) -> int:
            place = backing + path
            self.caches.perhaps_stale(place)
            if self.caches.believes_missing(place):
                raise OSError(errno.ENOENT, "no such file")
            try:
                return os.open(place, flags & ~(os.O_CREAT | os.O_EXCL))
            finally:
                self.caches.ask(place)

        def create(self, path: str, mode: int, flags: int) -> int:
            try:
                return os.open(backing + path, flags | os.O_CREAT, mode)
            finally:
                self.caches.made(backing + path)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            self.caches.perhaps_stale(backing + path)
            _still_there(fh)
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            _still_there(fh)
            written = os.pwrite(fh, data, offset)
            self.caches.ask(backing + path)
            return written

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            os.truncate(backing + path if fh is None else fh, length)
            self.caches.ask(backing + path)
            return 0

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            _still_there(fh)
            return 0  # the server is no machine that loses power

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def utimens(self, path: str, times: Any = None) -> int:
            os.utime(backing + path, ns=times)
            self.caches.ask(backing + path)
            return 0

        def chmod(self, path: str, mode: int) -> int:
            os.chmod(backing + path, mode)
            self.caches.ask(backing + path)
            return 0

        def chown(self, path: str, uid: int, gid: int) -> int:
            os.chown(backing + path, uid, gid)
            self.caches.ask(backing + path)
            return 0

        # names

        def link(self, target: str, source: str) -> int:
            if no_links:
                raise OSError(errno.ENOTSUP, "no links here")
            try:
                os.link(backing + source, backing + target)
            finally:
                self.caches.made(backing + target)
                self.caches.ask(backing + source)
            return 0

        def symlink(self, target: str, source: str) -> int:
            if no_links:
                raise OSError(errno.ENOTSUP, "no links here")
            os.symlink(source, backing + target)
            self.caches.made(backing + target)
            return 0

        def mkdir(self, path: str, mode: int) -> int:
            try:
                os.mkdir(backing + path, mode)
            finally:
                self.caches.made(backing + path)
            return 0

        def rename(self, old: str, new: str) -> int:
            os.rename(backing + old, backing + new)
            self.caches.removed(backing + new)
            self.caches.removed(backing + old)
            self.caches.made(backing + new)
            return 0

        def unlink(self, path: str) -> int:
            try:
                os.unlink(backing + path)
            finally:
                self.caches.removed(backing + path)
            return 0

        def rmdir(self, path: str) -> int:
            try:
                os.rmdir(backing + path)
            finally:
                self.caches.ask(backing + path)
            self.caches.removed(backing + path)
            return 0

    FUSE(
        LateMount(), mountpoint, foreground=True, nothreads=True, allow_other=True, use_ino=True, fsname="server:/share",
        entry_timeout=0, negative_timeout=0, attr_timeout=0, ac_attr_timeout=0,
    )  # fmt: skip


def _still_there(fh: int) -> os.stat_result:
    """A file that this client removed itself has another name for as long as it is open, here as with NFS."""
    status = os.fstat(fh)
    if status.st_nlink == 0:
        raise OSError(errno.ESTALE, "removed or replaced by another host")
    return status


if __name__ == "__main__":
    mount(*sys.argv[1:])
