"""Configurations as rows of numbers in [0, 1], which models are fitted to, and back.

A number is its place between the ends, on its scale; a whole number or a step is the middle of its share. Numbers on a list are
ordered by it, so they are their place on it. Any other choice is its position: equal or different is all that is read of it.
A parameter that is not active has a place of its own among choices, and stands in the middle otherwise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from outlast.optimizer.axes import Axis
from outlast.space.parameters import Parameter
from outlast.space.space import Space, same

Array = Any
#: Distributions of choices that are not equally likely.
_UNEQUAL = ("categorical", "categorical_w_probabilities")
#: Where a parameter stands that is not active.
NO_CHOICE, MIDDLE = -1.0, 0.5


class Column:
    """One parameter's numbers. `levels` are all places it can have, if they are few; `choice`: they have no order."""

    def __init__(self, parameter: Parameter, axis: Axis) -> None:
        latent = axis.latent
        self.name, self._axis, self._parameter = parameter.name, axis, parameter
        self._values: Sequence[Any] = latent.choices
        #: Of choices that are not equally likely, which are drawn as numbers: what each is drawn as.
        self._coded = _coded(parameter) if latent.kind == "float" and parameter.distribution in _UNEQUAL else []
        self.choice = bool(self._coded) or (latent.kind == "categorical" and not _ordered(parameter.choices or ()))
        self._log, self._step = latent.log, latent.step or (1.0 if latent.kind == "int" else 0.0)
        low, high = getattr(axis.range, "low", 0.0), getattr(axis.range, "high", 1.0)
        self._low, self._high = float(low), float(high)
        margin = self._step / 2
        self._ends = (self._scaled(self._low - margin), self._scaled(self._high + margin))
        self._rounded = self._all_rounded() if latent.kind == "float" and not self._coded else None
        self.away = NO_CHOICE if self.choice else MIDDLE
        self.levels = self._all_levels()

    def place(self, drawn: Any) -> float:
        """Where a drawn value stands."""
        if self._coded:
            said = self._parameter.decode(drawn)
            return float(next(at for at, (value, _) in enumerate(self._coded) if value == said))
        if self._values:
            at = _position(drawn, self._values)
            return float(at) if self.choice else (at + 0.5) / len(self._values)
        low, high = self._ends
        return float((self._scaled(float(drawn)) - low) / (high - low))

    def drawn(self, place: float) -> Any:
        """What is drawn at a place."""
        if self._coded:
            return self._coded[int(place)][1]
        if self._values:
            return self._values[int(place if self.choice else place * len(self._values))]
        value = float(self._at(np.array([place]))[0])
        return self._axis.from_sampler(round(value) if self._axis.latent.kind == "int" else value)

    def value(self, place: float) -> Any:
        """The parameter's value at a place."""
        return self._parameter.decode(self.drawn(place))

    def of_uniform(self, uniform: Array) -> Array:
        """Places for uniform numbers below 1: each choice has its share."""
        if self._coded:
            return np.array([self.place(self._low + (self._high - self._low) * each) for each in uniform.tolist()])
        return np.floor(uniform * len(self._values)) if self.choice else uniform

    def snapped(self, places: Array) -> Array:
        """The nearest places that the parameter can have."""
        if self.choice:
            return places
        if self._values:
            count = len(self._values)
            return (np.clip(np.floor(places * count), 0, count - 1) + 0.5) / count
        if self._rounded is not None:
            above = np.clip(np.searchsorted(self._rounded, places), 1, len(self._rounded) - 1)
            nearer = places - self._rounded[above - 1] <= self._rounded[above] - places
            return self._rounded[np.where(nearer, above - 1, above)]
        if not self._step:
            return np.clip(places, 0.0, 1.0)
        low, high = self._ends
        return (self._scaled(self._at(places)) - low) / (high - low)

    def _at(self, places: Array) -> Array:
        low, high = self._ends
        values = low + (high - low) * places
        values = np.exp(values) if self._log else values
        if self._step:
            values = self._low + np.rint((values - self._low) / self._step) * self._step
        return np.clip(values, self._low, self._high)

    def _scaled(self, value: Any) -> Any:
        return np.log(value) if self._log else value

    def _all_rounded(self, most: int = 1000) -> Array | None:
        """The places of all values, where what is drawn is rounded to one of a list."""
        values = self._parameter.choices
        if values is None or not 1 < len(values) <= most:
            return None
        places = np.unique([self.place(each) for _, each in _coded(self._parameter)])
        return places if len(places) > 1 else None

    def _all_levels(self, most: int = 12) -> Array | None:
        if self.choice:
            return np.arange(float(len(self._coded or self._values)))
        if self._rounded is not None:
            return self._rounded if len(self._rounded) <= most else None
        count = len(self._values)
        if self._step and not self._log:
            count = round((self._high - self._low) / self._step) + 1
        return (np.arange(count) + 0.5) / count if 0 < count <= most else None


class UnitRows:
    """The parameters of a space that are drawn and have more than one value."""

    def __init__(self, space: Space, axes: Mapping[str, Axis]) -> None:
        self._space = space
        self.columns = [Column(p, axes[p.name]) for p in space.sampled if not axes[p.name].single]
        self.choices = np.array([column.choice for column in self.columns], dtype=bool)
        self._away = np.array([column.away for column in self.columns])
        self._asked = self._all_asked()
        self._parents = sorted({at for at, _ in self._asked})
        self._alone = {name: axis.first for name, axis in axes.items() if axis.single}
        self._active: dict[tuple[bool, ...], Array] = {}
        self._fixed: Mapping[str, Any] = {}
        self._held: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.columns)

    def holding(self, fixed: Mapping[str, Any]) -> UnitRows:
        """The same, where every row that is snapped to has these drawn values."""
        at = {column.name: at for at, column in enumerate(self.columns)}
        places = {at[name]: self.columns[at[name]].place(value) for name, value in fixed.items() if name in at}
        other = copy.copy(self)
        other._fixed = fixed
        other._held = {at: float(self.columns[at].snapped(np.array([place]))[0]) for at, place in places.items()}
        return other

    def row(self, drawn: Mapping[str, Any]) -> Array:
        """Where a trial's drawn values stand.

        Raises:
            StopIteration: One of them is no choice of its parameter.
        """
        return np.array([c.place(drawn[c.name]) if c.name in drawn else c.away for c in self.columns])

    def drawn(self, row: Array) -> dict[str, Any]:
        """What is drawn at a row that was `snapped`, without what is not active there."""
        active = self._active_at(row)
        return {c.name: c.drawn(at) for c, at, there in zip(self.columns, row.tolist(), active, strict=True) if there}

    def of_uniform(self, uniform: Array) -> Array:
        """Rows for uniform numbers below 1, shape (n, parameters)."""
        places = [column.of_uniform(uniform[:, at]) for at, column in enumerate(self.columns)]
        return self.snapped(np.stack(places, axis=1))

    def snapped(self, rows: Array) -> Array:
        """The nearest rows of configurations that there can be."""
        snapped = np.stack([column.snapped(rows[:, at]) for at, column in enumerate(self.columns)], axis=1)
        for at, place in self._held.items():
            snapped[:, at] = place
        if self._parents:
            _, back = np.unique(snapped[:, self._parents], axis=0, return_inverse=True)
            firsts = np.unique(back.ravel(), return_index=True)[1]
            active = np.array([self._active_at(snapped[first]) for first in firsts])[back.ravel()]
            snapped = np.where(active, snapped, self._away)
        return snapped

    def satisfies(self, row: Array) -> bool:
        """Whether the constraints hold for a row that was `snapped`."""
        return not self._space.constraints or self._space.satisfies(
            self._space.decode({**self._alone, **self.drawn(row), **self._fixed})
        )

    def _active_at(self, row: Array) -> Array:
        met = self._met(row)
        if met not in self._active:
            drawn = {**self._alone, **{self.columns[at].name: self.columns[at].drawn(row[at]) for at in self._parents
                                       if row[at] != NO_CHOICE}}  # fmt: skip
            names = {p.name for p in self._space.active(self._space.decode(drawn))}
            self._active[met] = np.array([column.name in names for column in self.columns])
        return self._active[met]

    def _met(self, row: Array) -> tuple[bool, ...]:
        """Of what conditions ask, what holds: a parent may have more values than can be kept, and these are few."""
        values = {at: self.columns[at].value(row[at]) for at in self._parents if row[at] != NO_CHOICE}
        return tuple(at in values and any(same(values[at], value) for value in wanted) for at, wanted in self._asked)

    def _all_asked(self) -> list[tuple[int, Sequence[Any]]]:
        """What conditions ask of the parameters: the column, and the values that will do."""
        at = {column.name: at for at, column in enumerate(self.columns)}
        asked = [each for parameter in self._space.parameters for each in (parameter.when or {}).items()]
        once = {(parent, repr(wanted)): wanted for parent, wanted in asked if parent in at}
        return [(at[parent], wanted) for (parent, _), wanted in once.items()]


def _position(drawn: Any, values: Sequence[Any]) -> int:
    """Where a value is on a list: the one of its type, or the one that is equal; 1.0 is 1 rather than true."""
    alike = [at for at, value in enumerate(values) if value == drawn]
    of_its_type = [at for at in alike if type(values[at]) is type(drawn)]
    of_its_kind = [at for at in alike if isinstance(values[at], bool) is isinstance(drawn, bool)]
    return next(iter(of_its_type or of_its_kind or alike))


def _coded(parameter: Parameter) -> list[tuple[Any, Any]]:
    """The values that can be drawn, of those on the parameter's list, and what each is drawn as."""
    found = []
    for value in parameter.choices or ():
        try:
            drawn = parameter.encode(value)
        except ValueError:  # it has no chance
            continue
        if parameter.decode(drawn) == value:
            found.append((value, drawn))
    return found


def _ordered(choices: Sequence[Any]) -> bool:
    """Whether choices are numbers that go up, or down: three at least, for two have no order that counts."""
    if len(choices) < 3 or any(isinstance(c, bool) or not isinstance(c, (int, float)) for c in choices):
        return False
    steps = [b - a for a, b in pairwise(choices)]
    return all(s > 0 and math.isfinite(s) for s in steps) or all(s < 0 and math.isfinite(s) for s in steps)
