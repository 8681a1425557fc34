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

from quality_lab.axes import exists
from quality_lab.gaussian import Array, condition, fit, log_improvement, scores


class Unit:
    """Configurations as rows in [0, 1], and back; what does not exist lies in the middle."""

    def __init__(self, space: Sequence[Mapping[str, Any]]) -> None:
        self.space = [dict(parameter) for parameter in space]
        self.choices = np.array([parameter["kind"] == "choice" for parameter in self.space])
        self.counts = [len(parameter.get("choices", ())) for parameter in self.space]

    def row(self, params: Mapping[str, Any]) -> Array:
        """A configuration's row."""
        return np.array([self._to(parameter, params) for parameter in self.space])

    def _to(self, parameter: Mapping[str, Any], params: Mapping[str, Any]) -> float:
        name = parameter["name"]
        if name not in params:
            return -1.0 if parameter["kind"] == "choice" else 0.5
        if parameter["kind"] == "choice":
            return float(parameter["choices"].index(params[name]))
        low, high = self._ends(parameter)
        value = np.log(params[name]) if parameter["log"] else params[name]
        return float((value - low) / (high - low))

    @staticmethod
    def _ends(parameter: Mapping[str, Any]) -> tuple[float, float]:
        low, high = float(parameter["low"]), float(parameter["high"])
        if parameter["kind"] == "int":
            low, high = low - 0.5, high + 0.5
        return (float(np.log(low)), float(np.log(high))) if parameter["log"] else (low, high)

    def params(self, row: Array) -> dict[str, Any]:
        """The configuration nearest to a row: whole numbers are whole, and only what exists is in it."""
        params: dict[str, Any] = {}
        for parameter, at in zip(self.space, row, strict=True):
            if not exists(parameter, params):
                continue
            if parameter["kind"] == "choice":
                params[parameter["name"]] = parameter["choices"][int(at)]
                continue
            low, high = self._ends(parameter)
            value = low + (high - low) * float(at)
            value = float(np.exp(value)) if parameter["log"] else value
            value = min(max(value, parameter["low"]), parameter["high"])
            whole = parameter["kind"] == "int"
            params[parameter["name"]] = min(max(round(value), parameter["low"]), parameter["high"]) if whole else value
        return params

    def rows(self, uniform: Array) -> Array:
        """Rows for uniform numbers: choices by their share."""
        rows = uniform.copy()
        for at, count in enumerate(self.counts):
            if count:
                rows[:, at] = np.minimum((uniform[:, at] * count).astype(int), count - 1)
        return rows

    def snapped(self, rows: Array) -> tuple[Array, list[dict[str, Any]]]:
        """Rows of configurations that can be, with these."""
        params = [self.params(row) for row in rows]
        return np.array([self.row(each) for each in params]), params


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
