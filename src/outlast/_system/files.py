"""Durable files: atomic replacement, exactly-once creation, appends that are on the disk when they return.

Every operation goes past `outlast._system.observed`: fault injection counts, records and kills there.
The rules (fsync the file before its name, the folder after; links for exactly-once) follow the POSIX semantics of
rename(2), link(2) and fsync(2).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import time
from collections.abc import Callable
from typing import Any

from outlast._system.observed import see
from outlast._system.own_pid import own_pid
from outlast._system.reading import STALE_WAITS, PathLike, list_names, unstale
from outlast._system.syncing import fsync_dir, fsync_readable

_serial = itertools.count()
_PIECE, _COMPARED = 2**20, 4096  # bytes
_NEW = os.O_CREAT | os.O_EXCL
_TEMPORARY = re.compile(r"^\..+\.\d+\.\d+\.tmp$")


def _temporary(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{own_pid()}.{next(_serial)}.tmp")


def appear(
    path: str, make: Callable[[str], object], *, durable: bool = True, fence: Callable[[], object] | None = None
) -> None:
    """What is made under a temporary name takes the place of what has this one; where anything fails, it is gone.

    Args:
        make: Makes it under the name that it is handed, which begins with a dot.
        durable, fence: As in `write_atomic`.
    """
    temporary = _temporary(path)
    try:
        make(temporary)
        if fence is not None:
            fence()
        see("rename", temporary, target=path)
        os.replace(temporary, path)
    except FileExistsError:  # another host's process of the same number is writing it
        raise
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        _ask_where_gone(error, fence)
        raise
    if durable:
        fsync_dir(os.path.dirname(path))


def _ask_where_gone(error: BaseException, fence: Callable[[], object] | None) -> None:
    """A temporary file that is gone was removed by whoever took over: then that is what the writer hears."""
    if fence is not None and isinstance(error, FileNotFoundError):
        fence()


def _write(path: str, data: bytes, *, durable: bool = True, flags: int = _NEW) -> None:
    see("write", path, data=data)
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o644)
    try:
        _write_all(fd, data)
        if not flags:
            os.ftruncate(fd, len(data))  # a spare file may be longer
        if durable:
            see("fsync", path)
            os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def write_atomic(
    path: PathLike, data: bytes | str, *, durable: bool = True, fence: Callable[[], object] | None = None
) -> None:
    """Replace a file: afterwards, and after any crash, it holds the old content or the new, whole.

    Args:
        durable: Whether it must survive a power loss; without it, nobody ever sees half a file, but it may be lost or empty
            after one: for files that are made anew where they are missed.
        fence: Asked between writing and appearing; raises where the writer has lost the right to. Whoever took it over removes
            the temporary files (`remove_temporaries`) before writing: so nothing old can appear over something new.
    """
    content = _bytes(data)
    appear(os.fspath(path), lambda new: _write(new, content, durable=durable), durable=durable, fence=fence)


def write_new(path: PathLike, data: bytes | str) -> None:
    """Write a file that nobody looks for yet, over what was left of it: neither whole at once nor durable."""
    _write(os.fspath(path), _bytes(data), durable=False, flags=os.O_CREAT | os.O_TRUNC)


def copy_file(
    source: PathLike, target: PathLike, *, durable: bool = True, fence: Callable[[], object] | None = None
) -> None:
    """Copy a file of any size under its target's name, with its mode and times: whole or not at all, as `write_atomic`.

    A symbolic link is copied as a link. The target, whose folder must exist, is replaced if it is there.
    """

    def copy(temporary: str) -> None:
        import shutil

        see("copy", temporary, source=os.fspath(source))
        shutil.copy2(source, temporary, follow_symlinks=False)
        if durable and not os.path.islink(temporary):
            see("fsync", temporary)
            fsync_readable(temporary)

    appear(os.fspath(target), copy, durable=durable, fence=fence)


def copy_what_is_new(
    source: PathLike, target: PathLike, *, known: int, size: int, fence: Callable[[], object] | None = None
) -> bool:
    """Bring a copy of a file that grows up to `size` bytes, in its place: what was copied of it before, up to `known`, stays.

    Returns:
        Whether that could be done. Not where the end of what was copied differs, or one of them is shorter: nothing was written.
    """
    with open(source, "rb") as new, open(target, "r+b") as old:
        if not known <= size or os.fstat(old.fileno()).st_size < known:
            return False
        compared = min(known, _COMPARED)
        for file in (new, old):
            file.seek(known - compared)
        if new.read(compared) != old.read(compared):
            return False
        if fence is not None:
            fence()
        see("append", os.fspath(target))
        left = size - known
        while left and (piece := new.read(min(left, _PIECE))):
            old.write(piece)
            left -= len(piece)
        old.truncate()
        old.flush()
        os.fsync(old.fileno())
    return True


def remove_temporaries(folder: PathLike) -> None:
    """Remove what interrupted writers left in a folder. Only for whoever has the sole right to write there."""
    folder = os.fspath(folder)
    for name in list_names(folder):
        if _TEMPORARY.match(name):
            remove(os.path.join(folder, name), durable=False)


def has_temporaries(folder: PathLike) -> bool:
    """Whether there is something in a folder that is being written, or was when its writer died."""
    return any(map(_TEMPORARY.match, list_names(folder)))


def write_once(
    path: PathLike, data: bytes | str, *, durable: bool = True, spare: PathLike | None = None,
    fence: Callable[[], object] | None = None,
) -> bool:  # fmt: skip
    """Create a file that nobody else has created, with its whole content.

    Args:
        durable, fence: As in `write_atomic`.
        spare: A file in the same folder that is used up: its room and its inode are taken over, so that this succeeds on a
            disk that has neither left.

    Returns:
        Whether this call created it; ``False`` if it was there already.
    """
    path = os.fspath(path)
    temporary = _temporary(path) if spare is None else os.fspath(spare)
    try:
        _write(temporary, _bytes(data), durable=durable or spare is not None, flags=_NEW if spare is None else 0)
        if fence is not None:
            fence()
        created = _link(temporary, path)
    except FileExistsError:  # another host's process of the same number is writing it
        raise
    except BaseException as error:
        _used_up(temporary)
        _ask_where_gone(error, fence)
        raise
    _used_up(temporary)
    if durable:
        fsync_dir(os.path.dirname(path))
    return created


def _used_up(temporary: str) -> None:
    see("unlink", temporary)
    with contextlib.suppress(FileNotFoundError):  # it became the file, where there is no inode for a link
        os.unlink(temporary)


def _link(temporary: str, path: str) -> bool:
    see("link", temporary, target=path)
    try:
        os.link(temporary, path)
    except OSError as error:
        # Over NFS a retransmitted LINK can answer "exists" although it was ours: the link count tells (open(2), O_EXCL).
        if _links(temporary) == 2:
            return True
        if error.errno == errno.EEXIST:
            return False
        if error.errno == errno.ENOSPC and _rename_to_new(temporary, path):
            return True  # tmpfs counts a link as an inode
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        return _create_exclusively(temporary, path)  # a filesystem without links
    return True


def _links(path: str) -> int:
    fd = unstale(os.open, path, os.O_RDONLY | os.O_CLOEXEC)  # opened: a stat would be answered from the cache
    try:
        return os.fstat(fd).st_nlink
    finally:
        os.close(fd)


def _rename_to_new(source: str, target: str) -> bool:
    """Rename to a name that nobody has (renameat2(2), RENAME_NOREPLACE). Returns whether that was possible."""
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    here, new = -100, 1  # AT_FDCWD, RENAME_NOREPLACE
    return rename is not None and rename(here, os.fsencode(source), here, os.fsencode(target), new) == 0


def _create_exclusively(temporary: str, path: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    try:
        with open(temporary, "rb") as source:
            _write_all(fd, source.read())
        os.fsync(fd)
    finally:
        os.close(fd)
    return True


def append_durable(fd: int, data: bytes, path: str) -> None:
    """Append to an open file (opened with ``O_APPEND``); on return the data is on the disk."""
    see("append", path, data=data)
    _write_all(fd, data)
    see("fsync", path)
    os.fsync(fd)


def rename(source: PathLike, target: PathLike, *, durable: bool = True) -> None:
    """Rename; `durable`: in both folders."""
    source, target = os.fspath(source), os.fspath(target)
    see("rename", source, target=target)
    os.replace(source, target)
    if not durable:
        return
    fsync_dir(os.path.dirname(target))
    if os.path.dirname(source) != os.path.dirname(target):
        fsync_dir(os.path.dirname(source))


def stamp_of(path: PathLike) -> tuple[int, int, int] | None:
    """What a file or folder has, also once it is renamed, and another one under its name later has not; ``None``: none is there.

    Device, inode and time of change of the content: the number alone is given away again when a file is removed. The other way
    round it proves nothing: some filesystems give what is renamed, or looked at again, another number.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def rename_that(
    source: PathLike,
    target: PathLike,
    stamp: tuple[int, int, int] | None,
    *,
    fence: Callable[[], object],
    durable: bool = True,
) -> bool:
    """As `rename`, of the one that had this stamp when it was decided about.

    For whoever may have been stopped since, while somebody else did what was decided, and more: what has the name by now goes
    back.

    Args:
        fence: Asked where another one was renamed; raises where somebody else may have put it there. If nobody may, it is
            the filesystem that changes numbers, or whoever wrote to it last.

    Returns:
        Whether it was there; if not, somebody else has renamed or removed it.
    """
    try:
        rename(source, target, durable=durable)
    except FileNotFoundError:
        if os.path.lexists(source):
            raise  # it is the target's folder that is missing
        return False
    if stamp_of(target) != stamp:
        try:
            fence()
        except BaseException:
            if not os.path.lexists(source):
                rename(target, source, durable=durable)
            raise
    return True


def remove(path: PathLike, *, durable: bool = True) -> None:
    """Remove a file if it is there."""
    path = os.fspath(path)
    see("unlink", path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    if durable:
        fsync_dir(os.path.dirname(path))


def remove_tree(path: PathLike) -> None:
    """Remove a folder with all it holds, if it is there.

    Over NFS, what a process still has open stays behind under a name of the client's, and its folder with it: it is tried
    again for a second, in which a runner that has just left its evidence ends, and then left to whoever tidies up later.
    """
    import shutil  # not by whoever only reads

    path = os.fspath(path)
    see("rmtree", path)
    for wait in STALE_WAITS[1:-1]:
        shutil.rmtree(path, ignore_errors=False, onerror=_ignore_missing)
        if not os.path.lexists(path):
            return
        time.sleep(wait)
    shutil.rmtree(path, ignore_errors=False, onerror=_ignore_missing)


def _ignore_missing(_function: Any, _path: str, error: Any) -> None:
    if error[1].errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY):
        raise error[1]


def symlink_atomic(target: str, link: PathLike, *, fence: Callable[[], object] | None = None) -> None:
    """Point a symbolic link somewhere else; at no time is there none. `fence` as in `write_atomic`."""

    def make(temporary: str) -> None:
        see("symlink", temporary, target=target)
        os.symlink(target, temporary)

    appear(os.fspath(link), make, fence=fence)
