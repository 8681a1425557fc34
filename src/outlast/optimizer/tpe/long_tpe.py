"""Optuna's TPE for long histories: the same suggestions to the last digit, without a loop over trials, and without Optuna.

By turns with a Gaussian process it draws otherwise, which finds more: `LongTPE.by_turns`, and ``benchmarks/README.md``.

What Optuna's sampler draws depends on the good trials, which are few. All others count only for which of a few draws is taken.
They are kept in arrays (`TrialColumns`) and weighed by `log_density`; draws that are too close for it to tell apart are weighed
by Optuna itself, which is loaded then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.ranges import ChoiceRange, Range
from outlast.optimizer.tpe.mixture_density import CLOSE, Array, Numbers, log_density
from outlast.optimizer.tpe.mixture_draws import draws
from outlast.optimizer.tpe.trial_columns import TrialColumns
from outlast.optimizer.tpe.trial_groups import Shape
from outlast.optimizer.tpe.truncated_normal import TOO_MANY


class LongTPE(RandomDraws):
    """Suggests for one trial at a time what `optuna.samplers.TPESampler` suggests, for one objective.

    Options are that sampler's.
    """

    #: What is known of the study's trials.
    columns: TrialColumns
    #: Whether a Gaussian process suggests every other trial, and there are few: then all trials count alike, all bells of a
    #: parameter are as wide, and trials that run are not taken for poor ones, which is the process's to see to.
    by_turns = False

    def __init__(
        self,
        *,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
        multivariate: bool | None = None,
        group: bool = False,
        constant_liar: bool = True,
    ) -> None:
        super().__init__()
        self.numbers = np.random.RandomState(0)
        self._first = RandomDraws()  # of trials that there are too few before
        self._startup, self._candidates = n_startup_trials, n_ei_candidates
        self._together, self._group, self._liar = multivariate is not False, group, constant_liar
        self._number = -1

    def suggest_for(self, number: int, seed: int, columns: TrialColumns) -> None:
        """What is suggested now is for this trial, as by a sampler that was made with this seed."""
        self._number, self.columns = number, columns
        self.numbers.seed(seed)
        self._first.reseed(seed)

    def together(self) -> dict[str, Any]:
        """The values of the parameters that are drawn together."""
        if not self._together or self.columns.ended < self._startup:
            return {}
        shapes = self.columns.shapes()
        found: dict[str, Any] = {}
        for space in _apart(shapes) if self._group else [_common(shapes)]:
            drawn_from = {name: each for name, each in sorted(space.items()) if not each.single()}
            found.update(self._drawn(drawn_from) if drawn_from else {})
        return found

    def alone(self, name: str, range_: Range) -> Any:
        """A parameter by itself."""
        if self.columns.ended < self._startup:
            return self._first.alone(name, range_)
        return self._drawn({name: range_})[name]

    def _drawn(self, space: Mapping[str, Range]) -> dict[str, Any]:
        columns = self.columns
        below = min(math.ceil(0.1 * columns.ended), 25)
        best, others = columns.split(below, space, but=self._number, running=self._liar and not self.by_turns)
        weights, kernels = columns.mixture(best, space, even=self.by_turns)
        if self._candidates * sum(not isinstance(each, ChoiceRange) for each in space.values()) < TOO_MANY:
            found = draws(self.numbers, self._candidates, weights, kernels, space)
        else:
            from outlast.optimizer.tpe.optuna_mixtures import mixture

            found = mixture(columns.observed(best, space), space).sample(self.numbers, self._candidates)
        scores = log_density(found, weights, kernels)
        scores = scores - log_density(found, *columns.mixture(others, space, even=self.by_turns))
        taken = self._taken(found, scores, best, others, space)
        return {name: each.to_external_repr(found[name][taken].item()) for name, each in space.items()}

    def _taken(
        self, found: Mapping[str, Array], scores: Array, best: Numbers, others: Numbers, space: Mapping[str, Range]
    ) -> int:
        """Which of some draws is likeliest among the good trials, compared with all others."""
        rivals, finite = np.arange(len(scores)), np.isfinite(scores).all()
        if finite and self.by_turns:
            return int(np.argmax(scores))
        if finite:
            rivals = np.flatnonzero(scores >= scores.max() - CLOSE)
        first = rivals[0]
        if all((values[rivals] == values[first]).all() for values in found.values()):
            return int(first)
        from outlast.optimizer.tpe.optuna_mixtures import mixture

        good, poor = (mixture(self.columns.observed(each, space), space) for each in (best, others))
        close = {name: values[rivals] for name, values in found.items()}
        return int(rivals[np.argmax(good.log_pdf(close) - poor.log_pdf(close))])


def _common(shapes: list[Shape]) -> dict[str, Range]:
    """The parameters that all of them have, drawn from the same."""
    if not shapes:
        return {}
    first, *others = (shape.ranges for shape in shapes)
    return {name: each for name, each in first.items() if all(other.get(name) == each for other in others)}


def _apart(shapes: list[Shape]) -> list[dict[str, Range]]:
    """Parameters in groups, of which each trial has all or none; drawn from what they were drawn from first."""
    groups: list[dict[str, Range]] = []
    for shape in shapes:
        has, known = shape.ranges, {name for group in groups for name in group}
        split = []
        for group in groups:
            split.append({name: each for name, each in group.items() if name in has})
            split.append({name: each for name, each in group.items() if name not in has})
        groups = [group for group in (*split, {name: has[name] for name in has if name not in known}) if group]
    return groups
