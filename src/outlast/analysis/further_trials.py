"""Would more trials have helped: the gain to expect of further ones, from the tail of those that there are."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from msgspec import Struct

_LEAST = 20  # trials; with less, a tail is a guess
_MOST_TAIL = 100
_HEAVIEST = 0.5  # a heavier tail has no variance, and a few trials cannot tell it
_RESAMPLES = 100


class Gain(Struct, frozen=True):
    """What `trials` further trials would bring."""

    trials: int
    gain: float  # expected improvement of the best, 0 or more, in the metric's units
    low: float  # of its 80% interval
    high: float
    chance: float  # of a new best at all


class Tail(Struct, frozen=True):
    """A generalised Pareto distribution of what lies above a threshold."""

    threshold: float
    scale: float
    shape: float  # below 0: there is an end; 0: exponential
    share: float  # of the values that lie above

    def beyond(self, value: float) -> float:
        """The probability that a trial is better than this value, which lies above the threshold."""
        inside = 1 + self.shape * (value - self.threshold) / self.scale
        if inside <= 0:
            return 0.0
        if abs(self.shape) < 1e-9:
            return self.share * math.exp(-(value - self.threshold) / self.scale)
        return float(self.share * inside ** (-1 / self.shape))

    def gain(self, best: float, trials: int) -> float:
        """The expected improvement over `best` by the best of so many independent trials."""
        chance = self.beyond(best)
        scale = self.scale + self.shape * (best - self.threshold)  # what exceeds a higher threshold has this scale
        if chance <= 0 or scale <= 0:
            return 0.0
        return scale * _integral(chance, self.shape, trials)


def tail_of(values: Sequence[float]) -> Tail | None:
    """The tail of the larger values.

    Sources: that what exceeds a high threshold is nearly generalised Pareto: J. Pickands, "Statistical inference using extreme
    order statistics", Ann. Stat. 3 (1975). The estimate: J. Zhang and M. A. Stephens, "A new and efficient estimation method
    for the generalized Pareto distribution", Technometrics 51 (2009), whose end always lies above the largest value.

    Args:
        values: More being better; at least 20 finite ones.

    Returns:
        ``None`` for less, and where the best tenth or so are all the same.
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    if len(ordered) < _LEAST:
        return None
    size = min(_MOST_TAIL, max(10, len(ordered) // 5))
    threshold = ordered[-size - 1]
    above = [value - threshold for value in ordered[-size:] if value > threshold]
    if len(above) < 5 or above[0] == above[-1]:
        return None
    scale, shape = _pareto(above)
    return Tail(threshold, scale, shape, len(above) / len(ordered))


def gains(
    values: Sequence[float],
    goal: str,
    trials: Sequence[int],
    *,
    best: float | None = None,
    of: int | None = None,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> list[Gain]:
    """What further trials would bring, if they were like these: expected gain with an 80% interval, chance of a new best.

    The gain is the expected excess of the best of n further trials over the best so far under the `tail_of` the values; the
    interval is a bootstrap's (B. Efron, "Bootstrap methods: another look at the jackknife", Ann. Stat. 7, 1979). The chance of
    a new best is n / (N + n) after N exchangeable trials, whatever their distribution (A. Rényi, "Théorie des éléments
    saillants d'une suite d'observations", 1962). An adaptive sampler goes on improving: give the later of its trials as `values`,
    and take the chance for the least that it is. The gain is one of magnitude: in simulations of normal, exponential, uniform
    and bounded values it is on average within a factor of two of what further trials then bring.

    Args:
        values: Of the trials that further ones would be like.
        goal: ``maximize`` or ``minimize``.
        trials: Numbers of further trials.
        best: The best so far, if it is not among the values.
        of: How many trials there were, if more than values are given.
        resamples: Of the bootstrap; 0 leaves the interval out (both ends are the gain).
        seed: Of the bootstrap.

    Returns:
        One per number; empty where the tail cannot be told.
    """
    sign = 1.0 if goal == "maximize" else -1.0
    known = [sign * value for value in values if math.isfinite(value)]
    tail = tail_of(known)
    if tail is None:
        return []
    top = max(known) if best is None else max(sign * best, max(known))
    drawn, chooser = [], random.Random(seed)
    for _ in range(resamples):
        again = tail_of(chooser.choices(known, k=len(known)))
        drawn += [again] if again is not None else []
    found = []
    for n in trials:
        gain = tail.gain(top, n)
        spread = sorted(each.gain(max(top, each.threshold), n) for each in drawn) or [gain]
        low, high = spread[int(0.1 * len(spread))], spread[min(len(spread) - 1, int(0.9 * len(spread)))]
        found.append(Gain(n, gain, min(low, gain), max(high, gain), n / ((of or len(known)) + n)))
    return found


def _integral(chance: float, shape: float, trials: int) -> float:
    """∫₀^∞ (1 - (1 - q e^-y)^n) e^(shape y) dy by Simpson's rule; its tail falls as e^-(1 - shape)y."""
    end, steps = (40 + math.log(trials)) / (1 - shape), 400
    width = end / steps
    total = 0.0
    for at in range(steps + 1):
        y = at * width
        chance_here = chance * math.exp(-y)
        inside = -math.expm1(trials * math.log1p(-chance_here)) if chance_here < 1 else 1.0
        total += inside * math.exp(shape * y) * (1 if at in (0, steps) else 4 if at % 2 else 2)
    return total * width / 3


def _pareto(above: Sequence[float]) -> tuple[float, float]:
    """Scale and shape of sorted excesses, after Zhang and Stephens; their k is minus the shape."""
    n, largest = len(above), above[-1]
    places = 20 + int(math.sqrt(n))
    quartile = above[max(0, int(n / 4 + 0.5) - 1)]
    thetas = [1 / largest + (1 - math.sqrt(places / (j - 0.5))) / (3 * quartile) for j in range(1, places + 1)]
    likelihoods = []
    for theta in thetas:
        k = -_mean_log(theta, above)
        rate = theta / k if k else 1 / math.fsum(above) * n  # the exponential, where theta is 0
        likelihoods.append(n * (math.log(rate) + k - 1))
    highest = max(likelihoods)
    weights = [math.exp(each - highest) for each in likelihoods]
    theta = math.fsum(t * w for t, w in zip(thetas, weights, strict=True)) / math.fsum(weights)
    k = -_mean_log(theta, above)
    scale, shape = (k / theta, -k) if k else (math.fsum(above) / n, 0.0)
    return (scale, shape) if shape <= _HEAVIEST else (_HEAVIEST * scale / shape, _HEAVIEST)


def _mean_log(theta: float, values: Sequence[float]) -> float:
    return math.fsum(math.log1p(-theta * value) for value in values) / len(values)
