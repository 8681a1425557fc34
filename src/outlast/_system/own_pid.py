"""This process's number, without asking the kernel for it each time (getpid(2) is not cached by the C library)."""

from __future__ import annotations

import os

_known = 0


def own_pid() -> int:
    """As `os.getpid`; asked for once, and once more in a fork."""
    global _known
    _known = _known or os.getpid()
    return _known


def _forget() -> None:
    global _known
    _known = 0


os.register_at_fork(after_in_child=_forget)
