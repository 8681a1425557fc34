"""How fast a search is and when it is done, as a person says it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from outlast.monitor.times import duration, figure

if TYPE_CHECKING:
    from outlast.monitor.overview import Overview
    from outlast.monitor.snapshot import Snapshot

_FAR = timedelta(days=6)


def clock_time(moment: datetime, now: datetime) -> str:
    """A moment on the reader's own clock: ``14:32`` today, ``Tue 14:32`` this week, else with its date."""
    local, today = moment.astimezone(), now.astimezone()
    if local.date() == today.date():
        return local.strftime("%H:%M")
    return local.strftime("%a %H:%M" if abs((local.date() - today.date()).days) < 7 else "%Y-%m-%d %H:%M")


def speed_text(snapshot: Snapshot | Overview) -> str:
    """``12.4 per hour, done in 2h 10m (14:32, or 13:50 to 15:20)``, without what is not known and a range within a minute."""
    parts = [rate_text(snapshot)]
    if snapshot.eta is not None:
        left = (snapshot.eta - snapshot.now).total_seconds()
        parts.append(f"done in {duration(left)} ({clock_time(snapshot.eta, snapshot.now)}{_range_text(snapshot)})")
    return ", ".join(filter(None, parts))


def deadline_text(snapshot: Snapshot) -> str:
    """``18:02, in 3h 5m: about 40% of what is left is done by then``; nothing without a deadline."""
    if snapshot.deadline is None:
        return ""
    left = (snapshot.deadline - snapshot.now).total_seconds()
    if left <= 0:
        return f"{clock_time(snapshot.deadline, snapshot.now)}, which has passed: another one with --deadline"
    at = f"{clock_time(snapshot.deadline, snapshot.now)}, in {duration(left)}"
    if snapshot.work_left is None:
        return f"{at}: it stops cleanly before"
    if snapshot.within >= 1.0:
        return f"{at}: all trials are expected to be done by then"
    return f"{at}: about {100 * snapshot.within:.0f}% of what is left is expected by then; the same command goes on"


def rate_text(snapshot: Snapshot | Overview) -> str:
    """``12.4 per hour``, in the shortest unit in which there is at least one trial; nothing where it is not known."""
    per_hour = snapshot.rate_per_hour
    if per_hour is None:
        return ""
    if per_hour >= 3600:
        return f"{figure(per_hour / 3600)} per second"
    return f"{figure(per_hour)} per hour" if per_hour < 60 else f"{figure(per_hour / 60)} per minute"


def ahead_text(of: Snapshot | Overview) -> str:
    """``25% 14:32, 50% Tue 09:10``: the shares of the target that are expected."""
    return ", ".join(f"{m.percent}% {clock_time(m.at, of.now)}" for m in of.milestones if m.at is not None)


def _range_text(of: Snapshot | Overview) -> str:
    """Of an end within days; of one that is further away nobody asks for the hour."""
    if of.eta_range is None or of.eta_range[1] - of.now > _FAR:
        return ""
    low, high = (clock_time(moment, of.now) for moment in of.eta_range)
    day, _, clock = high.rpartition(" ")
    return "" if low == high else f", or {low} to {clock if day and low.startswith(f'{day} ') else high}"
