"""Files on a mounted drive, which may fail for a moment, and may not hold what was written: what is written is read back.

What is written goes into its place, not beside it and renamed: a drive may lose a rename, and keeps what is removed in its
bin. Whoever writes so has another copy that is whole until this one is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from outlast._system.files import remove_tree
from outlast._system.observed import see
from outlast._system.reading import PathLike

_T = TypeVar("_T")
_PIECE = 2**20
_MOMENTARY = (errno.EIO, errno.EAGAIN, errno.EBUSY, errno.ENOTCONN, errno.ESTALE, errno.EINTR, errno.ETIMEDOUT)
_WAITS = (0.1, 0.4, 1.5)  # seconds


def patiently(do: Callable[..., _T], *given: Any) -> _T:
    """Do it again for two seconds where a drive fails for a moment.

    Raises:
        OSError: It still does, or it is no failure that passes.
    """
    for wait in _WAITS:
        try:
            return do(*given)
        except OSError as error:
            if error.errno not in _MOMENTARY:
                raise
        time.sleep(wait)
    return do(*given)


def digest_of(path: PathLike) -> str:
    """The SHA-256 of a file's content, as the drive has it and not as this machine remembers it."""
    import hashlib  # whoever only looks needs none

    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        with contextlib.suppress(OSError, AttributeError):  # no such call on macOS
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


def write_verified(path: PathLike, data: bytes) -> None:
    """Write a file in its place and read it back.

    Raises:
        OSError: A disk refused, or the file does not hold what was written (EIO).
    """
    path = os.fspath(path)
    see("write", path, data=data)
    with open(path, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        _settle(file.fileno())
    import hashlib

    require_digest(path, hashlib.sha256(data).hexdigest())


def copy_verified(source: PathLike, target: PathLike) -> str:
    """Copy a file into its target's place, with its times, and read it back. Returns its SHA-256.

    Raises:
        OSError: As of `write_verified`.
    """
    target = os.fspath(target)
    see("copy", target, source=os.fspath(source))
    import hashlib  # whoever only looks needs none

    found = hashlib.sha256()
    with open(source, "rb", buffering=0) as file, open(target, "wb", buffering=0) as out:
        status = os.fstat(file.fileno())
        while piece := file.read(_PIECE):
            found.update(piece)
            view = memoryview(piece)
            while view:
                view = view[out.write(view) or 0 :]
        _settle(out.fileno())
    with contextlib.suppress(OSError):  # a drive may keep its own times
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    require_digest(target, found.hexdigest())
    return found.hexdigest()


def copy_tree(source: PathLike, target: PathLike, *, hidden: bool) -> None:
    """Copy a folder, not read back. A drive may have no links: a link to a file is copied as that file; one to a folder stays a
    link where there can be some, and is left out elsewhere; one to nowhere is left out.

    Args:
        source: The folder.
        target: Its copy; must not be there.
        hidden: Whether names that begin with a dot are copied as well.

    Raises:
        OSError: A disk refused (`shutil.Error`: of these files); nothing is left of the copy if that can be helped.
    """
    import shutil

    def is_meant(name: str) -> bool:
        return hidden or not name.startswith(".")

    def ignored(place: str, names: list[str]) -> set[str]:
        paths = {name: os.path.join(place, name) for name in names}
        linked = {name for name, path in paths.items() if os.path.islink(path) and not os.path.isfile(path)}
        return linked | {name for name in names if not is_meant(name)}

    try:
        shutil.copytree(source, target, symlinks=False, ignore=ignored)
    except OSError:  # half of it would only take up room
        with contextlib.suppress(OSError):
            remove_tree(target)
        raise
    for place, folders, _ in os.walk(source):
        for link in [os.path.join(place, name) for name in folders if is_meant(name)]:
            if os.path.islink(link):
                with contextlib.suppress(OSError):
                    os.symlink(os.readlink(link), os.path.join(target, os.path.relpath(link, source)))


def require_digest(path: PathLike, digest: str) -> None:
    """Raise EIO where a file does not hold what it should."""
    if digest_of(path) != digest:
        raise OSError(errno.EIO, "it does not hold what was written", os.fspath(path))


def _settle(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # it has none
            raise
