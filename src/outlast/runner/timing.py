"""The time that a training had."""

from __future__ import annotations

from outlast._system.clock import Clock


class Stopwatch:
    """Counts in ticks of the runner, each at most `longest` seconds.

    While a laptop sleeps, or a virtual machine is paused, nobody ticks: that hour is no training and no silence, whatever the
    clock says afterwards.

    Attributes:
        seconds: Of training so far.
        silent: Since the training last gave a sign.

    Args:
        clock: Whose monotonic time is read.
        longest: What one tick may count.
    """

    def __init__(self, clock: Clock, *, longest: float = 1.0) -> None:
        self._clock, self._longest = clock, longest
        self._last = clock.monotonic()
        self.seconds = self.silent = 0.0

    @property
    def since_tick(self) -> float:
        """Seconds since the last tick, by the clock."""
        return self._clock.monotonic() - self._last

    def tick(self) -> None:
        """Count the time since the last tick."""
        now = self._clock.monotonic()
        passed, self._last = max(0.0, min(now - self._last, self._longest)), now
        self.seconds += passed
        self.silent += passed

    def heard(self) -> None:
        """The training gave a sign of life."""
        self.silent = 0.0
