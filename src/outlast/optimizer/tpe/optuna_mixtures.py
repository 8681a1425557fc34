"""Optuna's own mixtures: where the last digits of what it calculates decide, or where it calculates in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from outlast.optimizer.bridge.optuna_distributions import distribution_of
from outlast.optimizer.ranges import Range
from outlast.optimizer.tpe.mixture_density import Array

_AS_BY_DEFAULT = _ParzenEstimatorParameters(
    prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
)


def mixture(observed: Mapping[str, Array], space: Mapping[str, Range]) -> _ParzenEstimator:
    """What Optuna's TPE makes of observed values of the parameters of a space."""
    return _ParzenEstimator(
        dict(observed), {name: distribution_of(each) for name, each in space.items()}, _AS_BY_DEFAULT
    )
