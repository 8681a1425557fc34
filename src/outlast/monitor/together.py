"""When several studies together will have reached a share of their trials. Pure.

Studies with slots of their own each go on at their own pace. Those of a campaign share one pool, which works off what is left of
all of them, in seconds of a slot. Each gets its part by weight, priority, or what it has left, and what one cannot use goes to
the others, as weighted fair queueing does over time (Demers, Keshav and Shenker 1989, "Analysis and simulation of a fair
queueing algorithm", SIGCOMM).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from outlast.monitor.milestones import MILESTONES, Milestone


class Part(Struct, frozen=True):
    """One study of several."""

    counted: int
    target: int
    seconds: float | None  # from now to its own expected end; None: it stands still
    low: float = 0.0  # the range of that
    high: float = 0.0
    work: float | None = None  # seconds of a slot that it still needs
    weight: float = 1.0
    priority: int = 0
    slots: int = 1  # that it can fill at most
    limit: float = math.inf  # seconds until its time budget is used up
    within: float = 1.0  # how much of what is left it does by its own expected end, 0 to 1

    @property
    def moves(self) -> bool:
        """Whether it nears its target."""
        return self.seconds is not None and self.counted < self.target


class Ahead(Struct, frozen=True):
    """What is expected of all of them: after how many seconds how many more trials count, and a range for the last moment."""

    line: tuple[tuple[float, float], ...]  # straight between two places
    low: float
    high: float

    @property
    def seconds(self) -> float:
        """Until the last of those that move is through."""
        return self.line[-1][0]

    def until(self, more: float) -> float | None:
        """Seconds until so many more trials count; ``None`` if they never do."""
        before, had = 0.0, 0.0
        for at, count in self.line:
            if count >= more - 1e-6:
                return before + (at - before) * ((more - had) / (count - had) if count > had else 0.0)
            before, had = at, count
        return None


def ahead(parts: Sequence[Part], *, pool: int | None = None, sharing: str = "weight") -> Ahead | None:
    """What is expected of several studies; ``None`` where none of them moves.

    Args:
        parts: The studies.
        pool: Slots that those which move share; ``None`` where each has its own.
        sharing: How: ``weight``, ``priority`` or ``together``, as a campaign file says it.
    """
    moving = [part for part in parts if part.moves]
    if not moving:
        return None
    if not pool or any(part.work is None for part in moving):
        line = _apart(moving)
        return Ahead(line, max(part.low for part in moving), max(part.high for part in moving))
    line = _shared(moving, pool, sharing)
    work = sum(part.work or 0.0 for part in moving)
    off = [
        (part.work or 0.0) * math.log(max(1.0, part.high / part.low) if part.low > 0 else 1.0) / 2 for part in moving
    ]
    half = math.sqrt(sum(each * each for each in off)) / work if work > 0 else 0.0
    latest = max(part.limit for part in moving)
    return Ahead(line, line[-1][0] * math.exp(-half), min(latest, line[-1][0] * math.exp(half)))


def milestones_of(parts: Sequence[Part], found: Ahead | None, now: datetime) -> tuple[Milestone, ...]:
    """Shares of all targets together. One that those that move never reach has no moment."""
    total, done = sum(part.target for part in parts), sum(part.counted for part in parts)
    told = []
    for percent in MILESTONES:
        trials = math.ceil(total * percent / 100)
        reached = done >= trials
        seconds = None if reached or found is None else found.until(trials - done)
        told.append(Milestone(percent, trials, reached, None if seconds is None else now + timedelta(seconds=seconds)))
    return tuple(told)


def _apart(moving: Sequence[Part]) -> tuple[tuple[float, float], ...]:
    """Each at its own pace to its own end."""
    ends = sorted({part.seconds or 0.0 for part in moving})
    return tuple((at, sum(_gained(part, at) for part in moving)) for at in ends)


def _gained(part: Part, at: float) -> float:
    return (part.target - part.counted) * part.within * min(1.0, at / part.seconds if part.seconds else 1.0)


def _shared(moving: Sequence[Part], pool: int, sharing: str) -> tuple[tuple[float, float], ...]:
    """From end to end of a study: until then each gets what `_parts_of` says. One whose time is up leaves the rest undone."""
    left = {at: max(1e-9, part.work or 0.0) for at, part in enumerate(moving)}
    whole, undone = dict(left), dict[int, float]()
    line, now = [], 0.0
    while left:
        given = _parts_of(left, moving, float(pool), sharing)
        through = min(work / given[at] for at, work in left.items() if given[at] > 0)
        step = max(0.0, min(through, *(moving[at].limit - now for at in left)))
        now += step
        left = {at: work - step * given[at] for at, work in left.items()}
        left = {at: work for at, work in left.items() if work > 1e-6 * whole[at]}
        undone |= {at: work for at, work in left.items() if now >= moving[at].limit - 1e-6}
        left = {at: work for at, work in left.items() if at not in undone}
        rest = left | undone
        gained = sum((p.target - p.counted) * (1 - rest.get(at, 0.0) / whole[at]) for at, p in enumerate(moving))
        line.append((now, gained))
    return tuple(line)


def _parts_of(left: dict[int, float], moving: Sequence[Part], pool: float, sharing: str) -> dict[int, float]:
    """Study → slots that it has now. What one cannot fill goes to the others."""
    given = dict.fromkeys(left, 0.0)
    classes = sorted({moving[at].priority for at in left}, reverse=True) if sharing == "priority" else [None]
    for priority in classes:
        hungry = {at for at in left if priority is None or moving[at].priority == priority}
        while hungry and pool > 1e-9:
            claims = {at: left[at] if sharing == "together" else max(1e-9, moving[at].weight) for at in hungry}
            unit = pool / sum(claims.values())
            full = {at for at in hungry if claims[at] * unit >= moving[at].slots - given[at]}
            for at in full or hungry:
                more = moving[at].slots - given[at] if full else claims[at] * unit
                given[at] += more
                pool -= more
            hungry -= full or hungry
    return given
