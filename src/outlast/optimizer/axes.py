"""The parameters of a space as a sampler sees them."""

from __future__ import annotations

from typing import Any

from outlast.optimizer.ranges import contains, range_of
from outlast.space.distributions import Latent
from outlast.space.space import Space


class Axis:
    """One parameter as a sampler sees it."""

    def __init__(self, name: str, latent: Latent) -> None:
        self.name, self.latent = name, latent
        self.range = range_of(latent)

    def from_sampler(self, value: Any) -> Any:
        """What a sampler drew as a plain value (never a NumPy number)."""
        if self.latent.kind == "categorical":
            return value
        return int(value) if self.latent.kind == "int" else float(value)

    def contains(self, value: Any) -> bool:
        """Whether a value lies inside."""
        return contains(self.range, value)

    @property
    def single(self) -> bool:
        """Whether there is only one value to draw."""
        return self.range.single()

    @property
    def first(self) -> Any:
        """The lowest value, or the first choice."""
        return self.latent.choices[0] if self.latent.kind == "categorical" else self.from_sampler(self.latent.low)


def axes_of(space: Space) -> dict[str, Axis]:
    """The parameters of a space that are drawn, by name."""
    return {p.name: Axis(p.name, p.latent) for p in space.sampled if p.latent is not None}
