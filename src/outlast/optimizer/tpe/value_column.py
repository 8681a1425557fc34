"""The values of one parameter in order of the trials' numbers, and the kernels that TPE makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from outlast.optimizer.ranges import ChoiceRange, Range
from outlast.optimizer.tpe.mixture_density import (
    NARROWEST,
    Array,
    Bells,
    Choices,
    Kernels,
    Numbers,
    ends_of,
    even_widths,
    log_scale,
    widths,
)

_SORTED_FROM = 500  # values: fewer are sorted at once
_MOST_SCALES = 8  # distributions whose scales are kept: an objective may ask for another range in each trial


class Column:
    """The values of one parameter, and what is known of them in order."""

    def __init__(self, size: int) -> None:
        self.values: Array = np.full(size, np.nan)
        self.there = np.zeros(size, dtype=bool)
        self.mixed = False  #: whether what is drawn from one of its distributions means nothing to another
        self._drawn_from: Range | None = None
        self._scales: dict[Range, Array] = {}
        self._sorted: Numbers = np.zeros(0, dtype=np.intp)  # places by their value, as far as they did not change
        self._changed: set[int] = set()
        self._unsorted = False  #: whether so many changed that all are sorted anew

    def meet(self, range_: Range) -> None:
        """Values of this one come."""
        known = self._drawn_from
        if known is None:
            self._drawn_from = range_
        elif known is not range_ and known != range_:
            self.mixed |= _strangers(known, range_)

    def put(self, at: Numbers, values: Sequence[Any]) -> None:
        """These are the values at some places now."""
        assert self._drawn_from is not None
        internal = self._drawn_from.to_internal_repr
        if not self.mixed:
            plain = {*map(type, values)} <= {float, int} and not isinstance(self._drawn_from, ChoiceRange)
            self.values[at] = values if plain else [internal(value) for value in values]
            self.there[at] = True
            self._change(at)

    def clear(self, at: Numbers) -> None:
        """There are none at these places."""
        self._change(at[self.there[at]])
        self.values[at], self.there[at] = np.nan, False
        for known in self._scales.values():
            known[at] = np.nan

    def make_room(self, size: int) -> None:
        """There are so many places."""

        def longer(old: Array) -> Array:
            return np.concatenate([old, np.full(size - len(old), np.nan)])

        self.values = longer(self.values)
        self.there = np.concatenate([self.there, np.zeros(size - len(self.there), dtype=bool)])
        self._scales = {key: longer(known) for key, known in self._scales.items()}

    def kernels(self, at: Numbers, range_: Any, together: int = 0) -> Kernels:
        """Those of the trials at some places, and the prior.

        Args:
            together: Of so many parameters, all bells are as wide as their number asks for; 0: as far as it is to a neighbour.
        """
        if isinstance(range_, ChoiceRange):
            taken, chosen = np.unique(self.values[at].astype(np.intp), return_inverse=True)  # of many choices, a few
            rows = np.full((len(taken) + 1, len(range_.choices)), 1.0 / (len(at) + 1))
            rows[np.arange(len(taken)), taken] += 1.0
            rows /= rows.sum(axis=1, keepdims=True)
            return Choices(np.append(chosen, len(taken)), rows)
        mu = self.values[at]
        mu = np.log(mu) if range_.log else mu
        low, high = ends_of(range_)
        sigma = even_widths(len(mu), together, low, high) if together else widths(mu, self._order(at, mu), low, high)
        scale = None
        if not together and range_.step is None and len(at) >= 1 / NARROWEST:
            scale = np.append(self._known_scales(at, range_, mu), 0.0)
        mu, sigma = np.append(mu, 0.5 * (low + high)), np.append(sigma, high - low)
        return Bells(mu, sigma, low, high, range_.log, range_.step or 0.0, scale)

    def _order(self, at: Numbers, mu: Array) -> Numbers:
        """How NumPy sorts these, the values at some places: where no two are equal, from what is sorted already."""
        if len(at) >= _SORTED_FROM:
            place = np.full(len(self.values), -1, dtype=np.intp)
            place[at] = np.arange(len(at))
            order = place[self._in_order()]
            order = order[order >= 0]
            if (np.diff(mu[order]) > 0).all():
                return order
        return np.argsort(mu)

    def _change(self, at: Numbers) -> None:
        self._unsorted |= len(at) > _SORTED_FROM
        if not self._unsorted:
            self._changed.update(at.tolist())

    def _in_order(self) -> Numbers:
        if self._unsorted or len(self._changed) > _SORTED_FROM:
            there = np.flatnonzero(self.there)
            self._sorted = there[np.argsort(self.values[there])]
        elif self._changed:
            changed = np.fromiter(self._changed, dtype=np.intp)
            rest = self._sorted[~np.isin(self._sorted, changed)]
            new = changed[self.there[changed]]
            new = new[np.argsort(self.values[new])]
            self._sorted = np.insert(rest, np.searchsorted(self.values[rest], self.values[new]), new)
        self._changed.clear()
        self._unsorted = False
        return self._sorted

    def _known_scales(self, at: Numbers, range_: Any, mu: Array) -> Array:
        known = self._scales.pop(range_, None)
        if known is None:
            known = np.full(len(self.values), np.nan)
        self._scales[range_] = known
        if len(self._scales) > _MOST_SCALES:
            del self._scales[next(iter(self._scales))]  # not used for longest
        found = known[at]
        new = np.flatnonzero(np.isnan(found))
        if len(new):
            low, high = ends_of(range_)
            found[new] = known[at[new]] = log_scale(mu[new], (high - low) * NARROWEST, low, high)
        return found


def _strangers(one: Any, other: Any) -> bool:
    """Whether values of the one may mean nothing to the other: choices of another list, or a logarithm of 0."""
    if isinstance(one, ChoiceRange) or isinstance(other, ChoiceRange):
        return True
    return bool(one.log != other.log)
