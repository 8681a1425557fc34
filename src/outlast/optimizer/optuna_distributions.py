"""Between our plain description of what is drawn and Optuna's distributions."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from outlast.space.distributions import Latent
from outlast.space.space import Space


@lru_cache(maxsize=4096)
def parsed(text: str) -> BaseDistribution:
    """The distribution of Optuna's JSON; the same object for the same text, which nobody changes.

    Raises:
        ValueError: It is none.
    """
    return json_to_distribution(text)


def distribution_of(latent: Latent) -> BaseDistribution:
    """Optuna's distribution for a latent; an upper bound off the step's lattice is lowered to it, as Optuna does."""
    if latent.kind == "categorical":
        return CategoricalDistribution(latent.choices)
    if latent.kind == "int":
        step = int(latent.step or 1)
        low, high = int(latent.low), int(latent.high)
        return IntDistribution(low, low + (high - low) // step * step, log=latent.log, step=1 if latent.log else step)
    if latent.step is None or latent.log:
        return FloatDistribution(float(latent.low), float(latent.high), log=latent.log)
    low_, step_ = Decimal(str(latent.low)), Decimal(str(latent.step))
    high_ = low_ + (Decimal(str(latent.high)) - low_) // step_ * step_
    return FloatDistribution(float(low_), float(high_), step=float(latent.step))


def latent_of(distribution: BaseDistribution) -> Latent:
    """The plain description of one of Optuna's distributions."""
    if isinstance(distribution, CategoricalDistribution):
        return Latent("categorical", choices=tuple(distribution.choices))
    if isinstance(distribution, IntDistribution):
        step = distribution.step if distribution.step != 1 else None
        return Latent("int", low=distribution.low, high=distribution.high, step=step, log=distribution.log)
    if isinstance(distribution, FloatDistribution):
        return Latent(
            "float", low=distribution.low, high=distribution.high, step=distribution.step, log=distribution.log
        )
    raise ValueError(f"unknown distribution {distribution!r}")


class Axis:
    """One parameter as a sampler sees it."""

    def __init__(self, name: str, latent: Latent) -> None:
        self.name, self.latent = name, latent
        self.distribution = distribution_of(latent)

    def from_sampler(self, value: Any) -> Any:
        """What a sampler drew as a plain value (never a NumPy number)."""
        if self.latent.kind == "categorical":
            return value
        return int(value) if self.latent.kind == "int" else float(value)

    def contains(self, value: Any) -> bool:
        """Whether a value lies inside."""
        return contains(self.distribution, value)

    @property
    def single(self) -> bool:
        """Whether there is only one value to draw."""
        return bool(self.distribution.single())

    @property
    def first(self) -> Any:
        """The lowest value, or the first choice."""
        return self.latent.choices[0] if self.latent.kind == "categorical" else self.from_sampler(self.latent.low)


def axes_of(space: Space) -> dict[str, Axis]:
    """The parameters of a space that are drawn, by name."""
    return {p.name: Axis(p.name, p.latent) for p in space.sampled if p.latent is not None}


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value can come from the distribution."""
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False
