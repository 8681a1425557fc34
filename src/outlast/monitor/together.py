"""When several studies together will have reached a share of their trials. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from outlast.monitor.milestones import MILESTONES, Milestone


class Pace(Struct, frozen=True):
    """How fast one study nears its target."""

    counted: int
    target: int
    per_hour: float  # 0: it stands still
    eta: datetime | None
    eta_range: tuple[datetime, datetime] | None = None


def done_at(paces: Sequence[Pace], now: datetime) -> datetime | None:
    """When the last of those that move is through; ``None`` where none moves."""
    return max((pace.eta for pace in paces if pace.eta is not None and pace.counted < pace.target), default=None)


def done_within(paces: Sequence[Pace], now: datetime) -> tuple[datetime, datetime] | None:
    """Within which range that is: each end is that of the study which is last by it."""
    ranges = [pace.eta_range for pace in paces if pace.eta_range is not None and pace.counted < pace.target]
    return (max(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None


def milestones_of(paces: Sequence[Pace], now: datetime) -> tuple[Milestone, ...]:
    """Shares of all targets together. One that those that move never reach has no time."""
    total, done = sum(pace.target for pace in paces), sum(pace.counted for pace in paces)
    found = []
    for percent in MILESTONES:
        trials = math.ceil(total * percent / 100)
        reached = done >= trials
        hours = None if reached else _hours_until(trials - done, paces)
        found.append(Milestone(percent, trials, reached, None if hours is None else now + timedelta(hours=hours)))
    return tuple(found)


def _hours_until(more: int, paces: Sequence[Pace]) -> float | None:
    """Hours until so many more trials count, each study going on at its own speed to its own end."""
    moving = sorted(
        ((pace.target - pace.counted) / pace.per_hour, pace.per_hour)
        for pace in paces
        if pace.per_hour > 0 and pace.counted < pace.target
    )
    at, left, speed = 0.0, float(more), sum(per_hour for _, per_hour in moving)
    for end, per_hour in moving:
        gain = (end - at) * speed
        if gain >= left - 1e-9:
            return at + left / speed
        at, left, speed = end, left - gain, speed - per_hour
    return None
