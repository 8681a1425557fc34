"""What a parameter is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.space import distributions
from outlast.space.distributions import Latent


class Parameter(Struct, frozen=True):
    """One parameter of the search space.

    ``name`` is dotted for nested parameters (``optimizer.lr``). ``distribution`` is W&B's word for it. ``latent`` is
    what the sampler draws; `decode` turns a drawn value into what the training gets, `encode` the other way (for
    ``enqueue`` and imports; raises ``ValueError`` for a value outside). They are the identity unless the distribution
    needs more (a normal is drawn as its quantile, a list-valued choice by its position). ``when`` maps another
    parameter's name to the values under which this one is active; empty means always. ``constant`` parameters have no
    latent and carry ``value``.

    `outlast.space.definitions.define` makes one from what a study file says.
    """

    name: str
    distribution: str
    latent: Latent | None = None
    value: Any = None
    when: Mapping[str, tuple[Any, ...]] | None = None
    options: Mapping[str, Any] | None = None  # the distribution's own figures: mu, sigma, q, probabilities …

    @property
    def constant(self) -> bool:
        """Whether nothing is drawn: the value is always the same."""
        return self.latent is None

    @property
    def choices(self) -> Sequence[Any] | None:
        """Every value that the training can get, in order; ``None`` for a continuous parameter. May be very long."""
        return [self.value] if self.constant else distributions.choices(self.distribution, self.options or {})

    @property
    def shown(self) -> Latent:
        """The distribution in the units of the value that the training gets, for the index that people read."""
        if self.constant:
            return distributions.shown("categorical", {"values": [self.value]})
        return distributions.shown(self.distribution, self.options or {})

    def shown_value(self, value: Any) -> Any:
        """A value as `shown` has it: lists and mappings as JSON text."""
        return distributions.shown_value(self.distribution, self.options or {}, value)

    def decode(self, drawn: Any) -> Any:
        """What the training gets for what the sampler drew."""
        return self.value if self.constant else distributions.decode(self.distribution, self.options or {}, drawn)

    def encode(self, value: Any) -> Any:
        """What the sampler would have drawn for this value.

        Raises:
            ValueError: The value cannot come out of this parameter; the message names it and says what is allowed.
        """
        try:
            if self.constant:
                return distributions.encode("categorical", {"values": [self.value]}, value)
            return distributions.encode(self.distribution, self.options or {}, value)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None


class SpaceError(ValueError):
    """Parameters, or constraints, that do not make a space.

    Args:
        fact: What is wrong, with what is allowed.
        name: The parameter at fault, where it is not the one that is being read.
        key: The figure of its definition at fault, where there is one.
        constraint: The constraint at fault, where there is one.
        cure: The nearest spelling, or what would be right.
    """

    def __init__(
        self,
        fact: str,
        *,
        name: str | None = None,
        key: str | None = None,
        constraint: str | None = None,
        cure: str | None = None,
    ) -> None:
        super().__init__(f"{name}: {fact}" if name else fact)
        self.fact, self.name, self.key, self.constraint, self.cure = fact, name, key, constraint, cure
