"""What this process has open."""

from __future__ import annotations

import contextlib
import gc
import os

__all__ = ["open_here", "opened_since"]


def open_here() -> dict[str, str]:
    """Descriptor → what it is. What an earlier test left for the collector is closed first: it may go at any moment."""
    gc.collect()
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one of this listing
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found


def opened_since(before: dict[str, str]) -> dict[str, str]:
    """What is open and was not. Threads of earlier tests may close what they had meanwhile."""
    return {fd: what for fd, what in open_here().items() if before.get(fd) != what}
