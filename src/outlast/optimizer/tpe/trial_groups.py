"""Trials as TPE reads them: what each teaches, in groups of those that have the same parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.optimizer.failure_feedback import Row
from outlast.optimizer.ranges import Range


class Shape(Struct, frozen=True, eq=False):
    """Which parameters a trial has, and what they were drawn from. Trials that have the same share one."""

    ranges: Mapping[str, Range]


class Ended(Struct, gc=False):
    """What a trial teaches: the row that Optuna would have of it, as far as TPE reads it."""

    number: int
    state: Row
    value: float = 0.0  # of a complete one
    last: tuple[int, float] | None = None  # the last point of the curve of a pruned one
    violation: float = 0.0  # by how much it breaks its constraints


class Group(Struct):
    """Trials of one shape, with the values of its parameters."""

    shape: Shape
    ends: list[Ended]
    values: Sequence[Sequence[Any]]  # of each parameter, in the shape's order; as many as trials
