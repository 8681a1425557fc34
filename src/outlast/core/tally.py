"""What a round asks of a study over and over, kept up to date as its trials change: a study of ten thousand trials costs no
more to coordinate than one of ten."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from outlast.core.kept_trials import KeptTrials, Known
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState
from outlast.core.sums import Marks, Sums

T = TypeVar("T", str, float)


class _Most(Generic[T]):
    """The greatest of what trials have, and the first that has it: told of each that comes; worked out anew after one was taken
    away."""

    def __init__(self, of: Callable[[Trial], T | None]) -> None:
        self.of: Callable[[Trial], T | None] = of
        self.value: T | None = None
        self.number = -1  # of the first that has it
        self.known = True

    def came(self, trial: Trial) -> None:
        mine = self.of(trial)
        if mine is None:
            return
        if self.value is None or mine > self.value:
            self.value, self.number = mine, trial.number
        elif mine == self.value:
            self.number = min(self.number, trial.number)

    def went(self) -> None:
        self.value, self.number, self.known = None, -1, False

    def get(self, trials: Iterable[Trial]) -> T | None:
        if not self.known:
            self.value, self.number, self.known = None, -1, True
            for trial in trials:
                self.came(trial)
        return self.value


def _number(trial: Trial) -> float | None:
    return trial.value if trial.value is not None and not math.isnan(trial.value) else None


class KeptTally(Struct, frozen=True):
    """A tally as values, for whoever keeps it beside its trials."""

    numbers: dict[TrialState, list[int]]
    misfits: list[int]
    latest: str | None
    largest: float | None
    smallest: float | None
    highest: int
    of_extremes: tuple[int, int]


class Tally:
    """Numbers of trials by state, and what follows from them. `note` every trial that may have changed, and say `changes` before.

    What was noted is taken in when something is asked: who folds a long ledger asks little before its end, and a trial that
    changed three times is looked at once.
    """

    def __init__(self, trials: Mapping[int, Trial]) -> None:
        self._trials = trials
        self._noted = set(trials)
        self._known: dict[int, Known] = {}
        self._was: Callable[[int], Known | None] = lambda number: None
        self._numbers: dict[TrialState, set[int]] = {state: set() for state in TrialState}
        self._misfits: set[int] = set()
        self._latest: _Most[str] = _Most(lambda trial: trial.finished_at)
        self._largest: _Most[float] = _Most(_number)
        self._smallest: _Most[float] = _Most(lambda trial: None if (value := _number(trial)) is None else -value)
        self._highest = -1
        self._sums: Sums | None = None  # until somebody asks
        self._changed: dict[int, Marks | None] = {}  # since somebody asked

    @classmethod
    def resumed(cls, trials: KeptTrials, kept: KeptTally, sums: Sums) -> Tally:
        """As it was when it was kept beside these trials, none of which anybody has changed since."""
        tally = cls(trials)
        tally._sums = sums
        tally._noted, tally._was, tally._highest = set(), trials.was, kept.highest
        tally._numbers.update({state: set(numbers) for state, numbers in kept.numbers.items()})
        tally._misfits = set(kept.misfits)
        tally._latest.value, tally._largest.value, tally._smallest.value = kept.latest, kept.largest, kept.smallest
        tally._smallest.number, tally._largest.number = kept.of_extremes
        return tally

    def kept(self) -> KeptTally:
        """It as values."""
        latest, _ = self.latest_success(), self.extremes()
        numbers = {state: sorted(numbers) for state, numbers in self._numbers.items() if numbers}
        found = (latest, self._largest.value, self._smallest.value)
        first = (self._smallest.number, self._largest.number)
        return KeptTally(numbers, sorted(self._misfits), *found, self._highest, first)

    def changes(self, number: int) -> None:
        """A trial may be about to come, or to become another."""
        if self._sums is not None and number not in self._changed:
            trial = self._trials.get(number)
            self._changed[number] = None if trial is None else self._sums.leave(trial, self._trials)

    def sums(self) -> Sums:
        """What all trials add up to; looks at those that have changed since it was asked before."""
        changed, self._changed = self._changed, {}
        if self._sums is None or not all(self._is_added(self._sums, number, was) for number, was in changed.items()):
            self._sums = Sums.of(self._trials)
        return self._sums

    def _is_added(self, sums: Sums, number: int, before: Marks | None) -> bool:
        trial = self._trials.get(number)
        return trial is None or sums.enter(trial, before, self._trials)

    def note(self, number: int) -> None:
        """A trial may be another now."""
        self._noted.add(number)

    def reconsider(self) -> None:
        """Whether a trial that had finished keeps its constraints is known anew."""
        self._take_in()
        self._largest.went()
        self._smallest.went()

    def _take_in(self) -> None:
        while self._noted:
            self._take(self._trials[self._noted.pop()])

    def _take(self, trial: Trial) -> None:
        number, now = trial.number, (trial.state, trial.finished_at, trial.values)
        self._highest = max(self._highest, number)
        (self._misfits.add if trial.cause is Cause.SPACE_CHANGED else self._misfits.discard)(number)
        before = self._known.get(number) or self._was(number)
        if before == now:
            return
        self._known[number] = now
        if before is not None:
            self._numbers[before[0]].discard(number)
            self._forget(before[0])
        self._numbers[trial.state].add(number)
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            self._latest.came(trial)
        if trial.state is TrialState.COMPLETE and trial.feasible:
            self._largest.came(trial)
            self._smallest.came(trial)

    def _forget(self, state: TrialState) -> None:
        if state in (TrialState.COMPLETE, TrialState.PRUNED):
            self._latest.went()
        if state is TrialState.COMPLETE:
            self._largest.went()
            self._smallest.went()

    @property
    def highest(self) -> int:
        """The highest number; -1 without trials."""
        self._take_in()
        return self._highest

    def count(self, state: TrialState) -> int:
        """How many trials are in a state."""
        self._take_in()
        return len(self._numbers[state])

    def misfits(self) -> list[Trial]:
        """Trials that a new revision's space does not hold."""
        self._take_in()
        return [self._trials[number] for number in self._misfits]

    def numbers(self, states: Iterable[TrialState]) -> list[int]:
        """The trials in any of these states, in order."""
        self._take_in()
        return sorted(number for state in set(states) for number in self._numbers[state])

    def latest_success(self) -> str | None:
        """When the last of the complete and the pruned trials finished."""
        self._take_in()
        return self._latest.get(self._in(TrialState.COMPLETE, TrialState.PRUNED))

    def extremes(self) -> tuple[float, float] | None:
        """The smallest and the largest first value of the complete trials that keep their constraints."""
        self._take_in()
        large, small = self._largest.get(self._feasible()), self._smallest.get(self._feasible())
        return None if large is None or small is None else (-small, large)

    def of_extremes(self) -> tuple[int, int] | None:
        """The first trials that have the `extremes`."""
        return None if self.extremes() is None else (self._smallest.number, self._largest.number)

    def _feasible(self) -> Iterator[Trial]:
        return (trial for trial in self._in(TrialState.COMPLETE) if trial.feasible)

    def _in(self, *states: TrialState) -> Iterator[Trial]:
        for state in states:
            for number in self._numbers[state]:
                yield self._trials[number]
