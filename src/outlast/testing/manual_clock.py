"""Time that moves when a test says so."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from outlast._system.clock import Clock

__all__ = ["FakeClock"]


class FakeClock(Clock):
    """A clock that stands still between two calls of `advance`."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 1, 5, 10, 0, tzinfo=timezone.utc)
        self.seconds = 0.0  # what `monotonic` says

    def now(self) -> str:
        """UTC time for records."""
        return (self._start + timedelta(seconds=self.seconds)).isoformat(timespec="milliseconds")

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
