"""Waiting for a fact, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from outlast._system.processes import identity_of, is_running

__all__ = ["line_of", "state_of", "until", "wait_gone"]

T = TypeVar("T")
_OFTEN, _SELDOM = 0.005, 0.2  # seconds between two looks; longer where a look takes long


def until(fact: Callable[[], T], what: str | Callable[[], str] = "what is waited for", seconds: float = 120.0) -> T:
    """Wait until something holds; returns what `fact` returned.

    Args:
        fact: Is true, or true enough, when it holds.
        what: For whoever reads that it never came about; called at the end, where it is a function.
        seconds: Only what hangs reaches them.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if found := fact():
            return found
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"not within {seconds} s: {what if isinstance(what, str) else what()}")
        time.sleep(min(_SELDOM, max(_OFTEN, 4 * (now - began))))


def state_of(pid: int) -> str:
    """The letter of proc(5): R, S, T for stopped, Z …; empty if there is no such process."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def line_of(pid: int) -> bytes:
    """A process's command line, its words ended by zeros; empty if there is no such process, or there is none any more."""
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return b""


def wait_gone(pid: int) -> None:
    """Wait until a process has ended (a zombie has)."""
    who = identity_of(pid)
    if who is not None:
        until(lambda: not is_running(who), f"process {pid} ends")
