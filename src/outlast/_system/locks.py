"""A lock that the kernel drops with the last process that inherited it (flock(2)).

On a network filesystem that would be a lock of the whole network, or none at all, and it could outlive its host. The lock that
goes with a file there is on another one, in a folder of this host and user, named after the file: see `lock_path`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable

from outlast._system.mounts import is_shared
from outlast._system.reading import unstale

#: Environment variable with another folder for the locks of files on network filesystems.
DIRECTORY_VARIABLE = "OUTLAST_LOCK_DIR"

_PATIENCE = 0.2  # seconds; whoever clears locks away, or asks who holds one, holds each of them for a moment


class FileLock:
    """An exclusive flock that goes with an open file. Children that inherit `fd` hold it as well, until the last of them ends."""

    def __init__(self, path: str, *, create: bool = True, shared: Callable[[str, int], bool] | None = None) -> None:
        """`shared` knows better than by looking whether a file, on this device, lies on a network filesystem."""
        self.content = unstale(os.open, path, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)  # the file itself
        self.status = os.fstat(self.content)
        #: what is locked, and to be inherited; the file's own unless it is shared
        self.path, self.fd = path, self.content
        self.shared = is_shared(path) if shared is None else shared(path, self.status.st_dev)  # on a network filesystem
        if self.shared:
            self.path = _beside(path, self.status)
            self.fd = _open(self.path)

    def acquire(self, *, patience: float = _PATIENCE) -> bool:
        """Take the lock. Returns whether it was free.

        Args:
            patience: Seconds to wait for it where the file is shared, so that a passing look at it is not taken for a holder.
        """
        deadline = time.monotonic() + (patience if self.shared else 0.0)
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.005)
                continue
            if not self.shared or _is_there(self.fd, self.path):
                return True
            os.close(self.fd)  # it was cleared away between our opening and locking it
            self.fd = _open(self.path)

    def goes_with(self, path: str) -> bool:
        """Whether the file that was opened still has this name: a folder that was set aside may have left it to another."""
        try:
            fd = unstale(os.open, path, os.O_RDONLY | os.O_CLOEXEC)  # a stat may be from a cache
        except FileNotFoundError:
            return False
        try:
            return os.path.samestat(os.fstat(fd), os.fstat(self.content))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close our descriptors; the lock goes when the last inheritor's goes."""
        if self.fd != self.content:
            os.close(self.fd)
        os.close(self.content)


def is_locked(path: str) -> bool | None:
    """Whether anybody on this host holds the lock; ``None`` if there is no such file."""
    try:
        lock = FileLock(path, create=False)
    except FileNotFoundError:
        return None
    try:
        held = not lock.acquire(patience=0.0)
        if lock.shared and not held:
            _unlink(lock.path)
        return held
    finally:
        lock.close()


def lock_path(path: str) -> str:
    """The file whose flock goes with this one: itself, or on a network filesystem one of this host.

    Raises:
        FileNotFoundError: There is no such file.
    """
    return _beside(path, os.stat(path)) if is_shared(path) else path


def lock_folder(folder: str) -> str:
    """Where locks lie that go with a folder, which is made where it is not there: in it, or in one of this host's of its own.

    Raises:
        OSError: It cannot be made.
    """
    os.makedirs(folder, exist_ok=True)
    place = lock_path(folder)
    if place != folder:
        for each in (os.path.dirname(place), place):
            with contextlib.suppress(FileExistsError):
                os.mkdir(each, 0o700)
    return place


def clear_locks() -> None:
    """Remove this host's lock files that nobody holds any more: their holders were killed."""
    folder = _directory()
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _unlink(path)
                finally:
                    os.close(fd)


def _beside(path: str, status: os.stat_result) -> str:
    """The name holds the inode, so that a moved folder's locks are found, and the last parts of the path, as inodes come back."""
    last = "-".join(os.path.abspath(path).split(os.sep)[-4:])
    return os.path.join(_directory(), f"{status.st_dev:x}.{status.st_ino:x}-{last}")


def _directory() -> str:
    # Not TMPDIR: all sessions and jobs of the user on this host must meet in it.
    return os.environ.get(DIRECTORY_VARIABLE) or f"/tmp/outlast-locks-{os.getuid()}"  # noqa: S108


def _open(path: str) -> int:
    folder = os.path.dirname(path)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, f"not a folder of our own; name another in {DIRECTORY_VARIABLE}", folder)
    # The sticky bit keeps systemd-tmpfiles(8) from removing it for its age.
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):
        os.fchmod(fd, 0o1600)
    return fd


def _is_there(fd: int, path: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
