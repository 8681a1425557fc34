"""Time as a value: one object that a test can replace."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def utc_now() -> str:
    """Now in UTC, ISO 8601 with milliseconds: what every record carries."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class Clock:
    """The real clock. Tests hand in a subclass whose time moves when they say so."""

    def now(self) -> str:
        """UTC time for records."""
        return utc_now()

    def monotonic(self) -> float:
        """Seconds that only this host may compare."""
        return time.monotonic()
