"""For how long a training is worth its while, as its reports tell. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median

from msgspec import Struct

from outlast.core.records import Trial


class BestReport(Struct, frozen=True):
    """How far trainings had come when they were best.

    Attributes:
        step: As the training numbers its reports.
        epochs: How many it had done by then: the step, counted from 1.
    """

    step: int
    epochs: int


def best_report(trials: Sequence[Trial], goal: str) -> BestReport | None:
    """The best report of a training in the first objective; of several trainings the median of theirs.

    Of equally good reports the first counts. Each part (seed, fold) of a trial is a training of its own.

    Args:
        trials: Of one configuration.
        goal: ``maximize`` or ``minimize``.

    Returns:
        ``None`` where nothing was reported with a number that can be compared.
    """
    found = [best for trial in trials for curve in _curves(trial) if (best := _best(curve, goal)) is not None]
    if not found:
        return None
    return BestReport(round(median(each.step for each in found)), round(median(each.epochs for each in found)))


def _curves(trial: Trial) -> list[dict[int, float]]:
    """The first objective's reports of each part, without what came after a decision to give the trial up."""
    curves: dict[int | None, dict[int, float]] = {}
    for outcome in trial.kept:
        curves.setdefault(outcome.part, {}).update(outcome.judged_curve())
    return list(curves.values())


def _best(curve: Mapping[int, float], goal: str) -> BestReport | None:
    finite = sorted((step, value) for step, value in curve.items() if math.isfinite(value))
    if not finite:
        return None
    sign = -1 if goal == "maximize" else 1
    step = min(finite, key=lambda report: (sign * report[1], report[0]))[0]
    return BestReport(step, step + _counts_from_zero(sorted(curve)))


def _counts_from_zero(steps: Sequence[int]) -> bool:
    """Whether the first epoch is called 0: it is reported so, or every fifth is and the first of these is called 4.

    Reports of 0, 5, 10 … are of a training that is scored before it has begun: it counts what it has done.
    """
    stride = min((after - before for before, after in pairwise(steps)), default=1)
    return steps[0] == 0 if stride == 1 else (steps[0] + 1) % stride == 0
