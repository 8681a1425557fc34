"""Time as a value: one object that a test can replace."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timezone


def utc_now() -> str:
    """Now in UTC, ISO 8601 with milliseconds: what every record carries."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def say_with_time(text: str) -> None:
    """Print a line with its time: a job's log is read long after. A full disk costs the line, never who says it."""
    with contextlib.suppress(OSError):
        print(f"{utc_now()[:19]}Z {text}", flush=True)


class Clock:
    """The real clock. Tests hand in a subclass whose time moves when they say so."""

    def now(self) -> str:
        """UTC time for records."""
        return utc_now()

    def monotonic(self) -> float:
        """Seconds that only this host may compare."""
        return time.monotonic()
