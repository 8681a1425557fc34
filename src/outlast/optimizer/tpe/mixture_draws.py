"""Drawing from a mixture of TPE's kernels, to the last digit as Optuna does from the same random numbers.

The order in which numbers are taken is that of ``optuna.samplers._tpe.probability_distributions`` (5.0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from outlast.optimizer.ranges import ChoiceRange, Range
from outlast.optimizer.tpe.mixture_density import Array, Bells, Choices, Kernels, Numbers
from outlast.optimizer.tpe.truncated_normal import quantile


def draws(
    numbers: np.random.RandomState, count: int, weights: Array, kernels: Sequence[Kernels], space: Mapping[str, Range]
) -> dict[str, Array]:
    """So many draws: the values of each parameter as a sampler calculates with them.

    Args:
        weights: Of the kernels, each a product over parameters.
        kernels: Of each parameter.
        space: What the parameters are drawn from.
    """
    taken = numbers.choice(len(weights), p=weights, size=count)
    found: dict[str, Array] = {}
    bells: list[Bells] = []
    for name, each in zip(space, kernels, strict=True):
        if isinstance(each, Choices):
            found[name] = _chosen(numbers, each, taken)
        else:
            bells.append(each)
    if bells:
        names = [name for name, each in space.items() if not isinstance(each, ChoiceRange)]
        for name, each, x in zip(names, bells, _from_bells(numbers, bells, space, names, taken), strict=True):
            x = np.exp(x) if each.log else x
            if each.step:
                low, high = _ends(space[name])
                x = np.clip(low + np.round((x - low) / each.step) * each.step, low, high)
            found[name] = x
    return {name: found[name] for name in space}


def _chosen(numbers: np.random.RandomState, kernels: Choices, taken: Numbers) -> Array:
    part = numbers.rand(len(taken))
    below = np.cumsum(kernels.rows[kernels.chosen[taken]], axis=-1)
    below[:, -1] = 1  # whatever the sum's last digits are
    return np.asarray((below < part[:, None]).sum(axis=-1), dtype=np.float64)


def _from_bells(
    numbers: np.random.RandomState,
    bells: Sequence[Bells],
    space: Mapping[str, Range],
    names: Sequence[str],
    taken: Numbers,
) -> Array:
    mu, sigma = np.array([each.mu[taken] for each in bells]), np.array([each.sigma[taken] for each in bells])
    ends = []
    for name, each in zip(names, bells, strict=True):
        low, high = _ends(space[name])
        low, high = low - each.step / 2, high + each.step / 2
        ends.append((math.log(low), math.log(high)) if each.log else (low, high))
    low, high = np.array(ends).T[:, :, None]
    part = numbers.uniform(low=0, high=1, size=mu.shape)
    return np.asarray(quantile(part, (low - mu) / sigma, (high - mu) / sigma) * sigma + mu)


def _ends(range_: Range) -> tuple[float, float]:
    assert not isinstance(range_, ChoiceRange)
    return float(range_.low), float(range_.high)
