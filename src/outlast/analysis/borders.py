"""What ended at the border of its range: the best trials crowd at an end that somebody chose."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from outlast.analysis.dimensions import Dimension
from outlast.analysis.shares import at_least

#: How near an end is, as a share of the range in its own scale.
NEAR = 0.1
_CHANCE = 0.01
_FURTHER = 0.25  # of the range, in its own scale


class Border(Struct, frozen=True):
    """An end of a range at which the best trials are."""

    end: str  # "low" or "high"
    bound: float
    near: int  # of the best trials
    of: int
    expected: float  # how many that would be if the range had no favourite
    p: float  # of so many by chance
    widen_to: float | None  # a quarter of the range further, in its scale; None where nothing lies beyond


def border(
    dimension: Dimension, best: Sequence[float], *, near: float = NEAR, chance: float = _CHANCE
) -> Border | None:
    """The end at which the best trials of an dimension lie, if they do so beyond chance and at least a third of them does.

    A trial is near an end when it lies in the outermost tenth of the range, on a logarithmic dimension in the logarithm, or has
    the end's own value where there are few values. If all places were equally good, so many would be there as the share of the
    range that counts as near; the probability of as many as there are is the binomial's upper tail. A range from 0 on is
    told, but nothing is proposed below 0.

    Args:
        dimension: With its ends and its scale.
        best: Its values in the best trials; those outside the range are left out.
        near: See `NEAR`.
        chance: The probability below which it is told.
    """
    if not dimension.has_ends:
        return None
    assert dimension.low is not None and dimension.high is not None
    positions = [dimension.position(value) for value in best if dimension.low <= value <= dimension.high]
    if not positions:
        return None
    share = near
    if dimension.values is not None and not dimension.log:
        gap = 1 / max(1, dimension.values - 1)
        share = (math.floor(near / gap + 1e-9) + 1) / dimension.values
    found = []
    for end, bound in (("low", dimension.low), ("high", dimension.high)):
        hits = sum((p if end == "low" else 1 - p) <= near + 1e-9 for p in positions)
        p = at_least(hits, len(positions), share)
        if p < chance and hits >= len(positions) / 3:
            found.append(Border(end, bound, hits, len(positions), share * len(positions), p, _wider(dimension, end)))
    return min(found, key=lambda each: (-each.near, each.p), default=None)


def _wider(dimension: Dimension, end: str) -> float | None:
    assert dimension.low is not None
    if end == "low" and dimension.low == 0:
        return None
    value = dimension.at(-_FURTHER if end == "low" else 1 + _FURTHER)
    if end == "low" and dimension.low > 0:
        value = max(value, dimension.low / 10)
    if dimension.values is not None:
        return float(math.floor(value) if end == "low" else math.ceil(value))
    return float(f"{value:.3g}")
