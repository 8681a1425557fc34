"""Who is pruned, who fails, and when: what sets those trials apart from the ones that ended well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from msgspec import Struct

from outlast.analysis.dimensions import Dimension, is_number
from outlast.analysis.ranks import separation
from outlast.analysis.shares import CategoryShare, category_shares

_CHANCE = 0.01


class Steps(Struct, frozen=True):
    """At which steps trials were given up."""

    counts: tuple[tuple[int, int], ...]  # (step, trials), by step
    median: float | None
    unknown: int  # trials without a step


class Apart(Struct, frozen=True):
    """A parameter whose values set some trials apart from the others."""

    parameter: str
    above: float | None = None  # of numbers: the probability to be larger than one of the others
    median: float | None = None  # of numbers: theirs, and the others'
    others_median: float | None = None
    category: CategoryShare | None = None  # of categories: the one that is there more often
    p: float | None = None


def steps_of(steps: Sequence[int | None]) -> Steps:
    """How often each step was the last one; without one, a trial counts as unknown."""
    known = [step for step in steps if step is not None]
    return Steps(tuple(sorted(Counter(known).items())), median(known) if known else None, len(steps) - len(known))


def set_apart(
    dimensions: Sequence[Dimension], some: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> list[Apart]:
    """In which parameters some trials differ from the others beyond chance, the clearest first.

    Numbers by the test of Mann and Whitney (`outlast.analysis.ranks.separation`), categories by their share
    (`category_shares`), each at one hundredth divided by how many are looked at (Bonferroni): every number, every category.

    Args:
        dimensions: Of the study.
        some: The configurations of the trials that are looked at.
        others: Of those they are compared with.
    """
    chance = _CHANCE / max(1, sum(1 if one.numeric else one.values or 2 for one in dimensions))
    found = []
    for dimension in dimensions:
        mine = [each[dimension.name] for each in some if dimension.name in each]
        theirs = [each[dimension.name] for each in others if dimension.name in each]
        if not mine or not theirs:
            continue
        if dimension.numeric:
            ours, rest = [v for v in mine if is_number(v)], [v for v in theirs if is_number(v)]
            apart = separation(ours, rest)
            if apart is not None and apart.p < chance:
                found.append(Apart(dimension.name, apart.above, median(ours), median(rest), p=apart.p))
        else:
            shares = category_shares([*mine, *theirs], range(len(mine)), chance=chance)
            found += [Apart(dimension.name, category=each, p=each.p) for each in shares if each.stands_out]
    return sorted(found, key=lambda each: -_clearness(each))


def _clearness(apart: Apart) -> float:
    if apart.category is not None:
        return apart.category.part_share - apart.category.share
    return abs((apart.above or 0.0) - 0.5)
