"""Between what is drawn from here and Optuna's distributions."""

from __future__ import annotations

from functools import lru_cache

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from outlast.optimizer.ranges import ChoiceRange, FloatRange, IntRange, Range


def distribution_of(range_: Range) -> BaseDistribution:
    """Optuna's distribution for a range; the same object for the same range, which nobody changes."""
    return _made(range_, *(map(type, range_.choices) if isinstance(range_, ChoiceRange) else ()))  # 1 is no True


@lru_cache(maxsize=4096)
def _made(range_: Range, *_kinds: type) -> BaseDistribution:
    if isinstance(range_, ChoiceRange):
        return CategoricalDistribution(range_.choices)
    if isinstance(range_, IntRange):
        return IntDistribution(range_.low, range_.high, log=range_.log, step=range_.step)
    return FloatDistribution(range_.low, range_.high, log=range_.log, step=range_.step)


def range_like(distribution: BaseDistribution) -> Range:
    """What is drawn from one of Optuna's distributions."""
    if isinstance(distribution, CategoricalDistribution):
        return ChoiceRange(tuple(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return IntRange(distribution.low, distribution.high, distribution.log, distribution.step)
    if isinstance(distribution, FloatDistribution):
        return FloatRange(distribution.low, distribution.high, distribution.log, distribution.step)
    raise ValueError(f"unknown distribution {distribution!r}")


def parsed_by_optuna(text: str) -> Range:
    """What is drawn from a distribution in JSON, of which Optuna itself knows older forms.

    Raises:
        ValueError: It is none.
    """
    return range_like(json_to_distribution(text))
