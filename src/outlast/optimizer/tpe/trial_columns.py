"""What TPE looks at of all trials, in arrays: how each one ended, and the values of each parameter, in order of their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np

from outlast.optimizer.failure_feedback import Row
from outlast.optimizer.ranges import Range
from outlast.optimizer.tpe.mixture_density import Array, Kernels, Numbers, trial_weights
from outlast.optimizer.tpe.trial_groups import Ended, Group, Shape
from outlast.optimizer.tpe.value_column import Column

#: How a trial counts: not at all, by its value, by its curve, not yet, or by how far it broke its constraints.
_NOT, _COMPLETE, _PRUNED, _RUNNING, _INFEASIBLE = range(5)


class TrialColumns:
    """Kept in step by what is said to be `stale`.

    Args:
        read: Reads trials by their numbers: groups of them, and the numbers of those that do not count.
        maximize: Whether a larger value is better.
        lowest: The lowest number that comes.
    """

    def __init__(
        self, read: Callable[[Sequence[int]], tuple[list[Group], list[int]]], *, maximize: bool, lowest: int = 0
    ) -> None:
        self._read = read
        self._stale: set[int] = set()
        self._sign, self._lowest = (-1.0 if maximize else 1.0), lowest
        self._state = np.zeros(0, dtype=np.int8)
        self._ended = np.zeros(0, dtype=bool)  # complete or pruned, whatever their constraints
        self._first = np.zeros(0)  # what is compared first, and
        self._second = np.zeros(0)  # what then, of trials of one state: less is better
        self._shape = np.zeros(0, dtype=np.intp)
        self._shapes: list[Shape] = []
        self._place_of_shape: dict[Shape, int] = {}
        self._columns: dict[str, Column] = {}
        self._strange = 0  # trials that nothing here can say

    def fits(self) -> bool:
        """Take in what changed. Whether all of it can be said here; otherwise Optuna has to look at the trials themselves."""
        while self._stale:  # what is read may say that others are to be read again
            numbers, self._stale = sorted(self._stale), set()
            groups, misfits = self._read(numbers)
            self._drop(misfits)
            self._put(groups)
        return not self._strange and not any(column.mixed for column in self._columns.values())

    @property
    def ended(self) -> int:
        """How many trials are complete or pruned."""
        return int(np.count_nonzero(self._ended))

    # -- keeping step ----------------------------------------------------------------------------------------------

    def stale(self, numbers: Iterable[int]) -> None:
        """These trials are read again before anybody looks."""
        self._stale.update(numbers)

    def drop(self, number: int) -> None:
        """Forget a trial, if it is known."""
        self._stale.discard(number)
        self._drop((number,))

    def _put(self, groups: Iterable[Group]) -> None:
        for group in groups:
            at = np.array([end.number - self._lowest for end in group.ends], dtype=np.intp)
            self._make_room(int(at.max()) + 1)
            self._forget(at)
            self._note(at, group.ends)
            self._shape[at] = self._numbered(group.shape)
            for column, values in zip(self._columns_of(group.shape), group.values, strict=True):
                column.put(at, values)

    def _drop(self, numbers: Iterable[int]) -> None:
        at = np.array([n - self._lowest for n in numbers if n - self._lowest < len(self._state)], dtype=np.intp)
        self._forget(at)

    def _forget(self, at: Numbers) -> None:
        self._strange -= int(np.count_nonzero(np.isnan(self._first[at])))
        self._state[at], self._ended[at], self._first[at] = _NOT, False, 0.0
        for column in self._columns.values():
            column.clear(at)

    def _note(self, at: Numbers, ends: Iterable[Ended]) -> None:
        flat = np.fromiter(chain.from_iterable(map(self._noted, ends)), dtype=float, count=3 * len(at))
        state, self._first[at], self._second[at] = flat.reshape(-1, 3).T
        self._state[at], self._ended[at] = state, np.isin(state, (_COMPLETE, _PRUNED, _INFEASIBLE))
        self._strange += int(np.count_nonzero(np.isnan(self._first[at])))

    def _noted(self, end: Ended) -> tuple[int, float, float]:
        """How a trial counts, what is compared first, and what then."""
        if end.state is Row.COMPLETE and end.violation <= 0:
            return _COMPLETE, self._sign * end.value, 0.0
        if end.state is Row.RUNNING:
            return _RUNNING, 0.0, 0.0
        if end.state is Row.FAIL:
            return _NOT, 0.0, 0.0
        if end.violation > 0:
            return _INFEASIBLE, end.violation, 0.0
        step, value = end.last or (-1, 0.0)
        return _PRUNED, -step, np.inf if value != value else self._sign * value

    def _make_room(self, count: int) -> None:
        have = len(self._state)
        if count > have:
            more = max(count, have + have // 2, 64) - have
            for name in ("_state", "_ended", "_first", "_second", "_shape"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros(more, dtype=old.dtype)]))
            for column in self._columns.values():
                column.make_room(have + more)

    def _numbered(self, shape: Shape) -> int:
        if shape not in self._place_of_shape:
            self._place_of_shape[shape] = len(self._shapes)
            self._shapes.append(shape)
        return self._place_of_shape[shape]

    def _columns_of(self, shape: Shape) -> list[Column]:
        for name, range_ in shape.ranges.items():
            if name not in self._columns:
                self._columns[name] = Column(len(self._state))
            self._columns[name].meet(range_)
        return [self._columns[name] for name in shape.ranges]

    # -- looking ---------------------------------------------------------------------------------------------------

    def shapes(self) -> list[Shape]:
        """The shapes of all trials that are complete or pruned, in the order in which they first appear."""
        if len(self._shapes) == 1:
            return self._shapes if self._ended.any() else []
        found, first = np.unique(self._shape[self._ended], return_index=True)
        return [self._shapes[found[at]] for at in np.argsort(first)]

    def split(self, below: int, space: Mapping[str, Range], *, but: int, running: bool) -> tuple[Numbers, Numbers]:
        """The best trials and all others, as far as they have every parameter of a space; places, in order.

        Args:
            below: How many are best, whichever parameters they have.
            but: The number of a trial that is left out.
            running: Whether those that run are among the others.
        """
        chosen: list[Numbers] = []
        for state in (_COMPLETE, _PRUNED, _INFEASIBLE):
            if below > 0:
                chosen.append(self._best(state, below))
                below -= len(chosen[-1])
        best = np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.intp)
        there = self._state != _NOT
        if not running:
            there &= self._state != _RUNNING
        for name in space:
            there &= self._columns[name].there if name in self._columns else False
        best = best[there[best]]
        there[best] = False
        if 0 <= but - self._lowest < len(there):
            there[but - self._lowest] = False
        return best, np.flatnonzero(there)

    def _best(self, state: int, most: int) -> Numbers:
        """The best trials of a state; of equal ones, the first."""
        here = np.flatnonzero(self._state == state)
        if len(here) <= most:
            return here
        first = self._first[here]
        worst = np.partition(first, most - 1)[most - 1]
        here = here[first <= worst]
        order = np.lexsort((self._second[here], self._first[here]))
        best: Numbers = here[order[:most]]
        return best

    def observed(self, at: Numbers, space: Iterable[str]) -> dict[str, Array]:
        """The values of parameters at some places, in Optuna's internal representation."""
        return {name: self._columns[name].values[at] if name in self._columns else np.zeros(0) for name in space}

    def mixture(self, at: Numbers, space: Mapping[str, Range], *, even: bool = False) -> tuple[Array, list[Kernels]]:
        """The weights and kernels of the trials at some places, with the prior behind them.

        Args:
            even: All trials count alike, and bells are as wide as their number asks for; otherwise both are as Optuna has them.
        """
        weights = np.append(np.ones(len(at)) if even else trial_weights(len(at)), 1.0)
        columns = [self._columns.get(name) or Column(len(self._state)) for name in space]
        together = len(space) if even else 0
        kernels = [column.kernels(at, each, together) for column, each in zip(columns, space.values(), strict=True)]
        return weights / weights.sum(), kernels
