"""The end of what a trial printed, and what comes: read so that no link, pipe or device in a study folder leads anywhere else.

Folder by folder from the study's own, each opened below the one before without following a link
(https://man7.org/linux/man-pages/man2/openat.2.html), and only what is an ordinary file is read.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from typing import Any

from outlast._system.capped_log import parts_of
from outlast.config.secrets import mask_text
from outlast.core.escapes import as_on_a_screen

#: Bytes that one answer holds at most.
MOST = 64 * 1024


@contextlib.contextmanager
def folder_below(root: str, *names: str) -> Iterator[int]:
    """A folder below `root`, as a descriptor. No link is followed below it.

    Raises:
        OSError: It is not there, or something on the way is no folder.
    """
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def tail(
    root: str,
    folders: tuple[str, ...],
    name: str,
    *,
    after: int = 0,
    last: int = MOST,
    within: tuple[int, int | None] = (0, None),
) -> dict[str, Any] | None:
    """What a log holds behind a place in it; from its end, where that is further back than one answer holds.

    Args:
        root: The study folder.
        folders: Below it, to the log's.
        name: Of the log; its pieces are found beside it (`outlast._system.capped_log`).
        after: Bytes that are known already.
        last: Bytes at most, up to `MOST`.
        within: The stretch of it that is meant: where it begins, and where it ends, if not at the log's end.

    Returns:
        ``from`` and ``to`` (bytes from the log's beginning), ``lines`` (whole ones, as a screen would show them) and ``rest``
        (what stands behind the last of them; the next answer begins there). ``None`` where there is no such file.
    """
    try:
        with folder_below(root, *folders) as fd:
            pieces = [
                (start, most if within[1] is None else within[1], piece)
                for piece, start, most in parts_of(name, os.listdir(fd))
                if stat.S_ISREG(os.stat(piece, dir_fd=fd, follow_symlinks=False).st_mode)
            ]
            return _tail(fd, pieces, after, min(last, MOST), within[0]) if pieces else None
    except OSError:
        return None


def _tail(fd: int, pieces: list[tuple[int, int | None, str]], after: int, last: int, first_byte: int) -> dict[str, Any]:
    sizes = [_size(fd, piece, most) for _, most, piece in pieces]
    end = pieces[-1][0] + sizes[-1]
    begin = max(first_byte, after if end - last <= after <= end else max(0, end - last))
    data, at = b"", end
    for (start, _, piece), size in zip(reversed(pieces), reversed(sizes), strict=True):
        if start + size < at or at <= begin:  # a piece between was dropped
            break
        first = max(begin, start)
        data, at = _read(fd, piece, first - start, at - first) + data, first
    if (
        at != after and at > first_byte
    ):  # in the middle of a line: a secret that is cut in two is not known as one any more
        cut = data.find(b"\n") + 1 or len(re.match(rb"\S*\s?", data)[0])  # type: ignore[index]  # it matches anything
        data, at = data[cut:], at + cut
    until = data.rfind(b"\n") + 1
    if not until and len(data) >= last:
        until = len(data)  # a line without an end
    return {"from": at, "to": at + until, "lines": _shown(data[:until]), "rest": _shown(data[until:])}


def _size(fd: int, name: str, most: int | None) -> int:
    size = os.stat(name, dir_fd=fd, follow_symlinks=False).st_size
    return size if most is None else min(size, most)


def _read(fd: int, name: str, at: int, size: int) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    try:
        return os.pread(file, size, at) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def _shown(data: bytes) -> str:
    text = as_on_a_screen(data.decode(errors="replace"))  # first: colours in a secret hide it from whoever masks
    return mask_text(re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "�", text))
