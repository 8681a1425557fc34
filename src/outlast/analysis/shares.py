"""Shares of a whole: how certain they are, which part is the best one, and who is there more often than elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import filterfalse
from typing import Any

from msgspec import Struct

from outlast.analysis.dimensions import category


def wilson_interval(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """The score interval of a share: with 3 of 10, between 0.11 and 0.60.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). Unlike the
    usual interval it is sensible for few trials, and for shares of 0 and 1.

    Args:
        hits: How many of them.
        of: Of how many; with 0 nothing is known, and the interval is from 0 to 1.
        level: The share of such intervals that hold the truth.
    """
    if of <= 0:
        return 0.0, 1.0
    from statistics import NormalDist  # loads random numbers and fractions: who looks at borders has no need of it

    z = NormalDist().inv_cdf(0.5 + level / 2)
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def at_least(hits: int, of: int, share: float) -> float:
    """The probability of at least so many hits where each of `of` has the probability `share`: the binomial's upper tail."""
    if hits <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    return min(1.0, math.fsum(_binomial(k, of, share) for k in range(hits, of + 1)))


def best_part(costs: Sequence[float], share: float = 0.1, least: int = 5, most: int = 1000) -> list[int]:
    """The indices of the best trials: a share of them, but at least a few, not more than say enough, and never more than half.

    Equal ones at the edge all belong to it. Where that makes more than half (a constant objective), nothing sets the best
    apart from the others, and the part is empty; so it is with less than four trials.

    Args:
        costs: One per trial, less being better; those that are no number are never among the best.
        share: How many of them, as a share.
        least: At least so many, where they are not more than half.
        most: At most so many, and those that equal the last of them.
    """
    known = sorted(filterfalse(math.isnan, costs))
    if len(known) < 4:
        return []
    size = max(min(most, math.ceil(share * len(known))), min(least, len(known) // 2))
    edge = known[size - 1]
    chosen = [at for at, cost in enumerate(costs) if cost <= edge]
    return chosen if len(chosen) <= len(known) / 2 else []


class CategoryShare(Struct, frozen=True):
    """How one category fared. `share` and `part_share` are of the trials that have the parameter at all."""

    value: Any
    trials: int
    share: float
    part: int  # of the trials that are looked at, such as the best
    part_share: float
    low: float  # of the interval of `part_share`
    high: float
    p: float  # of being in the part so often, or more often, by chance
    stands_out: bool  # whether that is too seldom to be chance
    best: float | None = (
        None  # the least and the middle cost of its trials, in the metric's own sign where there is one
    )
    median: float | None = None


def more_often(part_hits: int, part: int, hits: int, of: int) -> float:
    """The probability that at least `part_hits` of a random part of `of` trials are among `hits` of them.

    The upper tail of the hypergeometric distribution, which is the one-sided exact test of R. A. Fisher ("The logic of inductive
    inference", J. R. Stat. Soc. 98, 1935).
    """
    most = min(part, hits)
    if part_hits <= max(0, part + hits - of):
        return 1.0
    return min(1.0, math.fsum(_drawn(k, part, hits, of) for k in range(part_hits, most + 1)))


def category_shares(
    values: Sequence[Any], part: Sequence[int], costs: Sequence[float] = (), sign: float = 1.0, *, chance: float = 0.05
) -> list[CategoryShare]:
    """Of each category, its share of all trials against its share of some of them: which won, which is pruned, which fails.

    An adaptive sampler draws what is good more often, so that the winner has a large share of all as well; `best` and `median`
    say how good its trials are, however many.

    Args:
        values: One per trial.
        part: The indices of the trials that are looked at.
        costs: One per trial, less being better; left out, no values are told.
        sign: What a cost is multiplied with to be the metric's value again.
        chance: The probability (`more_often`) below which a category stands out; divide it by how many are looked at.

    Returns:
        One per category, largest share of the part first.
    """
    from statistics import median  # as above

    names = [category(value) for value in values]
    shown = dict(zip(names, values, strict=True))
    all_of, part_of = Counter(names), Counter(names[at] for at in part)
    found = []
    for name, count in all_of.items():
        low, high = wilson_interval(part_of[name], len(part))
        p = more_often(part_of[name], len(part), count, len(names))
        own = [cost for known, cost in zip(names, costs, strict=False) if known == name and math.isfinite(cost)]
        found.append(
            CategoryShare(
                shown[name],
                count,
                count / len(names),
                part_of[name],
                part_of[name] / len(part) if part else 0.0,
                low,
                high,
                p,
                p < chance,
                sign * min(own) if own else None,
                sign * median(own) if own else None,
            )
        )
    return sorted(found, key=lambda each: (-each.part, -each.trials, category(each.value)))


def _drawn(hits: int, part: int, all_hits: int, of: int) -> float:
    return math.exp(_log_choose(all_hits, hits) + _log_choose(of - all_hits, part - hits) - _log_choose(of, part))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _binomial(hits: int, of: int, share: float) -> float:
    return math.exp(_log_choose(of, hits) + hits * math.log(share) + (of - hits) * math.log1p(-share))
