"""What rules compare: of every trial one number, in order of size, kept in step with the reports."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar, overload

C = TypeVar("C")
_ENTRIES = 500_000  # numbers that are kept in order, of all fields together


class Field(Generic[C]):
    """One number of each trial that has it. Only trials that have reported since are looked at again."""

    def __init__(self, of: Callable[[int, C], float | None], curves: Mapping[int, C], seen: int) -> None:
        self._of, self._curves, self.seen = of, curves, seen
        found = {number: of(number, curve) for number, curve in curves.items()}
        self._numbers = {number: value for number, value in found.items() if value is not None}
        self._ordered = sorted(self._numbers.values())

    def look_again(self, trials: Sequence[int]) -> None:
        """These have reported."""
        for number in set(trials):
            old, new = self._numbers.get(number), self._of(number, self._curves[number])
            if old == new:
                continue
            if old is not None:
                del self._ordered[bisect_left(self._ordered, old)], self._numbers[number]
            if new is not None:
                insort(self._ordered, new)
                self._numbers[number] = new

    def others(self, number: int) -> Sequence[float]:
        """The numbers of all trials but one, the smallest first; to be read at once."""
        own = self._numbers.get(number)
        return self._ordered if own is None else _Without(self._ordered, bisect_left(self._ordered, own))


class _Without(Sequence[float]):
    """A list with one place left out."""

    def __init__(self, whole: list[float], place: int) -> None:
        self._whole, self._place = whole, place

    def __len__(self) -> int:
        return len(self._whole) - 1

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return self._whole[index + (index >= self._place)]


class Fields(Generic[C]):
    """The fields that rules have asked for, by their keys; as many as memory is given for."""

    def __init__(self, curves: Mapping[int, C]) -> None:
        self._curves = curves
        self._fields: OrderedDict[Hashable, Field[C]] = OrderedDict()
        self._reported: list[int] = []  # trials, in the order of their reports

    def reported(self, number: int) -> None:
        """A trial's reports are others than they were."""
        if self._fields:
            self._reported.append(number)
        if len(self._reported) > max(10_000, len(self._curves)):
            self._fields.clear()
            self._reported.clear()

    def get(self, key: Hashable, of: Callable[[int, C], float | None]) -> Field[C]:
        """The numbers that a function finds, of a trial's number and reports; it is known by its key."""
        field, upto = self._fields.get(key), len(self._reported)
        if field is None:
            field = self._fields[key] = Field(of, self._curves, upto)
            if len(self._fields) > max(16, _ENTRIES // max(1, len(self._curves))):
                self._fields.popitem(last=False)
        else:
            field.look_again(self._reported[field.seen :])
        field.seen = upto
        self._fields.move_to_end(key)
        return field


def at_place(others: Sequence[float], value: float, place: int) -> float:
    """What is at a place when a value is put among others."""
    own = bisect_left(others, value)
    return value if place == own else others[place - (place > own)]
