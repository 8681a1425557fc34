"""How certain a mean is, and a difference of means: Student's t, paired over seeds.

Two configurations that ran with the same seeds are compared by their differences seed by seed: what a seed does to both of them
(the split of the data, the order of the batches) falls out (W. S. Gosset, *The probable error of a mean*, 1908; R. A. Fisher,
*The design of experiments*, 1935).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

_ALIKE = 1e-12  # of the values' size: what adding and dividing may leave of no spread at all


class Interval(Struct, frozen=True):
    """A mean with the interval that holds the true one with a probability of `level`.

    Attributes:
        mean: Of the values.
        low, high: Infinite for a single value.
        n: How many values.
        std: Their sample standard deviation; 0 for a single one.
        level: Such as 0.95.
    """

    mean: float
    low: float
    high: float
    n: int
    std: float
    level: float


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return math.fsum(values) / len(values)


def std(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 for one value, and where the values differ by no more than rounding."""
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    found = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))
    return 0.0 if found <= _ALIKE * max(map(abs, values)) else found


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's interval of the mean of normal values.

    Args:
        values: At least one.
        level: The probability.
    """
    middle, spread, n = mean(values), std(values), len(values)
    half = math.inf if n < 2 else 0.0 if spread == 0.0 else t_quantile(0.5 + level / 2, n - 1) * spread / math.sqrt(n)
    return Interval(middle, middle - half, middle + half, n, spread, level)


def t_quantile(probability: float, df: float) -> float:
    """The value below which Student's t of so many degrees of freedom falls with this probability."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def differences(one: Mapping[Any, float], other: Mapping[Any, float]) -> list[float]:
    """`one` less `other` for every seed that both have, in the order of the first."""
    return [value - other[seed] for seed, value in one.items() if seed in other]


def p_above(values: Sequence[float], margin: float = 0.0) -> float:
    """How probable a mean as high as this would be if the true one were not above a margin: the one-sided t test.

    Returns:
        1 where fewer than two values say nothing. Where the values are all alike, what the sign test says: coarse scores may be
        so by chance, each above the margin as well as not.
    """
    if len(values) < 2:
        return 1.0
    above, spread = mean(values) - margin, std(values)
    if spread == 0.0:
        return 0.5 ** len(values) if above > 0 else 1.0
    from scipy.special import stdtr

    return float(stdtr(len(values) - 1, -above / (spread / math.sqrt(len(values)))))


def seeds_needed(difference: float, spread: float, *, alpha: float, power: float = 0.8, most: int = 1000) -> int | None:
    """With how many seeds a true difference of this size would show, by the power of the one-sided paired t test.

    J. Cohen, *Statistical power analysis for the behavioral sciences*, 1988, chapter 2: the test statistic has a noncentral
    t distribution with the noncentrality ``difference / spread * sqrt(n)``.

    Args:
        difference: Of the means, above 0.
        spread: Standard deviation of the differences seed by seed.
        alpha: Level of the test.
        power: With which probability it is to show.
        most: Beyond that nobody would go.

    Returns:
        The smallest number, at least 2; `None` beyond `most`, or where there is no difference.
    """
    if difference <= 0.0:
        return None
    if spread == 0.0:
        return max(2, math.ceil(-math.log2(alpha)))  # as many as the sign test of `p_above` takes
    effect, low, high = difference / spread, 2, most
    if _power(effect, high, alpha) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(effect, middle, alpha) >= power else (middle + 1, high)
    return low


def _power(effect: float, n: int, alpha: float) -> float:
    from scipy.special import nctdtr

    return 1.0 - float(nctdtr(n - 1, effect * math.sqrt(n), t_quantile(1 - alpha, n - 1)))
