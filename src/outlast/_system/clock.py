"""Time as a value: one object that a test can replace."""

from __future__ import annotations

import contextlib
import os
import time


def utc_now() -> str:
    """Now in UTC, ISO 8601 with milliseconds: what every record carries."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1_000_000:03d}+00:00"


def say_with_time(text: str) -> None:
    """Print a line with its time: a job's log is read long after. A full disk costs the line, never who says it."""
    with contextlib.suppress(OSError):
        print(f"{utc_now()[:19]}Z {text}", flush=True)


def jittered(seconds: float, low: float, high: float) -> float:
    """Seconds times something between: processes that started in the same moment do not go on in step."""
    return seconds * (low + (high - low) * os.urandom(1)[0] / 255)


class Clock:
    """The real clock. Tests hand in a subclass whose time moves when they say so."""

    def now(self) -> str:
        """UTC time for records."""
        return utc_now()

    def monotonic(self) -> float:
        """Seconds that only this host may compare."""
        return time.monotonic()
