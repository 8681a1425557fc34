"""Trials as rows of numbers, and what each of them teaches: what `GaussianSearch` knows of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import teaches
from outlast.optimizer.row_search import keys_of
from outlast.optimizer.unit_rows import Array, UnitRows

#: So many trials are looked at: the best ones, and of the others the last; what a suggestion costs grows with the cube.
MOST = 250


class End(Enum):
    """What a trial that ended teaches: its value, that it was going badly, or that its configuration cannot run."""

    RAN, PRUNED, FAILED = range(3)


@dataclass
class Told:
    """What is known of the trials, as rows."""

    #: Those that ended, in order of their numbers; smaller values are better, and what failed has none.
    ended: list[tuple[Array, End, float]] = field(default_factory=list)
    running: list[Array] = field(default_factory=list)
    tried: set[bytes] = field(default_factory=set)
    #: How many trials there are, whatever they teach.
    begun: int = 0

    @property
    def ran(self) -> int:
        """How many have a value."""
        return sum(end is End.RAN for _, end, _ in self.ended)

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
        self._made: dict[int, tuple[Array, bytes, End | None, float] | None] = {}
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
        for number in self._stale:
            self._made[number] = self._row(self._trial(number))
        self._stale.clear()
        told = Told(begun=self.others(but))
        for number in sorted(self._made):
            made = self._made[number]
            if made is None or number == but:
                continue
            row, key, end, value = made
            told.tried.add(key)
            if end is not None:
                told.ended.append((row, end, value))
            elif not self._trial(number).state.finished:
                told.running.append(row)
        return told

    def _row(self, trial: Trial) -> tuple[Array, bytes, End | None, float] | None:
        """A trial's row, and what it teaches; None if it has no parameter of the space, or one that does not fit."""
        try:
            drawn = self._known(trial)
            if not any(column.name in drawn for column in self.rows.columns):
                return None
            row = self.rows.snapped(self.rows.row(drawn)[None])
        except (ValueError, StopIteration):
            return None
        end, value = _lesson(trial)
        return row[0], keys_of(row)[0], end, self._sign * value


def _lesson(trial: Trial) -> tuple[End | None, float]:
    """What a trial's end teaches, with its value; nothing if it has not ended, or a machine's fault ended it."""
    if trial.state is TrialState.COMPLETE and trial.values:
        value = trial.values[0]
        return (End.RAN, value) if math.isfinite(value) else (End.FAILED, 0.0)
    if trial.state is TrialState.PRUNED:
        curve = {step: value for step, value in trial.judged_curve().items() if math.isfinite(value)}
        return (End.PRUNED, curve[max(curve)]) if curve else (End.FAILED, 0.0)
    return (End.FAILED, 0.0) if trial.state.finished and teaches(trial) else (None, 0.0)
