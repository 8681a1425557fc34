"""What a sampler is told about a trial: one row of the table of outcomes, per kind of sampler.

Measured with Optuna 5.0 (``benchmarks/failure_feedback.py``): a failed row teaches TPE nothing, so that nearly all later
suggestions fall in the region that cannot run; a pruned row without a curve teaches it. GP, CMA-ES and NSGA-II ignore
pruned rows as well, and are told the worst value so far. TPE stops with an error on a pruned row with a curve of
several objectives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import Enum

from outlast.core.records import Trial
from outlast.core.states import FEEDBACK_CAUSES, TrialState


class Row(Enum):
    """How a row stands: Optuna's words."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"


class Lesson(Enum):
    """How a kind of sampler learns that a configuration cannot run."""

    PRUNED = "a pruned row without a curve"
    WORST = "the worst value so far"
    CONSTRAINED = "the worst value so far, and a constraint on every trial"


def teaches(trial: Trial) -> bool:
    """Whether the trial's end without a value says something about its configuration."""
    if trial.state is TrialState.INFEASIBLE:
        return True
    return trial.state is TrialState.FAILED and trial.cause in FEEDBACK_CAUSES


def worst_values(trials: Iterable[Trial], maximize: Sequence[bool]) -> list[float] | None:
    """Per objective the worst finite value of all complete trials, or ``None`` if there is none."""
    columns = [
        trial.values
        for trial in trials
        if trial.state is TrialState.COMPLETE and trial.values and all(map(math.isfinite, trial.values))
    ]
    if not columns:
        return None
    return [(min if up else max)(column) for up, column in zip(maximize, zip(*columns, strict=True), strict=True)]


def standing(trial: Trial, lesson: Lesson, worst: Sequence[float] | None) -> tuple[Row, Sequence[float] | None]:
    """How a trial stands in the sampler's private study, and its values there.

    `lesson`: how this sampler learns of configurations that cannot run. `worst` is what `worst_values` says now.
    """
    if trial.state is TrialState.COMPLETE and trial.values:
        return Row.COMPLETE, trial.values
    if trial.state is TrialState.PRUNED:
        return Row.PRUNED, None
    if not trial.state.finished:
        return Row.RUNNING, None
    if teaches(trial):
        if lesson is Lesson.PRUNED:
            return Row.PRUNED, None
        if worst is not None:
            return Row.COMPLETE, worst
    return Row.FAIL, None  # nothing to compare with yet, perhaps: told as soon as there is
