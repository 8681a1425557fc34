"""How many slots several studies have, and how they are cut into fixed parts where each study has a queue of its own. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pool_of(parallel: int | None, own: Sequence[int | None]) -> int | None:
    """Slots of studies that share a machine; ``None``: as many as that holds.

    Studies that each say a number of their own run side by side as from terminals of their own: there are as many slots as they
    say together, unless their campaign says how many.

    Args:
        parallel: The campaign's; ``None`` where it leaves that to the machine.
        own: Each study's; ``None`` likewise.
    """
    if parallel is not None:
        return parallel
    said = [each for each in own if each is not None]
    return sum(said) if said and len(said) == len(own) else None


def parts_of(pool: int, weights: Sequence[float], most: Sequence[int | None] = ()) -> list[int]:
    """Slots for each study by weight, whole ones, together as many as there are; but at least one each, so that all go on.

    What is left over by rounding goes to the largest fractions (Hamilton's method of apportionment), and what a study may not
    use to the others.

    Args:
        pool: Slots in all.
        weights: One a study.
        most: What each may have at the most; ``None`` for no limit.
    """
    limits = [math.inf if each is None else each for each in most] or [math.inf] * len(weights)
    parts = [1] * len(weights)
    while (left := pool - sum(parts)) > 0:
        open_to = [at for at in range(len(weights)) if parts[at] < limits[at]]
        if not open_to:
            break
        total = sum(weights[at] for at in open_to)
        room = left + sum(parts[at] for at in open_to)
        lacks = {at: room * weights[at] / total - parts[at] for at in open_to}
        parts[max(open_to, key=lambda at: (lacks[at], -at))] += 1
    return parts
