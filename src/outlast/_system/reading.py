"""Reading files that others may replace, remove, or have on another host: absent is an answer, half a file is none."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar, Union

PathLike = Union[str, "os.PathLike[str]"]
_T = TypeVar("_T")
_PIECE = 1 << 18
#: Seconds between tries of what the network filesystem refused.
STALE_WAITS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)


def unstale(operation: Callable[..., _T], *arguments: Any) -> _T:
    """Read something that another host may replace or remove meanwhile: a stale NFS handle is worth another try with a new one.

    Only for what may be repeated. What stays stale for about two seconds is raised as it is.
    """
    for wait in STALE_WAITS:
        try:
            return operation(*arguments)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
        time.sleep(wait)
    return operation(*arguments)


def read_bytes(path: PathLike) -> bytes | None:
    """The file's content, or ``None`` if there is no such file. Opened and read, never stat'ed (NFS caches attributes)."""
    try:
        return unstale(_read, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(path: PathLike) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # `open` asks the kernel three times as much
    try:
        return read_all(fd)
    finally:
        os.close(fd)


def read_all(fd: int) -> bytes:
    """What is left in an open file."""
    pieces = []
    while piece := os.read(fd, _PIECE):
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def list_names(path: PathLike) -> list[str]:
    """What a folder holds; nothing if there is no such folder. Over NFS it may lack what another host has just made."""
    try:
        return unstale(os.listdir, path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_link(path: PathLike) -> str | None:
    """Where a symbolic link points to; ``None`` if it is not there, or is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def read_json(path: PathLike) -> Any | None:
    """The JSON in a file; ``None`` if there is no such file or it does not hold whole JSON."""
    data = read_bytes(path)
    if data is None:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return None
