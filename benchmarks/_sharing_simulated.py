"""The decisions about shared slots over a workload, in simulated time: what sharing.py and its tests look at."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from outlast.core.sharing import Claim, Share, given, goes_first, joining, over


@dataclass(frozen=True)
class Work:
    """What one study runs."""

    mean: float  # seconds of a trial
    sigma: float = 0.5  # of their logarithm
    trials: int = 10**9
    weight: float = 1.0
    priority: int = 0
    comes: float = 0.0  # when it joins


@dataclass(frozen=True)
class Came:
    """What came of it, for each study."""

    served: tuple[float, ...]  # slot seconds up to the end of the time looked at
    longest: tuple[float, ...]  # seconds of its longest trial
    ends: tuple[float, ...]  # when its last trial ended; infinite if it has not


def simulate(works: Sequence[Work], *, slots: int, share: Share = "weight", until: float, seed: int = 0) -> Came:
    """Run them from 0 on. Slot time is counted from when the last one has joined; a trial that goes on counts up to the end."""
    chance, order = random.Random(seed), itertools.count()
    size, left = 1 / slots, [work.trials for work in works]
    claims = [Claim(str(at), work.weight, work.priority, size) for at, work in enumerate(works)]
    here: set[int] = set()
    since = max(work.comes for work in works)
    served, longest, ends = [0.0] * len(works), [0.0] * len(works), [math.inf] * len(works)
    events: list[tuple[float, int, int, float | None]] = [
        (w.comes, next(order), at, None) for at, w in enumerate(works)
    ]
    heapq.heapify(events)
    free = slots
    while events:
        now, _, at, began = heapq.heappop(events)
        if began is None:
            here.add(at)
            claims[at] = joining(claims[at], [claims[other] for other in here if other != at], now)
        else:
            free += 1
            claims[at] = over(claims[at], began, now - began)
            if not left[at] and not claims[at].since:
                ends[at] = now
        if now >= until:
            continue  # what runs ends, and nothing begins
        for each in here:
            claims[each] = replace(claims[each], wants=min(left[each], slots), trials=left[each])
        while free and (first := _first(claims, here, now, share)) is not None:
            work = works[first]
            takes = chance.lognormvariate(math.log(work.mean) - work.sigma**2 / 2, work.sigma)
            claims[first] = given(claims[first], now)
            left[first] -= 1
            claims[first] = replace(claims[first], wants=min(left[first], slots), trials=left[first])
            free -= 1
            longest[first] = max(longest[first], takes)
            served[first] += max(0.0, min(now + takes, until) - max(now, since))
            heapq.heappush(events, (now + takes, next(order), first, now))
    return Came(tuple(served), tuple(longest), tuple(ends))


def _first(claims: Sequence[Claim], here: set[int], now: float, share: Share) -> int | None:
    waiting = [at for at in here if claims[at].wants]
    for at in waiting:
        if goes_first(claims[at], [claims[other] for other in here if other != at], now, share):
            return at
    return None


def apart(served: Sequence[float], works: Sequence[Work]) -> float:
    """How far the shares lie apart, at most, in parts of what each should have had."""
    by_weight = [each / work.weight for each, work in zip(served, works, strict=True)]
    return (max(by_weight) - min(by_weight)) / (sum(by_weight) / len(by_weight))
