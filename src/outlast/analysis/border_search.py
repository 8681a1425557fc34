"""Which parameters' best values lie at an end of their ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.analysis.borders import Border, border
from outlast.analysis.dimensions import Dimension, dimensions_of, of_numbers
from outlast.analysis.shares import best_part
from outlast.core.records import Trial
from outlast.space.parameters import Parameter

_CHANCE = 0.01  # divided by how many are looked at (Bonferroni)


def borders_of(trials: Sequence[Trial], parameters: Sequence[Parameter], goal: str) -> list[tuple[str, Border]]:
    """The parameters of a study whose best trials lie at an end, by the first objective.

    Args:
        trials: Complete ones.
        parameters: Of the study file.
        goal: ``maximize`` or ``minimize``.
    """
    sign = -1.0 if goal == "maximize" else 1.0
    scored = [
        (sign * t.value, t.params) for t in trials if t.value is not None and math.isfinite(t.value) and t.feasible
    ]
    best = best_part([cost for cost, _ in scored])
    numeric = [one for one in dimensions_of(parameters, trials) if one.numeric]
    return [(one.name, end) for one, end in at_borders(numeric, [params for _, params in scored], best)]


def at_borders(
    dimensions: Sequence[Dimension], params: Sequence[Mapping[str, Any]], best: Sequence[int]
) -> list[tuple[Dimension, Border]]:
    """The numeric dimensions at whose ends the best lie, held to a chance divided by how many are looked at.

    Args:
        dimensions: Numeric ones.
        params: The configurations.
        best: Which of them, by index, are the best.
    """
    chosen, chance = [params[at] for at in best], _CHANCE / max(1, len(dimensions))
    ends = [(one, border(one, [value for _, value in of_numbers(one, chosen)], chance=chance)) for one in dimensions]
    return [(one, end) for one, end in ends if end is not None]
