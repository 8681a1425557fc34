"""A log of words that a process appends to for months: the latest part, and the one before it beside it."""

from __future__ import annotations

import contextlib
import os

#: Bytes after which a part is full.
MOST = 8 * 2**20


def turn_over(path: str | os.PathLike[str], *, most: int = MOST) -> bool:
    """Put a full log aside under its name with ``.1``, in place of the one before. Returns whether it was full.

    A process that has it open goes on writing to what was put aside.
    """
    with contextlib.suppress(OSError):
        if os.stat(path).st_size > most:
            os.replace(path, f"{os.fspath(path)}.1")
            return True
    return False


def append_words(path: str | os.PathLike[str], words: str, *, most: int = MOST) -> None:
    """Append to such a log. A disk that refuses costs words only."""
    turn_over(path, most=most)
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, words.encode())
        finally:
            os.close(fd)


def keep_output_short(path: str | os.PathLike[str], *, most: int = MOST) -> None:
    """Where this process's output goes to such a log: turn it over once it is full, and go on in the new one.

    Likewise where somebody else who appends to it has turned it over.
    """
    aside = f"{os.fspath(path)}.1"
    with contextlib.suppress(OSError):
        if os.fstat(1).st_size > most and _is_output(path):
            os.replace(path, aside)
        elif not _is_output(aside):
            return
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        for stream in (1, 2):
            os.dup2(fd, stream)
        os.close(fd)


def _is_output(path: str | os.PathLike[str]) -> bool:
    """Whether this process's output goes to this file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(1), os.stat(path))
    return False
