"""Trials as rows of numbers, and what each of them teaches: what `GaussianSearch` knows of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct

from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import teaches
from outlast.optimizer.gaussian.row_search import keys_of
from outlast.optimizer.gaussian.unit_rows import Array, UnitRows

#: So many trials that ended are looked at, the best ones, and of the others the last: a suggestion costs their number's cube.
MOST = 250
#: So many that run, the last ones, are looked at beside as many ended ones as there may be; more where fewer ended.
MOST_RUNNING = 100


class End(Enum):
    """What a trial that ended teaches: its value, that it was going badly, or that its configuration cannot run."""

    RAN, PRUNED, FAILED = range(3)


class Told(Struct):
    """What is known of the trials, as rows."""

    #: Those that ended, in order of their numbers; smaller values are better, and what failed has none.
    ended: list[tuple[Array, End, float]] = []
    #: The last of those that run.
    running: list[Array] = []
    tried: set[bytes] = set()
    #: How many trials there are, whatever they teach.
    begun: int = 0

    @property
    def ran(self) -> int:
        """How many have a value."""
        return sum(end is End.RAN for _, end, _ in self.ended)

    @property
    def most_running(self) -> int:
        """How many of those that run are looked at."""
        return MOST_RUNNING + MOST - min(len(self.ended), MOST)

    def scored(self) -> tuple[Array, Array, Array]:
        """Rows and values of those that ended, `MOST` at most, and whether each could run.

        What was pruned is no better than the middle of those that ran to their end. What could not run counts as the worst:
        the chance to run alone is never small enough close to where nothing runs.
        """
        rows, ends, found = zip(*self.ended, strict=True)
        x, values = np.array(rows), np.array(found)
        ran, failed = (np.array([each is end for each in ends]) for end in (End.RAN, End.FAILED))
        values = np.where(ran, values, np.maximum(values, np.median(values[ran])))
        values = np.where(failed, np.max(values[ran]), values)
        if len(x) <= MOST:
            return x, values, ~failed
        best = np.argsort(values, kind="stable")[: MOST // 2]
        others = np.setdiff1d(np.arange(len(x)), best)
        kept = np.sort(np.concatenate([best, others[len(best) - MOST :]]))
        return x[kept], values[kept], ~failed[kept]


class _Seen(NamedTuple):
    """A trial: its row with its key, what its end teaches with its value, and whether it has none yet."""

    row: Array
    key: bytes
    end: End | None
    value: float
    runs: bool


class SeenRows:
    """Every trial's row, made when it is looked at and anew after it changed.

    Args:
        rows: The space.
        trial: A trial by its number.
        known: A trial's values as they are drawn; raises `ValueError` where it does not fit the space.
        maximize: Whether larger values are better.
    """

    def __init__(
        self,
        rows: UnitRows,
        trial: Callable[[int], Trial],
        known: Callable[[Trial], Mapping[str, Any]],
        *,
        maximize: bool,
    ) -> None:
        self.rows, self._trial, self._known = rows, trial, known
        self._sign = -1.0 if maximize else 1.0
        self._made: dict[int, _Seen | None] = {}
        self._stale: set[int] = set()
        self._numbers: set[int] = set()

    def others(self, number: int) -> int:
        """How many trials there are beside this one."""
        return len(self._numbers) - (number in self._numbers)

    def stale(self, numbers: Iterable[int]) -> None:
        """These trials are new, or changed."""
        numbers = list(numbers)
        self._stale.update(numbers)
        self._numbers.update(numbers)

    def drop(self, number: int) -> None:
        """A trial is gone."""
        self._stale.discard(number)
        self._numbers.discard(number)
        self._made.pop(number, None)

    def told(self, *, but: int) -> Told:
        """What all trials but one teach."""
        self._look_again()
        told = Told(begun=self.others(but))
        for number in sorted(self._made):
            made = self._made[number]
            if made is None or number == but:
                continue
            told.tried.add(made.key)
            if made.end is not None:
                told.ended.append((made.row, made.end, made.value))
            elif made.runs:
                told.running.append(made.row)
        del told.running[: -told.most_running]
        return told

    def _look_again(self) -> None:
        """Make the rows of all trials that are new or changed, in one go: by itself, each takes many times as long."""
        placed = {number: self._placed(self._trial(number)) for number in self._stale}
        self._made.update(dict.fromkeys(self._stale))
        self._stale.clear()
        fitting = {number: row for number, row in placed.items() if row is not None}
        if not fitting:
            return
        rows = self.rows.snapped(np.array(list(fitting.values())))
        for number, row, key in zip(fitting, rows, keys_of(rows), strict=True):
            trial = self._trial(number)
            end, value = _lesson(trial)
            self._made[number] = _Seen(row, key, end, self._sign * value, not trial.state.finished)

    def _placed(self, trial: Trial) -> Array | None:
        """Where a trial stands; None if it has no parameter of the space, or one that does not fit."""
        try:
            drawn = self._known(trial)
            return self.rows.row(drawn) if any(column.name in drawn for column in self.rows.columns) else None
        except (ValueError, StopIteration):
            return None


def _lesson(trial: Trial) -> tuple[End | None, float]:
    """What a trial's end teaches, with its value; nothing if it has not ended, or a machine's fault ended it."""
    if trial.state is TrialState.COMPLETE and trial.values:
        value = trial.values[0]
        return (End.RAN, value) if math.isfinite(value) else (End.FAILED, 0.0)
    if trial.state is TrialState.PRUNED:
        curve = {step: value for step, value in trial.judged_curve().items() if math.isfinite(value)}
        return (End.PRUNED, curve[max(curve)]) if curve else (End.FAILED, 0.0)
    return (End.FAILED, 0.0) if trial.state.finished and teaches(trial) else (None, 0.0)
