"""The expected best of n trials: what a search of another size would have found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

_MOST_POINTS = 40


class ExpectedBest(Struct, frozen=True):
    """The best of `trials` trials."""

    trials: int
    mean: float
    std: float
    low: float  # a tenth of such searches end below, a tenth above `high`
    high: float


def expected_maximum(values: Sequence[float], n: int, *, replace: bool = False) -> float:
    """The expected maximum of n draws from these values: the expected validation performance of a search of n trials.

    Sources: J. Dodge et al., "Show Your Work: Improved Reporting of Experimental Results", EMNLP 2019, is the estimator with
    replacement, which is biased downwards for n near the number of values; the one without (a U-statistic) is unbiased:
    R. Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020. Both take the trials to be drawn independently of each
    other, as random search does; of an adaptive sampler it says what its trials would have given in random order.

    Args:
        values: More being better.
        n: From 1 to the number of values (with `replace`, any number).
        replace: Draw with replacement.

    Raises:
        ValueError: No values, or an n without a meaning.
    """
    if not values or n < 1 or (n > len(values) and not replace):
        raise ValueError(f"the best of {n} of {len(values)} values has no meaning")
    return _moments(sorted(values), n, replace)[0]


def expected_best(values: Sequence[float], goal: str, points: int = _MOST_POINTS) -> list[ExpectedBest]:
    """The curve of the expected best against the number of trials, without replacement.

    Args:
        values: Of the trials; those that are not finite are left out.
        goal: ``maximize`` or ``minimize``.
        points: How many places on a logarithmic scale, at most, beside 1, 2, 5, 10, 20, 50 and so on.

    Returns:
        From 1 trial to as many as there are; empty without values.
    """
    sign = 1.0 if goal == "maximize" else -1.0
    ordered = sorted(sign * value for value in values if math.isfinite(value))
    found = []
    for n in _places(len(ordered), points):
        mean, std = _moments(ordered, n, False)
        ends = sorted(sign * _quantile(ordered, n, share) for share in (0.1, 0.9))
        found.append(ExpectedBest(n, sign * mean, std, ends[0], ends[1]))
    return found


def _places(most: int, points: int) -> list[int]:
    if most <= points:
        return list(range(1, most + 1))
    even = {round(math.exp(math.log(most) * at / (points - 1))) for at in range(points)}
    round_ones = {digit * 10**power for power in range(len(str(most))) for digit in (1, 2, 5)}
    return sorted(even | {n for n in round_ones if n < most})


def _moments(ordered: Sequence[float], n: int, replace: bool) -> tuple[float, float]:
    """Mean and standard deviation of the maximum of n of the sorted values."""
    count, best = len(ordered), ordered[-1]
    first = second = 0.0
    weight = n / count  # of the largest: that it is among n of count
    for at in range(count, 0, -1):
        if replace:
            weight = (at / count) ** n - ((at - 1) / count) ** n
        below = ordered[at - 1] - best  # the best is taken off, so that nothing cancels
        first += weight * below
        second += weight * below * below
        if not replace:
            weight *= (at - n) / (at - 1) if at > n else 0.0
        if weight < 1e-18:
            break
    return best + first, math.sqrt(max(0.0, second - first * first))


def _quantile(ordered: Sequence[float], n: int, share: float) -> float:
    """The least value that the maximum of n does not exceed with this probability, without replacement."""
    count, reached = len(ordered), 1.0  # P(max <= the at-th) = C(at, n) / C(count, n)
    for at in range(count, n, -1):
        reached *= (at - n) / at
        if reached < share:
            return ordered[at - 1]
    return ordered[n - 1]
