"""Which parameters' best values lie at an end of their ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.analysis.borders import Border, border
from outlast.analysis.dimensions import Dimension, dimensions_of, of_numbers
from outlast.analysis.shares import best_part
from outlast.core.fold import Study
from outlast.space.parameters import Parameter

_CHANCE = 0.01  # divided by how many are looked at (Bonferroni)


def borders_of(study: Study, parameters: Sequence[Parameter], goal: str) -> list[tuple[str, Border]]:
    """The parameters of a study whose best trials lie at an end, by the first objective.

    Args:
        study: The folded ledger. Of what a define-by-run objective drew only the best trials tell.
        parameters: Of the study file.
        goal: ``maximize`` or ``minimize``.
    """
    scored = {number: values[0] for number, values in study.scores()}
    if not all(map(math.isfinite, scored.values())):
        scored = {number: value for number, value in scored.items() if math.isfinite(value)}
    costs = [-value for value in scored.values()] if goal == "maximize" else list(scored.values())
    numbers = list(scored)
    best = [study.trials[numbers[at]] for at in best_part(costs)]
    numeric = [one for one in dimensions_of(parameters, best) if one.numeric]
    found = at_borders(numeric, [trial.params for trial in best], range(len(best)))
    return [(one.name, end) for one, end in found]


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
