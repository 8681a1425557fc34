"""A sampler for few trials: what a Gaussian process expects most improvement of.

The first trials are evenly spread. Then the good half of the values counts as it is, and the bad half by
its logarithm; trials that run are expected to come out as predicted (Ginsbourger et al., "Kriging is well-suited to parallelize
optimization", 2010); a second process learns what cannot run from trials that could not (Gardner et al., ICML 2014).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from outlast.optimizer.failure_feedback import Row
from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.row_search import RowSearch, keys_of, spread
from outlast.optimizer.trial_groups import Seen
from outlast.optimizer.unit_rows import Array, UnitRows

#: So many points of the sequence are looked at for one that nobody tried.
AHEAD = 256
#: So many trials are looked at: the best ones, and of the others the last; what a suggestion costs grows with the cube.
MOST = 250
#: Around so many of the best trials is looked more closely.
BEST = 5


class End(Enum):
    """What a trial that ended teaches: its value, that it was going badly, or that its configuration cannot run."""

    RAN, PRUNED, FAILED = range(3)


@dataclass
class Told:
    """What is known of the trials, as rows."""

    #: Those that ended, in order of their numbers; smaller values are better, and what failed has none.
    ended: list[tuple[Array, End, float]] = field(default_factory=list)
    running: list[Array] = field(default_factory=list)
    tried: set[bytes] = field(default_factory=set)

    @property
    def ran(self) -> int:
        """How many have a value."""
        return sum(end is End.RAN for _, end, _ in self.ended)

    def scored(self) -> tuple[Array, Array, Array]:
        """Rows and values of those that ended, `MOST` at most, and whether each could run.

        What was pruned is no better than the middle of those that ran to their end. What could not run counts as the worst:
        the chance to run alone is never small enough close to where nothing runs.
        """
        rows, ends, found = zip(*self.ended, strict=True)
        x, values = np.array(rows), np.array(found)
        ran, failed = (np.array([each is end for each in ends]) for end in (End.RAN, End.FAILED))
        values = np.where(ran, values, np.maximum(values, np.median(values[ran])))
        values = np.where(failed, np.max(values[ran]), values)
        if len(x) <= MOST:
            return x, values, ~failed
        best = np.argsort(values, kind="stable")[: MOST // 2]
        others = np.setdiff1d(np.arange(len(x)), best)
        kept = np.sort(np.concatenate([best, others[len(best) - MOST :]]))
        return x[kept], values[kept], ~failed[kept]


class GaussianSearch(RandomDraws):
    """Suggests by a Gaussian process, for one objective over a declared space.

    Args:
        n_startup_trials: So many trials end before the first one is suggested by what they came to.
    """

    #: The space, and what the sequence of first trials begins with; given by whoever makes the sampler.
    rows: UnitRows
    start: int = 0

    def __init__(self, *, n_startup_trials: int = 10) -> None:
        super().__init__()
        self._first = n_startup_trials
        self._others: Sequence[Seen] = ()

    def suggest_for(self, number: int, seed: int, trials: Iterable[Seen]) -> None:
        """What is suggested now is for this trial, and descends from this seed."""
        self._others = [each for each in trials if each.number != number]
        self._chance = np.random.default_rng(seed)
        self.reseed(seed)

    def together(self) -> dict[str, Any]:
        """A configuration; nothing where there is none that nobody tried."""
        if not len(self.rows):
            return {}
        told = self._told()
        if len(told.ended) < self._first or told.ran < 3:
            row = self._next_of_sequence(len(self._others), told)
        else:
            row = self._most_promising(told)
        return {} if row is None else self.rows.drawn(row)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _told(self) -> Told:
        told = Told()
        for trial in self._others:
            row = self._row(trial.params)
            if row is None:
                continue
            told.tried.update(keys_of(row[None]))
            if trial.state is Row.RUNNING:
                told.running.append(row)
            elif trial.value is not None:
                told.ended.append((row, End.RAN if trial.state is Row.COMPLETE else End.PRUNED, trial.value))
            elif trial.state is not Row.FAIL:  # a machine's fault says nothing
                told.ended.append((row, End.FAILED, 0.0))
        return told

    def _row(self, drawn: Mapping[str, Any]) -> Array | None:
        """A trial's row; None if it has no parameter of the space, or one that does not fit."""
        if not any(column.name in drawn for column in self.rows.columns):
            return None
        try:
            return self.rows.snapped(self.rows.row(drawn)[None])[0]
        except StopIteration:
            return None

    def _next_of_sequence(self, begun: int, told: Told) -> Array | None:
        """The first point of the sequence, from this one on, that nobody tried and the constraints allow."""
        points = self.rows.of_uniform(spread(len(self.rows), begun, AHEAD, self.start))
        fresh = (row for row, key in zip(points, keys_of(points), strict=True) if key not in told.tried)
        return next(filter(self.rows.satisfies, fresh), None)

    def _most_promising(self, told: Told) -> Array | None:
        from outlast.optimizer import gaussian_process as model  # and SciPy, which the first trials do not wait for

        with model.one_thread():
            return self._promising(told, model)

    def _promising(self, told: Told, model: Any) -> Array | None:
        x, values, runs = told.scored()
        process = model.fit(x, model.standing(values), self.rows.choices)
        means, _ = process.predict(x)
        best, order = float(np.min(means)), np.argsort(means, kind="stable")
        if told.running:
            process = process.believing(np.array(told.running))
        can = None if runs.all() else model.fit(x, np.where(runs, 1.0, -1.0), self.rows.choices)

        def worth(rows: Array) -> Array:
            mean, spread = process.predict(rows)
            improvement = model.log_improvement(mean, spread, best)
            return improvement if can is None else improvement + model.log_chance(can, rows)

        return RowSearch(self.rows, worth, told.tried, self._chance).best(x[order[:BEST]])
