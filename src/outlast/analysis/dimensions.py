"""The dimensions of a search space as statistics see them: categories, or numbers on a line or a logarithmic scale."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.core.records import Trial
from outlast.space.parameters import Parameter

#: Distributions whose ends are no choice of anybody's: they can be widened by their own figures only.
_NO_ENDS = ("normal", "log_normal", "beta")


class Dimension(Struct, frozen=True):
    """One parameter. ``low`` and ``high`` are None where it has no ends that somebody chose."""

    name: str
    numeric: bool
    low: float | None = None
    high: float | None = None
    log: bool = False
    values: int | None = None  # how many distinct ones there are; None: no end of them
    when: Mapping[str, tuple[Any, ...]] | None = None

    @property
    def has_ends(self) -> bool:
        """Whether it is a range that could be widened."""
        return self.low is not None and self.high is not None and self.low < self.high

    def position(self, value: float) -> float:
        """Where a value lies between the ends, from 0 to 1, in the dimension' own scale."""
        assert self.low is not None and self.high is not None
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def at(self, position: float) -> float:
        """The value at a position, which may lie outside."""
        assert self.low is not None and self.high is not None
        if self.log:
            return math.exp(math.log(self.low) + position * (math.log(self.high) - math.log(self.low)))
        return self.low + position * (self.high - self.low)


def dimensions_of(parameters: Iterable[Parameter], trials: Iterable[Trial] = ()) -> list[Dimension]:
    """The dimensions of a study: its parameters, and those that its define-by-run objective drew.

    Args:
        parameters: Of the study file; constants are left out.
        trials: Where the objective drew parameters of its own, under the latest distribution of each.
    """
    found = {parameter.name: _dimension(parameter) for parameter in parameters if not parameter.constant}
    drawn: dict[str, str] = {}
    for trial in trials:
        if trial.distributions:
            drawn.update(trial.distributions)
    found |= {name: _drawn(name, text) for name, text in drawn.items() if name not in found}
    return list(found.values())


def is_number(value: object) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def category(value: Any) -> str:
    """A value as text that is equal for equal values, lists and mappings included."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def of_numbers(dimension: Dimension, params: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """(index, value) of the configurations in which a numeric dimension has a finite value."""
    return [(at, float(each[dimension.name])) for at, each in enumerate(params) if is_number(each.get(dimension.name))]


def _dimension(parameter: Parameter) -> Dimension:
    shown, base = parameter.shown, parameter.distribution.removeprefix("q_")
    if shown.kind == "categorical":
        return Dimension(parameter.name, False, values=len(shown.choices), when=parameter.when)
    if base in _NO_ENDS:
        return Dimension(parameter.name, True, log=shown.log, when=parameter.when)
    choices = parameter.choices
    count = None if choices is None else len(choices)
    return Dimension(parameter.name, True, float(shown.low), float(shown.high), shown.log, count, parameter.when)


def _drawn(name: str, text: str) -> Dimension:
    """From the JSON text of an Optuna distribution (`optuna.distributions.distribution_to_json`)."""
    told = json.loads(text)
    figures = told.get("attributes", {})
    if "choices" in figures:
        return Dimension(name, False, values=len(figures["choices"]))
    low, high, step = float(figures["low"]), float(figures["high"]), figures.get("step")
    count = round((high - low) / step) + 1 if step and not figures.get("log") else None
    return Dimension(name, True, low, high, bool(figures.get("log")), count)
