"""A sampler for few trials: what a Gaussian process expects most improvement of.

The first trials are evenly spread. Then the good half of the values counts as it is, and the bad half by
its logarithm; trials that run are expected to come out as predicted (Ginsbourger et al., "Kriging is well-suited to parallelize
optimization", 2010); a second process learns what cannot run from trials that could not (Gardner et al., ICML 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.row_search import RowSearch, keys_of, spread
from outlast.optimizer.seen_rows import SeenRows, Told
from outlast.optimizer.unit_rows import Array

#: So many points of the sequence are looked at for one that nobody tried.
AHEAD = 256
#: Around so many of the best trials is looked more closely.
BEST = 5


class GaussianSearch(RandomDraws):
    """Suggests by a Gaussian process, for one objective over a declared space, for one trial at a time.

    Args:
        n_startup_trials: So many trials end before the first one is suggested by what they came to.
    """

    #: The trials as rows, and what the sequence of first trials begins with; given by whoever has them.
    seen: SeenRows
    start: int = 0

    def __init__(self, *, n_startup_trials: int = 10) -> None:
        super().__init__()
        self._first = n_startup_trials
        self._number = -1
        self._chance = np.random.default_rng(0)

    def suggest_for(self, number: int, seed: int) -> None:
        """What is suggested now is for this trial, as by a sampler that was made with this seed."""
        self._number, self._chance = number, np.random.default_rng(seed)
        self.reseed(seed)

    def together(self) -> dict[str, Any]:
        """A configuration; nothing where there is none that nobody tried."""
        rows = self.seen.rows
        if not len(rows):
            return {}
        told = self.seen.told(but=self._number)
        enough = len(told.ended) >= self._first and told.ran >= 3
        row = self._most_promising(told) if enough else self._next_of_sequence(told)
        return {} if row is None else rows.drawn(row)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _next_of_sequence(self, told: Told) -> Array | None:
        """The first point of the sequence, from the one after all trials, that nobody tried and the constraints allow."""
        rows = self.seen.rows
        points = rows.of_uniform(spread(len(rows), told.begun, AHEAD, self.start))
        fresh = (row for row, key in zip(points, keys_of(points), strict=True) if key not in told.tried)
        return next(filter(rows.satisfies, fresh), None)

    def _most_promising(self, told: Told) -> Array | None:
        from outlast.optimizer import gaussian_process as model  # and SciPy, which the first trials do not wait for

        with model.one_thread():
            return self._promising(told, model)

    def _promising(self, told: Told, model: Any) -> Array | None:
        rows = self.seen.rows
        x, values, runs = told.scored()
        process = model.fit(x, model.standing(values), rows.choices)
        means, _ = process.predict(x)
        best, order = float(np.min(means)), np.argsort(means, kind="stable")
        if told.running:
            process = process.believing(np.array(told.running))
        can = None if runs.all() else model.fit(x, np.where(runs, 1.0, -1.0), rows.choices)

        def worth(candidates: Array) -> Array:
            mean, spread = process.predict(candidates)
            improvement = model.log_improvement(mean, spread, best)
            return improvement if can is None else improvement + model.log_chance(can, candidates)

        return RowSearch(rows, worth, told.tried, self._chance).best(x[order[:BEST]])
