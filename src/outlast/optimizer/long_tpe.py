"""Optuna's TPE for long histories: the same suggestions to the last digit, without a loop over trials.

What Optuna's sampler draws depends on the good trials, which are few. All others count only for which of a few draws is taken.
They are kept in arrays (`TrialColumns`) and weighed by `log_density`; draws that are too close for it to tell apart are weighed
as Optuna does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.sampler import default_gamma
from optuna.search_space.group_decomposed import _SearchSpaceGroup
from optuna.study import Study
from optuna.trial import FrozenTrial

from outlast.optimizer.mixture_density import CLOSE, Array, Numbers, log_density, mixture_of
from outlast.optimizer.trial_columns import Shape, TrialColumns


class LongTPE(TPESampler):
    """Suggests what `TPESampler` suggests. It may be seeded again instead of made anew."""

    #: What is known of the study's trials; without it, or where it does not fit them, everything is done as Optuna does.
    columns: TrialColumns | None = None

    def reseed(self, seed: int) -> None:
        """Go on as one that was made with this seed."""
        self._rng.rng.seed(seed)
        self._random_sampler._rng.rng.seed(seed)

    @property
    def keeps_nothing(self) -> bool:
        """Whether all it knows of trials lies in `columns`: Optuna's own keeps what it saw of them."""
        return self._fitting is not None

    @property
    def _fitting(self) -> TrialColumns | None:
        return self.columns if self.columns is not None and self.columns.fits() else None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together."""
        columns = self._fitting
        if columns is None or not self._is_multivariate(study):
            return super().infer_relative_search_space(study, trial)
        shapes = columns.shapes()
        if not self._group:
            return {name: each for name, each in sorted(_common(shapes).items()) if not each.single()}
        self._search_space_group = _SearchSpaceGroup()
        for shape in shapes:
            self._search_space_group.add_distributions(dict(shape.distributions))
        spaces = self._search_space_group.search_spaces
        return {name: each for space in spaces for name, each in sorted(space.items()) if not each.single()}

    def _sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        columns = self._fitting
        if columns is None:
            return super()._sample_relative(study, trial, search_space)
        if not search_space or columns.ended < self._n_startup_trials:
            return {}
        return self._sample(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter by itself."""
        columns = self._fitting
        if columns is None:
            return super().sample_independent(study, trial, param_name, param_distribution)
        if columns.ended < self._n_startup_trials:
            return self._random_sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._sample(study, trial, {param_name: param_distribution})[param_name]

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        columns = self._fitting
        if columns is None:
            return super()._sample(study, trial, search_space)
        best, others = columns.split(
            (self._gamma or default_gamma)(columns.ended), search_space, but=trial.number, running=self._constant_liar
        )
        parameters = self._parzen_estimator_parameters
        good = _ParzenEstimator(columns.observed(best, search_space), search_space, parameters)
        draws = good.sample(self._rng.rng, self._n_ei_candidates)
        rivals = self._rivals(draws, good, columns, others, search_space)
        taken = rivals[0]
        if any((values[rivals] != values[taken]).any() for values in draws.values()):
            poor = _ParzenEstimator(columns.observed(others, search_space), search_space, parameters)
            close = {name: values[rivals] for name, values in draws.items()}
            taken = rivals[np.argmax(self._compute_acquisition_func(close, good, poor))]
        return {name: each.to_external_repr(draws[name][taken].item()) for name, each in search_space.items()}

    def _rivals(
        self,
        draws: dict[str, Array],
        good: _ParzenEstimator,
        columns: TrialColumns,
        others: Numbers,
        space: dict[str, BaseDistribution],
    ) -> Numbers:
        """The draws of which one is taken: those that are likeliest among the good trials, compared with all others."""
        parameters = self._parzen_estimator_parameters
        if parameters.consider_magic_clip and parameters.prior_weight > 0 and not parameters.consider_endpoints:
            scores = log_density(draws, *mixture_of(good))
            scores -= log_density(draws, *columns.mixture(others, space, parameters))
            if np.isfinite(scores).all():
                return np.flatnonzero(scores >= scores.max() - CLOSE)
        return np.arange(self._n_ei_candidates)


def _common(shapes: list[Shape]) -> dict[str, BaseDistribution]:
    """The parameters that all of them have, drawn from the same."""
    if not shapes:
        return {}
    first, *others = (shape.distributions for shape in shapes)
    return {name: each for name, each in first.items() if all(other.get(name) == each for other in others)}
