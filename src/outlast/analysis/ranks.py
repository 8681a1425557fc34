"""What ranks say: whether a parameter and a value rise together, whether some trials have larger values than others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from msgspec import Struct


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end + 1 < len(order) and values[order[end + 1]] == values[order[begin]]:
            end += 1
        for at in order[begin : end + 1]:
            found[at] = (begin + end) / 2 + 1
        begin = end + 1
    return found


class Correlation(Struct, frozen=True):
    """A rank correlation with the interval that it is in."""

    rho: float
    low: float
    high: float
    pairs: int
    p: float  # of such a correlation, or a stronger one, by chance; both sides


def spearman(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Correlation | None:
    """Spearman's rank correlation: 1 where both rise together, however bent the curve, -1 where one falls.

    Sources: C. Spearman, "The proof and measurement of association between two things", Am. J. Psychol. 15 (1904), with mean
    ranks for ties; the interval by Fisher's z with the variance (1 + rho²/2) / (n - 3) of D. G. Bonett and T. A. Wright,
    "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika 65 (2000).

    Args:
        first: Values; pairs with one that is not finite are left out.
        second: As many.
        level: Of the interval.

    Returns:
        ``None`` for less than four pairs, and where one of both is constant.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(pairs) < 4:
        return None
    xs, ys = ranks([a for a, _ in pairs]), ranks([b for _, b in pairs])
    middle = (len(pairs) + 1) / 2
    across = math.fsum((x - middle) * (y - middle) for x, y in zip(xs, ys, strict=True))
    within = math.fsum((x - middle) ** 2 for x in xs) * math.fsum((y - middle) ** 2 for y in ys)
    if within <= 0:
        return None
    rho = max(-1.0, min(1.0, across / math.sqrt(within)))
    if abs(rho) == 1.0:
        return Correlation(rho, rho, rho, len(pairs), 2 / math.factorial(min(len(pairs), 100)))
    p = math.erfc(abs(math.atanh(rho)) * math.sqrt((len(pairs) - 3) / 2))  # of nothing, z has the variance 1 / (n - 3)
    z = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt((1 + rho * rho / 2) / (len(pairs) - 3))
    return Correlation(rho, math.tanh(math.atanh(rho) - z), math.tanh(math.atanh(rho) + z), len(pairs), p)


class Separation(Struct, frozen=True):
    """How far some trials' values lie above the others'."""

    above: float  # the probability that one of them is larger than one of the others; 0.5: no difference
    p: float  # of such a difference, or a larger one, by chance; both sides


def separation(some: Sequence[float], others: Sequence[float]) -> Separation | None:
    """Whether the values of some trials lie above or below those of the others.

    Source: H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically larger than the
    other", Ann. Math. Stat. 18 (1947); normal approximation with the correction for ties, without that for continuity.

    Returns:
        ``None`` where one side is empty or all values are the same.
    """
    n, m = len(some), len(others)
    if not n or not m:
        return None
    found = ranks([*some, *others])
    u = math.fsum(found[:n]) - n * (n + 1) / 2
    total = n + m
    ties = math.fsum(count**3 - count for count in _counts([*some, *others]))
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return None
    z = (u - n * m / 2) / math.sqrt(variance)
    return Separation(u / (n * m), min(1.0, math.erfc(abs(z) / math.sqrt(2))))


def _counts(values: Sequence[float]) -> list[int]:
    found: dict[float, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return list(found.values())
