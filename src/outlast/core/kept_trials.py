"""Trials of a fold that was kept: each is bytes until somebody asks for it, and nobody who asks for one has to wait for all."""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping
from typing import Any

import msgspec

from outlast.core.records import Trial
from outlast.core.states import TrialState

#: Of a trial: what `outlast.core.tally` remembers of it.
Known = tuple[TrialState, "str | None", "tuple[float, ...] | None"]

_ONE, _ALL = msgspec.msgpack.Decoder(Trial), msgspec.msgpack.Decoder(list[Trial])
_HEAD = 5  # bytes of msgpack's "array 32", which any number of trials is packed as
_SOME, _MANY = 64, 2  # asked for one by one: from so many on, and such a share of all, the rest is unpacked in one go


class PackedTrials(msgspec.Struct, frozen=True):
    """Trials, packed one after the other.

    Attributes:
        numbers: Of the trials, in order.
        ends: Where each ends in `packed`.
        scores: Of each, as `scores` tells them; ``None`` of one that has none.
        packed: A msgpack array.
    """

    numbers: list[int]
    ends: list[int]
    scores: list[tuple[float, ...] | None]
    packed: bytes


def scores(trials: Mapping[int, Trial]) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Numbers and values of the complete trials that keep their constraints."""
    if isinstance(trials, KeptTrials):
        return trials.scores()
    scored = ((number, score_of(trial)) for number, trial in trials.items())
    return ((number, values) for number, values in scored if values is not None)


def score_of(trial: Trial) -> tuple[float, ...] | None:
    """Values of a complete trial that keeps its constraints."""
    return trial.values if trial.state is TrialState.COMPLETE and trial.values and trial.feasible else None


def packed(trials: Mapping[int, Trial]) -> PackedTrials:
    """Trials as bytes; those that nobody has asked for are taken as they lie.

    Raises:
        ValueError, TypeError, OverflowError: One of them holds what msgpack cannot say, or what a trial should not.
    """
    parts: list[bytes | memoryview] = [b"\xdd" + len(trials).to_bytes(4, "big")]
    parts += trials.parts() if isinstance(trials, KeptTrials) else map(_checked, trials.values())
    ends, at = [], 0
    for part in parts:
        at += len(part)
        ends.append(at)
    known = dict(scores(trials))
    return PackedTrials(list(trials), ends[1:], [known.get(number) for number in trials], b"".join(parts))


def _checked(trial: Trial) -> bytes:
    """A trial as bytes that it can be made of again: nobody finds that out later."""
    part = msgspec.msgpack.encode(trial)
    _ONE.decode(part)
    return part


class KeptTrials(dict[int, Trial]):
    """Number → trial, in the order of their beginnings. A `dict` to all that is written in Python; what reads a `dict` in C
    without asking it, as encoders do, is given a `copy`."""

    def __init__(self, kept: PackedTrials) -> None:
        super().__init__()
        self._packed, self._ends, self._scores = kept.packed, kept.ends, kept.scores
        self._at = dict(zip(kept.numbers, range(len(kept.numbers)), strict=True))
        self._taken = 0  # of those, which somebody asked for
        self._was: dict[int, Known] = {}  # once all are unpacked

    def _bytes(self, number: int) -> memoryview:
        at = self._at[number]
        return memoryview(self._packed)[self._ends[at - 1] if at else _HEAD : self._ends[at]]

    def __missing__(self, number: int) -> Trial:
        if number not in self._at:
            raise KeyError(number)
        if self._taken >= _SOME and self._taken * _MANY > len(self._at):
            self._unpack()
            return self[number]
        trial = _ONE.decode(self._bytes(number))
        super().__setitem__(number, trial)
        self._taken += 1
        return trial

    def expect(self, many: int) -> None:
        """So many will be asked for: where that is enough of all, none is unpacked by itself first."""
        if many >= _SOME and many * _MANY > len(self._at):
            self._unpack()

    def _unpack(self) -> None:
        if not self._at:
            return
        mine = dict(super().items())
        super().clear()
        for number, trial in zip(self._at, _ALL.decode(self._packed), strict=True):
            self._was[number] = trial.state, trial.finished_at, trial.values
            super().__setitem__(number, mine.pop(number, trial))
        super().update(mine)
        self._at, self._ends, self._scores, self._packed = {}, [], [], b""

    def was(self, number: int) -> Known | None:
        """What was known of a trial when it was kept; ``None`` of one that began later."""
        if number not in self._at:
            return self._was.get(number)
        trial = _ONE.decode(self._bytes(number))
        return trial.state, trial.finished_at, trial.values

    def scores(self) -> Iterator[tuple[int, tuple[float, ...]]]:
        """See the function of this name: without asking for any trial."""
        mine = [(number, score_of(trial)) for number, trial in super().items()]
        lying = dict(zip(self._at, self._scores, strict=True))
        lying.update(mine)
        return ((number, score) for number, score in lying.items() if score is not None)

    def parts(self) -> Iterator[bytes | memoryview]:
        """Each trial as bytes."""
        for number in self:
            known = super().get(number)
            yield self._bytes(number) if known is None else _checked(known)

    def __len__(self) -> int:
        return len(self._at) + super().__len__() - (self._taken if self._at else 0)

    def __contains__(self, number: object) -> bool:
        return super().__contains__(number) or number in self._at

    def __iter__(self) -> Iterator[int]:
        if not self._at:
            return super().__iter__()
        return iter([*self._at, *(number for number in super().__iter__() if number not in self._at)])

    def __setitem__(self, number: int, trial: Trial) -> None:
        if number in self._at:
            self[number]
        super().__setitem__(number, trial)

    def __delitem__(self, number: int) -> None:
        self._unpack()
        super().__delitem__(number)

    def __eq__(self, other: object) -> bool:
        for each in (self, other):
            if isinstance(each, KeptTrials):
                each._unpack()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reversed__(self) -> Iterator[int]:
        return iter([*self][::-1])

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __repr__(self) -> str:
        self._unpack()
        return super().__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self.items()),)

    def get(self, number: int, default: Any = None) -> Any:
        """As a `dict`'s."""
        try:
            return self[number]
        except KeyError:
            return default

    def setdefault(self, number: int, default: Any = None) -> Any:
        """As a `dict`'s."""
        if number not in self:
            super().__setitem__(number, default)
        return self[number]

    def pop(self, number: int, *default: Any) -> Any:
        """As a `dict`'s."""
        self._unpack()
        return super().pop(number, *default)

    def popitem(self) -> tuple[int, Trial]:
        """As a `dict`'s."""
        self._unpack()
        return super().popitem()

    def clear(self) -> None:
        """As a `dict`'s."""
        self._unpack()
        super().clear()

    def update(self, *more: Any, **_: Trial) -> None:
        """As a `dict`'s."""
        self._unpack()
        super().update(*more)

    def copy(self) -> dict[int, Trial]:
        """All of them, in a `dict` of its own."""
        return dict(self.items())

    def keys(self) -> Any:
        """As a `dict`'s, without asking for any trial."""
        return KeysView(self) if self._at else super().keys()

    def values(self) -> Any:
        """As a `dict`'s: of all trials."""
        self._unpack()
        return super().values()

    def items(self) -> Any:
        """As a `dict`'s: of all trials."""
        self._unpack()
        return super().items()
