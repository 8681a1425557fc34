"""Locks on shares of cards that the kernel drops with the last process that inherited them.

Every card has one file, named by its UUID, in a folder that all users of the machine share. A share of the card is a range of
that file's bytes (`outlast._system.range_locks`). So one descriptor is one share of any size, and "all of the card" excludes
every part of it. Whoever holds a range writes his pid at its beginning.

The folder is like /tmp: everybody may add to it and nobody may remove what is another's (sticky bit). The files carry that bit
as well, which keeps systemd-tmpfiles(8) from removing them for their age.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import uuid as uuids

from msgspec import Struct

from outlast._system.range_locks import lock_range, locked_ranges

#: Environment variable with another folder for the locks.
DIRECTORY_VARIABLE = "OUTLAST_GPU_LOCK_DIR"
_DIRECTORY = "/tmp/outlast-gpu-locks"  # noqa: S108  # not TMPDIR: all users and sessions must meet in it

#: A whole card. Divisible by 1 to 8, 10, 12, 14, 15 …: that many equal shares fill it.
UNITS = 840
_RECORD = 32  # bytes for each unit: room for the holder's pid


class Holder(Struct, frozen=True):
    """Who holds a share of a card."""

    start: int  # units
    units: int
    pid: int  # as written at the beginning of the range; 0 if there is nothing yet


class CardLock(Struct, frozen=True):
    """A share that is held through `fd`, by every process that has it."""

    uuid: str
    fd: int
    start: int  # units
    units: int

    @classmethod
    def take(cls, directory: str, uuid: str, units: int) -> CardLock | None:
        """Take a share of so many `units`, up to `UNITS`, without waiting; ``None`` if that much is not free in one piece.

        Raises:
            OSError: The lock's file cannot be opened or made.
        """
        for _ in range(3):
            fd = _open(directory, uuid)
            for start in range(0, UNITS - units + 1, units):
                if not lock_range(fd, start * _RECORD, units * _RECORD):
                    continue
                if _is_there(fd, _path(directory, uuid)):
                    sign(fd, start)
                    return cls(uuid, fd, start, units)
                break  # somebody removed the file in between: the next one is the right one
            else:
                os.close(fd)
                return None
            os.close(fd)
        return None

    def close(self) -> None:
        """Close our descriptor; the share is free once the last inheritor's is closed."""
        os.close(self.fd)


def sign(fd: int, start: int) -> None:
    """Write our pid at the beginning of a share that we hold."""
    os.pwrite(fd, f"{os.getpid():<{_RECORD - 1}}\n".encode(), start * _RECORD)


def holders(fd: int) -> list[Holder]:
    """Who holds shares of the card whose file this descriptor has open, other than through this descriptor."""
    return [
        Holder(at // _RECORD, length // _RECORD, _signed(fd, at))
        for at, length in locked_ranges(fd, 0, UNITS * _RECORD)
    ]


def holders_of(directory: str, uuid: str) -> list[Holder]:
    """Who holds shares of a card. Nobody where it was never locked."""
    try:
        fd = os.open(_path(directory, uuid), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return holders(fd)
    finally:
        os.close(fd)


def lock_directory() -> str:
    """The folder of the locks."""
    return os.environ.get(DIRECTORY_VARIABLE) or _DIRECTORY


def make_lock_directory(directory: str) -> None:
    """Make the folder so that every user of the machine can lock in it.

    Raises:
        OSError: It cannot be made, or is not a folder.
    """
    try:
        os.mkdir(directory, 0o1777)
        os.chmod(directory, 0o1777)  # noqa: S103  # whatever the umask
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(directory).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), directory) from None


def _path(directory: str, uuid: str) -> str:
    return os.path.join(directory, re.sub(r"[^A-Za-z0-9._-]", "_", uuid) + ".lock")


def _open(directory: str, uuid: str) -> int:
    """Open a card's file; made where it is not there yet, complete and for everybody before it has its name.

    Never O_CREAT on the name itself: in a sticky folder the kernel refuses that for another user's file (proc_sys_fs(5),
    protected_regular).
    """
    path = _path(directory, uuid)
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    beside = os.path.join(directory, f".{uuids.uuid4().hex}")
    fd = os.open(beside, flags | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.ftruncate(fd, UNITS * _RECORD)
        os.fchmod(fd, 0o1666)
        with contextlib.suppress(FileExistsError):  # somebody was faster: theirs is as good
            os.link(beside, path)
    finally:
        os.close(fd)
        os.unlink(beside)
    return os.open(path, flags)


def _is_there(fd: int, path: str) -> bool:
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def _signed(fd: int, at: int) -> int:
    text = os.pread(fd, _RECORD, at).strip(b"\0 \n")
    return int(text) if text.isdigit() else 0
