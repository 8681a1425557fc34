"""How long a study still takes, with a range: what is left is drawn again and again from what has finished. Pure.

The trials that finished lately are the sample: each took its slot for so long, and counted or did not. What still has to come
is drawn from them with replacement and laid onto the slots, behind what the running trials still take, and that many times
over: a bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7). The median is the
expected end, and two quantiles are the range. The sample begins at the last change of speed (the place with the largest t of
Welch's between the logarithms before and after it, again and again: binary segmentation, Scott and Knott 1974, Biometrics
30), so that other hardware, larger models or a pruner that has begun to work show soon. That it may change again is in the
range: the pace of what comes differs from the sample's by a factor, whose spread is learnt from how the study's own past
differed from block to block, shrunk towards what ``benchmarks/eta.py`` found over many searches.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import random

_FUTURES = 81  # that are drawn, at most
_TAIL = 24  # counted trials that are laid onto the slots one by one; those before are a sum
_LOW, _HIGH = 0.1, 0.9
_BEYOND = 1.3  # what has run for longer than all others ever did ends after so many times its seconds
_CHANGED = 5.0  # Welch's t from which on a change of speed is one
_FEWEST = 8  # trials on either side of it
#: Figures found with `benchmarks/eta.py`, on searches by other seeds than those that it reports.
_USUAL, _WEIGHT, _BLOCKS = 0.12, 4.0, 8  # spread of the pace; how many steps of a study's own it is worth; their number
_NEAR, _FAR = 0.15, 4.0  # what is left, as a multiple of what was seen, between which that spread grows


class Ended(Struct, frozen=True):
    """A finished trial."""

    seconds: float  # that its attempts took a slot
    counts: bool  # towards the target
    steps: int | None = None  # that it reported
    began: float = 0.0  # second of its first attempt, on any clock
    at: float = 0.0  # when it ended, on the same


class Running(Struct, frozen=True):
    """A trial that runs."""

    seconds: float  # so far
    steps: int | None = None  # reported so far


class Forecast(Struct, frozen=True):
    """Seconds from now until the target is reached: the median, and the range that holds it in 80% of cases."""

    seconds: float
    low: float
    high: float
    work: float = 0.0  # seconds of a slot that are left, without what running trials have done, and without gaps


def forecast(
    ended: Sequence[Ended],
    running: Sequence[Running],
    *,
    left: int,
    slots: int,
    gap: float = 0.0,
    since: float = -math.inf,
) -> Forecast | None:
    """How long a study still takes.

    Args:
        ended: Its finished trials in the order in which they ended; the latest few hundred are enough.
        running: What runs now.
        left: Trials that still have to count, the running ones among them.
        slots: Attempts side by side.
        gap: Seconds for which a slot stands empty between two trials.
        since: When the first of `ended` may have ended: those before are not among them.

    Returns:
        The forecast; the same for the same arguments. ``None`` where no trial has counted yet.
    """
    slots = max(1, slots)
    logs = [math.log(max(each.seconds, 1e-3) + gap) for each in ended]
    cut = _last_change(logs, max(_FEWEST, slots))
    if not any(each.counts for each in ended[cut:]):
        cut = 0
    lately, since = ended[cut:], ended[cut - 1].at if cut else since
    if left <= 0 or not any(each.counts for each in lately):
        return None
    import random  # not for a study at rest

    pool = _Pool.of(lately, running, gap, since, random.Random(len(ended)))
    spread = _spread(ended, pool, gap, left)
    found = sorted(_one_future(pool, running, left, slots, pace) for pace in _paces(spread, slots, pool.drawn))
    per = (pool.mean - gap) / pool.share
    work = max(0.0, left * per - sum(min(each.seconds, per) for each in running))
    return Forecast(_quantile(found, 0.5), _quantile(found, _LOW), _quantile(found, _HIGH), work)


class _Pool:
    """What is drawn from: trials by their seconds, each with its weight.

    What still runs takes longer than it has so far; left out, the long ones would be missing from a sample that has just begun.
    Its weight goes to those that took longer (Kaplan and Meier 1958, by Efron's "redistribution to the right", 1967).
    """

    def __init__(self, trials: Sequence[Ended], weights: Sequence[float], gap: float, drawn: random.Random) -> None:
        self.trials, self.drawn, self.gap = trials, drawn, gap
        self.seconds = [each.seconds for each in trials]
        self.above = list(accumulate(weights))
        whole = self.above[-1]
        self.share = sum(weight for each, weight in zip(trials, weights, strict=True) if each.counts) / whole
        self.mean = sum((each.seconds + gap) * weight for each, weight in zip(trials, weights, strict=True)) / whole
        per = self.mean / self.share
        self.variance = sum(
            weight * (each.seconds + gap - per * each.counts) ** 2 for each, weight in zip(trials, weights, strict=True)
        ) / (whole * self.share)
        self.by_steps: dict[int, list[Ended]] = {}

    @classmethod
    def of(
        cls, ended: Sequence[Ended], running: Sequence[Running], gap: float, since: float, drawn: random.Random
    ) -> _Pool:
        """Of those that ended since then, and those that run.

        Where as many of the former had begun before, these stand for what still runs, and its weight is nothing.
        """
        carried = sum(each.began < since for each in ended)
        weight = max(0.0, 1.0 - carried / len(running)) if running else 0.0
        known: list[Ended | Running] = sorted([*running, *ended], key=lambda each: each.seconds)
        above = len(ended) + weight * len(running)
        trials, weights, mass = [], [], 1.0
        for each in known:
            own = 1.0 if isinstance(each, Ended) else weight
            above -= own
            if isinstance(each, Ended):
                trials.append(each)
                weights.append(mass)
            elif above > 0.5:
                mass += mass * own / above
            elif own:
                trials.append(Ended(_BEYOND * each.seconds, True))
                weights.append(mass * own)
        return cls(trials, weights, gap, drawn)

    def draw(self, at: float) -> tuple[float, bool]:
        """One that begins in a slot that is free now: when it ends, and whether it counts."""
        each = self._weighted(0.0)
        return at + self.gap + each.seconds, each.counts

    def _weighted(self, low: float) -> Ended:
        return self.trials[min(bisect_right(self.above, self.drawn.uniform(low, self.above[-1])), len(self.trials) - 1)]

    def rest(self, trial: Running) -> tuple[float, bool]:
        """What a running trial still takes, and whether it will count: like one that got further than it has got so far."""
        if trial.steps and trial.seconds > 0:
            further = self.by_steps.get(trial.steps)
            if further is None:
                further = [each for each in self.trials if each.steps is not None and each.steps > trial.steps]
                self.by_steps[trial.steps] = further
            if further:
                each = self.drawn.choice(further)
                return trial.seconds * (each.steps - trial.steps) / trial.steps, each.counts  # type: ignore[operator]
        place = bisect_right(self.seconds, trial.seconds)
        if place < len(self.trials):
            each = self._weighted(self.above[place - 1] if place else 0.0)
            return each.seconds - trial.seconds, each.counts
        return trial.seconds * self.drawn.random(), self.drawn.random() < self.share

    def bulk(self, count: int) -> float:
        """Slot seconds until so many more have counted: a sum of many draws, which is nearly normal."""
        if count <= 0:
            return 0.0
        return max(0.0, self.drawn.gauss(self.mean / self.share * count, math.sqrt(self.variance * count)))


def _paces(spread: float, slots: int, drawn: random.Random) -> list[float]:
    """A factor for each future: the quantiles of a log-normal distribution, by the logistic one, in a drawn order.

    Fewer futures where each has many slots to fill.
    """
    number = max(41, min(_FUTURES, 1000 // slots)) | 1  # odd: one of them is 1
    found = [math.exp(spread / 1.702 * math.log((at + 0.5) / (number - at - 0.5))) for at in range(number)]
    drawn.shuffle(found)
    return found


def _one_future(pool: _Pool, running: Sequence[Running], left: int, slots: int, pace: float) -> float:
    """Seconds until so many more have counted, once."""
    heap = [pool.rest(each) for each in running]
    tail = min(left, max(_TAIL, 2 * slots) + len(heap))
    delay = pool.bulk(left - tail) / slots
    heap += [pool.draw(0.0) for _ in range(min(slots, tail) - len(heap))]
    heapify(heap)
    counted, at = 0, 0.0
    while heap:
        at, counts = heap[0]
        counted += counts
        if counted >= tail:
            break
        if counted + len(heap) - 1 < tail:
            heapreplace(heap, pool.draw(at))
        else:
            heappop(heap)
    return pace * (at + delay)


def _last_change(logs: Sequence[float], least: int) -> int:
    """Where the last stretch of one speed begins."""
    begin = 0
    while (cut := _change(logs, begin, least)) is not None:
        begin = cut
    return begin


def _change(logs: Sequence[float], begin: int, least: int) -> int | None:
    """The place with the largest difference of the means before and after it, if there is one."""
    values = logs[begin:]
    n = len(values)
    if n < 2 * least:
        return None
    total, squares = sum(values), sum(value * value for value in values)
    best, place = _CHANGED, None
    one = one2 = 0.0
    for at, value in enumerate(values[: n - least], 1):
        one, one2 = one + value, one2 + value * value
        if at < least:
            continue
        rest, mean, other = n - at, one / at, (total - one) / (n - at)
        var = max(0.0, one2 / at - mean * mean) / at + max(0.0, (squares - one2) / rest - other * other) / rest
        t = abs(mean - other) / math.sqrt(var + 1e-6)
        if t > best:
            best, place = t, begin + at
    return place


def _spread(ended: Sequence[Ended], pool: _Pool, gap: float, left: int) -> float:
    """How much the pace of what is to come may differ from the sample's: of its logarithm."""
    sampling = pool.variance * pool.share / pool.mean**2 / len(pool.trials) if pool.mean > 0 else 0.0
    paces = list(_blocks(ended, gap))
    steps = [(later - earlier) ** 2 - one - other for (earlier, one), (later, other) in pairwise(paces)]
    own = max(0.0, sum(steps))
    far = min(_FAR, max(_NEAR, left / len(ended)))
    return math.sqrt(far * (_USUAL**2 * _WEIGHT + own) / (_WEIGHT + len(steps)) + sampling)


def _blocks(ended: Sequence[Ended], gap: float) -> Iterator[tuple[float, float]]:
    """Of each block of the past: the logarithm of a slot's seconds for a trial that counts, and its variance by chance."""
    size = max(5, len(ended) // _BLOCKS)
    for begin in range(len(ended) % size, len(ended) - size + 1, size):
        block = ended[begin : begin + size]
        costs, counts = [each.seconds + gap for each in block], sum(each.counts for each in block)
        mean = sum(costs) / size
        if counts and mean > 0:
            yield math.log(mean * size / counts), sum((cost - mean) ** 2 for cost in costs) / (size * mean) ** 2


def _quantile(values: Sequence[float], share: float) -> float:
    at = share * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)
