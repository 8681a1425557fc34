"""What is drawn from: numbers within ends, or choices. They mean what Optuna's distributions mean, without loading it.

Held against Optuna's own (`optuna.distributions` of 5.0) by ``tests/optimizer/test_ranges.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec import Struct

from outlast.space.distributions import Latent


class FloatRange(Struct, frozen=True):
    """A number from `low` to `high`, both included; of `step` a whole number of times from `low`, if given."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def to_external_repr(self, value: float) -> Any:
        """The value of a number that a sampler calculates with."""
        return value

    def to_internal_repr(self, value: Any) -> float:
        """The number that a sampler calculates with.

        Raises:
            ValueError: It is none, or has no logarithm.
        """
        return _as_float(value, self.log)

    def single(self) -> bool:
        """Whether there is one value only."""
        if self.step is None or self.low == self.high:
            return self.low == self.high
        return _exact(self.high) - _exact(self.low) < _exact(self.step)

    def contains(self, number: float) -> bool:
        """Whether a sampler's number lies inside."""
        inside = self.low <= number <= self.high
        if inside and self.step is not None:
            times = (number - self.low) / self.step
            return abs(times - round(times)) < 1e-8
        return inside

    def text(self) -> str:
        """As Optuna writes it in JSON."""
        return _text("FloatDistribution", {"step": self.step, "low": self.low, "high": self.high, "log": self.log})


class IntRange(Struct, frozen=True):
    """A whole number from `low` to `high`, both included, of `step` a whole number of times from `low`."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def to_external_repr(self, value: float) -> int:
        """The value of a number that a sampler calculates with."""
        return int(value)

    def to_internal_repr(self, value: Any) -> float:
        """The number that a sampler calculates with.

        Raises:
            ValueError: It is none, or has no logarithm.
        """
        return _as_float(value, self.log)

    def single(self) -> bool:
        """Whether there is one value only."""
        return self.low == self.high or (not self.log and self.high - self.low < self.step)

    def contains(self, number: float) -> bool:
        """Whether a sampler's number lies inside."""
        return self.low <= number <= self.high and (number - self.low) % self.step == 0

    def text(self) -> str:
        """As Optuna writes it in JSON."""
        return _text("IntDistribution", {"log": self.log, "step": self.step, "low": self.low, "high": self.high})


class ChoiceRange(Struct, frozen=True):
    """One of some values, which a sampler knows by their places."""

    choices: tuple[Any, ...]

    def to_external_repr(self, value: float) -> Any:
        """The choice at a place."""
        return self.choices[int(value)]

    def to_internal_repr(self, value: Any) -> float:
        """The place of a choice; the first of equal ones, as which 1 and True count.

        Raises:
            ValueError: It is none of them.
        """
        if value in self.choices:
            return self.choices.index(value)
        for place, choice in enumerate(self.choices):
            if _is_nan(choice) and _is_nan(value):
                return place
        raise ValueError(f"{value!r} is none of {self.choices}")

    def single(self) -> bool:
        """Whether there is one choice only."""
        return len(self.choices) == 1

    def contains(self, number: float) -> bool:
        """Whether there is a choice at a place."""
        return 0 <= int(number) < len(self.choices)

    def text(self) -> str:
        """As Optuna writes it in JSON."""
        return _text("CategoricalDistribution", {"choices": self.choices})


Range: TypeAlias = FloatRange | IntRange | ChoiceRange


def range_of(latent: Latent) -> Range:
    """What is drawn for a latent; an upper end off the step's lattice is lowered to it, as Optuna does."""
    if latent.kind == "categorical":
        return ChoiceRange(latent.choices)
    if latent.kind == "int":
        step = int(latent.step or 1)
        low, high = int(latent.low), int(latent.high)
        return IntRange(low, low + (high - low) // step * step, latent.log, 1 if latent.log else step)
    if latent.step is None or latent.log:
        return FloatRange(float(latent.low), float(latent.high), latent.log)
    return FloatRange(float(latent.low), _on_lattice(latent.low, latent.high, latent.step), step=float(latent.step))


def latent_of(range_: Range) -> Latent:
    """The plain description of a range."""
    if isinstance(range_, ChoiceRange):
        return Latent("categorical", choices=range_.choices)
    if isinstance(range_, IntRange):
        step = range_.step if range_.step != 1 else None
        return Latent("int", low=range_.low, high=range_.high, step=step, log=range_.log)
    return Latent("float", low=range_.low, high=range_.high, step=range_.step, log=range_.log)


@lru_cache(maxsize=4096)
def parsed(text: str) -> Range:
    """The range of Optuna's JSON; the same object for the same text.

    Raises:
        ValueError: It is none.
    """
    said = json.loads(text)
    if isinstance(said, Mapping) and isinstance(about := said.get("attributes"), Mapping):
        found = _known(said.get("name"), about)
        if found is not None and json.loads(found.text()) == said:
            return found
    from outlast.optimizer.bridge.optuna_distributions import parsed_by_optuna  # of an earlier version, or nothing

    return parsed_by_optuna(text)


def contains(range_: Range, value: Any) -> bool:
    """Whether a value can come from the range."""
    try:
        return range_.contains(range_.to_internal_repr(value))
    except (ValueError, TypeError):
        return False


def _known(name: Any, about: Mapping[str, Any]) -> Range | None:
    """A range that is written as it would be here; others may be none."""
    try:
        if name == "CategoricalDistribution" and about["choices"]:
            return ChoiceRange(tuple(about["choices"]))
        low, high, log, step = (about[key] for key in ("low", "high", "log", "step"))
        if not low <= high or (log and low <= 0):
            return None
        if name == "IntDistribution" and step >= 1 and (high - low) % step == 0 and not (log and step != 1):
            return IntRange(low, high, log, step)
        if name == "FloatDistribution" and step is None:
            return FloatRange(float(low), float(high), log)
        if name == "FloatDistribution" and not log and step > 0 and _on_lattice(low, high, step) == high:
            return FloatRange(float(low), float(high), step=float(step))
    except (KeyError, TypeError):
        pass
    return None


def _text(name: str, attributes: Mapping[str, Any]) -> str:
    return json.dumps({"name": name, "attributes": attributes})


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


def _on_lattice(low: float, high: float, step: float) -> float:
    """The highest multiple of the step from `low` that is not above `high`."""
    return float((_exact(high) - _exact(low)) // _exact(step) * _exact(step) + _exact(low))


def _as_float(value: Any, log: bool) -> float:
    try:
        number = float(value)
    except (ValueError, TypeError):
        raise ValueError(f"{value!r} is no number") from None
    if math.isnan(number) or (log and number <= 0.0):
        raise ValueError(f"{value!r} is no number that can be drawn")
    return number


def _is_nan(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isnan(value)
