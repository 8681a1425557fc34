"""What a runner that has one attempt after the other says itself: into each one's log, which is made when it says something."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from typing import TextIO, cast


class _Words(io.TextIOBase):
    """Opens the log with the first word."""

    def __init__(self, log: str) -> None:
        self._log = log

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):  # a full disk, or an attempt that was put away: words are not worth its end
            fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(fd, text.encode(errors="replace"))
            finally:
                os.close(fd)
        return len(text)


_own: list[tuple[TextIO, TextIO]] = []  # the streams of this process, while its words go elsewhere


def in_a_fork() -> None:
    """What is forked off speaks for itself."""
    if _own:
        sys.stdout, sys.stderr = _own.pop()


@contextlib.contextmanager
def words_into(log: str) -> Iterator[None]:
    """Let the words of this process go there meanwhile, the last ones of an error that ends it included."""
    _own.append((sys.stdout, sys.stderr))
    words = _Words(log)
    sys.stdout = sys.stderr = cast(TextIO, words)
    try:
        yield
    except Exception:
        words.write(traceback.format_exc())
        raise
    finally:
        sys.stdout, sys.stderr = _own.pop()
