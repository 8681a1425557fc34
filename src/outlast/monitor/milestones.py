"""When a study is expected to end, and to have come so far, as moments. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from msgspec import Struct

from outlast.monitor.forecast import Forecast

#: Percent of the target.
MILESTONES = (10, 25, 50, 75, 100)


class Milestone(Struct, frozen=True):
    """A share of the target. ``at`` is when it is expected; ``None`` if it is reached or no speed is known."""

    percent: int
    trials: int
    reached: bool
    at: datetime | None = None


def ends(
    now: datetime, forecast: Forecast | None, time_left: float | None
) -> tuple[datetime, tuple[datetime, datetime]] | tuple[None, None]:
    """When the trials are through or the time is up, whichever comes first; and within which range."""
    if forecast is None and time_left is None:
        return None, None
    limit = math.inf if time_left is None else max(0.0, time_left)
    said = (math.inf,) * 3 if forecast is None else (forecast.seconds, forecast.low, forecast.high)
    at, low, high = (now + timedelta(seconds=min(each, limit)) for each in said)
    return at, (low, high)


def within(forecast: Forecast | None, time_left: float | None) -> float:
    """How much of what is left the time allows for, 0 to 1."""
    if time_left is None:
        return 1.0
    if forecast is None:  # nobody knows
        return 0.0
    return min(1.0, max(0.0, time_left) / forecast.seconds) if forecast.seconds > 0 else 1.0


def milestones(
    target: int | None, done: int, forecast: Forecast | None, eta: datetime | None, now: datetime
) -> tuple[Milestone, ...]:
    """Shares of the target, on the way to which the trials come evenly; those that the time does not allow for have no moment."""
    found = []
    for percent in MILESTONES if target else ():
        trials = math.ceil((target or 0) * percent / 100)
        reached = done >= trials
        at = None
        if not reached and forecast is not None and eta is not None and target is not None:
            at = now + timedelta(seconds=forecast.seconds * (trials - done) / (target - done))
        found.append(Milestone(percent, trials, reached, at if at is None or eta is None or at <= eta else None))
    return tuple(found)
