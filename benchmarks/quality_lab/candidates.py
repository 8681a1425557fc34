"""Candidates for what `sampler: auto` could do, as samplers that the product's own optimizer asks by their dotted path.

Prototypes: they are told the space, with its conditions, as an option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import qmc

from quality_lab.gaussian import Array, condition, fit, log_improvement, scores
from quality_lab.unit_cube import Unit


class GaussianProcessSampler(BaseSampler):
    """Scrambled Sobol points first, then log expected improvement by a Gaussian process.

    What could not run counts as the worst value so far, and what runs is expected to come out as predicted.
    """

    def __init__(
        self, space: Sequence[Mapping[str, Any]], start: int = 0, seed: int = 0, warp: str = "power", initial: int = 10
    ) -> None:
        self._unit, self._start, self._seed, self._warp, self._initial = Unit(space), start, seed, warp, initial

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {"all": None}  # type: ignore[dict-item]

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._seed += 1
        chance = np.random.default_rng(self._seed)
        every = study._storage.get_all_trials(study._study_id, deepcopy=False)
        others = [t for t in every if t.number != trial.number and t.params]
        told = [t for t in others if t.state is TrialState.COMPLETE]
        failed = [t for t in others if t.state is TrialState.PRUNED]
        running = [t for t in others if t.state is TrialState.RUNNING]
        if len(told) + len(failed) < self._initial or len(told) < 3:
            return self._unit.params(self._unit.rows(self._sobol(len(others)))[0])
        values = np.array([t.value for t in told] + [max(t.value for t in told if t.value is not None)] * len(failed))
        x = np.array([self._unit.row(t.params) for t in told + failed])
        y = scores(values, self._warp)
        process = fit(x, y, self._unit.choices, seed=self._seed)
        if running:
            open_x = np.array([self._unit.row(t.params) for t in running])
            x, y = np.r_[x, open_x], np.r_[y, process.predict(open_x)[0]]
            process = condition(x, y, self._unit.choices, process.weights, process.scale, process.noise, process.middle)
        return self._best(process, x, chance)

    def _sobol(self, at: int) -> Array:
        sobol = qmc.Sobol(len(self._unit.space), seed=np.random.default_rng(self._start))
        sobol.fast_forward(at)
        return sobol.random(1)

    def _best(self, process: Any, x: Array, chance: Any) -> dict[str, Any]:
        means, _ = process.predict(x)
        best, order = float(np.min(means)), np.argsort(means)
        seen = {tuple(np.round(row, 9)) for row in x}

        def value(rows: Array) -> tuple[Array, Array, list[dict[str, Any]]]:
            rows, params = self._unit.snapped(rows)
            mean, spread = process.predict(rows)
            worth = log_improvement(mean, spread, best)
            worth[[tuple(np.round(row, 9)) in seen for row in rows]] = -np.inf
            return worth, rows, params

        around = np.vstack([self._near(x[at], chance, 30, 0.5) for at in order[:5]])
        worth, rows, params = value(np.vstack([self._unit.rows(chance.random((400, len(self._unit.space)))), around]))
        for width in (0.3, 0.15, 0.07):
            top = np.argsort(-worth)[:3]
            more = np.vstack([self._near(rows[at], chance, 25, width) for at in top])
            new = value(more)
            worth, rows, params = np.r_[worth, new[0]], np.vstack([rows, new[1]]), params + new[2]
        return params[int(np.argmax(worth))]

    def _near(self, row: Array, chance: Any, count: int, width: float) -> Array:
        """Rows that differ in one or more parameters."""
        d = len(row)
        rows = np.repeat(row[None], count, axis=0)
        moved = chance.random((count, d)) < max(1.5 / d, 0.2)
        moved[np.arange(count), chance.integers(d, size=count)] = True
        fresh = self._unit.rows(chance.random((count, d)))
        steps = np.clip(rows + width * chance.normal(size=(count, d)) * 0.5, 0, 1)
        unknown = rows < 0  # a choice that did not exist
        return np.where(
            self._unit.choices[None] & (moved | unknown),
            fresh,
            np.where(moved & ~self._unit.choices[None], steps, rows),
        )

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return RandomSampler(self._seed).sample_independent(study, trial, param_name, param_distribution)
