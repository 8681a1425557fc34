"""A sampler for few trials: what a Gaussian process expects most improvement of.

The first trials are evenly spread. Then the good half of the values counts as it is, and the bad half by
its logarithm; trials that run are expected to come out as predicted (Ginsbourger et al., "Kriging is well-suited to parallelize
optimization", 2010); a second process learns what cannot run from trials that could not (Gardner et al., ICML 2014).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from outlast.optimizer.gaussian.row_search import RowSearch, keys_of, spread
from outlast.optimizer.gaussian.seen_rows import SeenRows, Told
from outlast.optimizer.gaussian.unit_rows import Array, UnitRows
from outlast.optimizer.random_draws import RandomDraws

#: So many points of the sequence are looked at for one that nobody tried.
AHEAD = 256
#: Around so many of the best trials is looked more closely.
BEST = 5


class _Fitted(NamedTuple):
    """What the trials that ended come to."""

    process: Any
    can_run: Any  # the process of what can run; None where everything did
    best: float
    good: Array  # the rows of the best trials


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
        self._number, self._asked = -1, 0
        self._rows: UnitRows
        self._proposed: set[bytes] = set()  # to this trial, and refused
        self._fitted: tuple[tuple[bytes, ...], _Fitted] | None = None  # with what it was fitted to
        self._loading: threading.Thread | None = None
        self._chance = np.random.default_rng(0)

    def suggest_for(self, number: int, seed: int) -> None:
        """What is suggested now is for this trial, as by a sampler that was made with this seed."""
        self._number, self._chance = number, np.random.default_rng(seed)
        self._asked += 1
        self._rows = self.seen.rows
        self._proposed.clear()
        self.reseed(seed)

    def begin(self, fixed: Mapping[str, Any]) -> None:
        """What is fixed is held: the rest is looked for beside it."""
        self._rows = self.seen.rows.holding(fixed)

    def together(self) -> dict[str, Any]:
        """A configuration, another one whenever it is asked for; nothing where there is none that nobody tried."""
        if not len(self._rows):
            return {}
        told = self.seen.told(but=self._number)
        told.tried |= self._proposed
        enough = len(told.ended) >= self._first and told.ran >= 3
        row = self._most_promising(told) if enough else self._next_of_sequence(told)
        if row is None:
            return {}
        self._proposed.update(keys_of(row[None]))
        return self._rows.drawn(row)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _next_of_sequence(self, told: Told) -> Array | None:
        """The first point of the sequence, from the one after all trials, that nobody tried and the constraints allow."""
        rows = self._rows
        self._load_behind(told)
        points = rows.of_uniform(spread(len(rows), told.begun, AHEAD, self.start))
        fresh = (row for row, key in zip(points, keys_of(points), strict=True) if key not in told.tried)
        return next(filter(rows.satisfies, fresh), None)

    def _load_behind(self, told: Told) -> None:
        """Load SciPy, which takes a third of a second, before the trial that waits for it: where one is to be expected."""
        if self._loading is None and self._asked > 1 and 2 * told.begun >= self._first:
            self._loading = threading.Thread(target=_load, name="outlast-scipy")
            self._loading.start()

    def _most_promising(self, told: Told) -> Array | None:
        # And SciPy, which the first trials do not wait for.
        from outlast.optimizer.gaussian import gaussian_process as model

        with model.one_thread():
            return self._promising(told, model)

    def _promising(self, told: Told, model: Any) -> Array | None:
        process, can_run, best, good = self._fit(told, model)
        if told.running:
            process = process.believing(np.array(told.running))

        def worth(candidates: Array) -> Array:
            mean, spread = process.predict(candidates)
            improvement = model.log_improvement(mean, spread, best)
            return improvement if can_run is None else improvement + model.log_chance(can_run, candidates)

        return RowSearch(self._rows, worth, told.tried, self._chance).best(good)

    def _fit(self, told: Told, model: Any) -> _Fitted:
        """Kept as long as no other trial ends: most of what a suggestion costs, and the same for all of a round."""
        x, values, runs = told.scored()
        seen = (x.tobytes(), values.tobytes(), runs.tobytes())
        if self._fitted is None or self._fitted[0] != seen:
            choices = self.seen.rows.choices
            process = model.fit(x, model.standing(values), choices)
            means, _ = process.predict(x)
            can_run = None if runs.all() else model.fit(x, np.where(runs, 1.0, -1.0), choices)
            good = x[np.argsort(means, kind="stable")[:BEST]]
            self._fitted = seen, _Fitted(process, can_run, float(np.min(means)), good)
        return self._fitted[1]


def _load() -> None:
    with suppress(Exception):  # whoever needs it meets the same, and says so
        from outlast.optimizer.gaussian import gaussian_process  # noqa: F401
