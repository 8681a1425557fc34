"""Bringing to the disk what is there: files, the names in folders, whole trees."""

from __future__ import annotations

import contextlib
import errno
import os

from outlast._system.observed import see
from outlast._system.reading import PathLike, unstale


def fsync_dir(path: PathLike) -> None:
    """Make the folder's entries durable."""
    path = os.fspath(path) or "."
    see("fsync_dir", path)
    fd = unstale(os.open, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a filesystem that does not sync folders
            raise
    finally:
        os.close(fd)


def fsync_file(path: PathLike) -> None:
    """Make durable what somebody else wrote into a file and may not have come to sync."""
    path = os.fspath(path)
    see("fsync", path)
    fd = unstale(os.open, path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_dir(path: PathLike, *, durable: bool = True) -> None:
    """Create a folder and its missing parents; `durable`: each in its parent.

    All are made before the first fsync: a journal is written once then, and not once for each.
    """
    path = os.path.abspath(os.fspath(path))
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        see("mkdir", each)
        with contextlib.suppress(FileExistsError):
            os.mkdir(each)
    for each in reversed(missing) if durable else ():
        fsync_dir(os.path.dirname(each))


def make_folder(path: PathLike) -> bool:
    """Create a folder, and its missing parents, without bringing any to the disk. Returns whether it was not there."""
    path = os.fspath(path)
    see("mkdir", path)
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    except FileNotFoundError:
        make_dir(path, durable=False)
    return True


def remove_empty(path: PathLike) -> bool:
    """Remove a folder in which there is nothing. Returns whether it is gone now."""
    path = os.fspath(path)
    see("rmdir", path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:  # it holds something
        return False
    return True


def settle(path: PathLike, root: PathLike) -> None:
    """Make durable what was made without: a file or folder, and every folder above it up to `root`, which must be one of them."""
    path, root = os.path.abspath(os.fspath(path)), os.path.abspath(os.fspath(root))
    if os.path.isfile(path):
        fsync_file(path)
        path = os.path.dirname(path)
    while path.startswith(root):
        fsync_dir(path)
        if path == root:
            break
        path = os.path.dirname(path)


def settle_tree(folder: PathLike) -> None:
    """Make everything below a folder durable, whoever wrote it. What vanishes meanwhile is passed over."""
    for place, _, names in os.walk(folder):
        for name in [*names, "."]:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
                    fsync_readable(path)


def fsync_readable(path: str) -> None:
    """Bring a file or folder to the disk (fsync(2) works on descriptors that were opened for reading)."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
