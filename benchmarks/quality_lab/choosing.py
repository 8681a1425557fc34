"""Which configuration a search would be said to have found: by the best score, or by what a model makes of all scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quality_lab.axes import Space
from quality_lab.gaussian import fit, scores
from quality_lab.simulated_clock import Ended, Params, chosen
from quality_lab.unit_cube import Unit

#: With fewer scores than this the best one counts.
LEAST = 10


def chosen_by_model(space: Space, ended: Sequence[Ended]) -> Params | None:
    """Of the configurations that were tried, the one that a Gaussian process expects most of: it knows what noise is."""
    ran = [trial for trial in ended if trial.value is not None]
    if len(ran) < LEAST:
        return chosen(ended)
    unit = Unit(space)
    x = np.array([unit.row(trial.params) for trial in ran])
    y = scores(np.array([trial.value for trial in ran]), "power")
    if not np.any(y):
        return chosen(ended)
    means, _ = fit(x, y, unit.choices).predict(x)
    return ran[int(np.argmin(means))].params
