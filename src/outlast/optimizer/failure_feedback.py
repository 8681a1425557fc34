"""What a sampler is told about a trial: one row of the table of outcomes, per kind of sampler.

Measured with Optuna 5.0 (``benchmarks/failure_feedback.py``): a failed row teaches TPE nothing, so that nearly all later
suggestions fall in the region that cannot run; a pruned row without a curve teaches it. GP, CMA-ES and NSGA-II ignore
pruned rows as well, and are told the worst value so far. TPE stops with an error on a pruned row with a curve of
several objectives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIIISampler, NSGAIISampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Row

from outlast.core.records import Trial
from outlast.core.states import FEEDBACK_CAUSES, TrialState
from outlast.optimizer.view import row_of

#: The attribute under which Optuna keeps a constraint named ``runs``.
CONSTRAINT = "constraints:runs"


class Lesson(Enum):
    """How a kind of sampler learns that a configuration cannot run."""

    PRUNED = "a pruned row without a curve"
    WORST = "the worst value so far"
    CONSTRAINED = "the worst value so far, and a constraint on every trial"


def lesson_of(sampler: type[BaseSampler]) -> Lesson:
    """The lesson for a kind of sampler. One that is not known here is taught as TPE is."""
    if issubclass(sampler, GPSampler):
        return Lesson.CONSTRAINED
    if issubclass(sampler, (CmaEsSampler, NSGAIISampler, NSGAIIISampler)):
        return Lesson.WORST
    return Lesson.PRUNED


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


def frozen(
    trial: Trial,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    *,
    objectives: int,
    lesson: Lesson,
    worst: Sequence[float] | None,
    constrained: bool = False,
) -> FrozenTrial:
    """The row of the sampler's private study for a trial.

    `params` and their distributions are those that the sampler knows, `worst` is what `worst_values` says now. `lesson`: how this
    sampler learns of configurations that cannot run. Every complete row carries the constraint (`constrained`) once one trial
    could not run.
    """
    state, values, curve = Row.RUNNING, None, {}
    attrs = dict(trial.system_attrs)
    if trial.state is TrialState.COMPLETE and trial.values:
        state, values = Row.COMPLETE, list(trial.values)
        curve = trial.curve() if objectives == 1 else {}
        if constrained:
            attrs[CONSTRAINT] = -1.0
    elif trial.state is TrialState.PRUNED:
        state = Row.PRUNED
        curve = trial.judged_curve() if objectives == 1 else {}
    elif teaches(trial):
        if lesson is Lesson.PRUNED:
            state = Row.PRUNED
        elif worst is None:
            state = Row.FAIL  # nothing to compare with yet; told as soon as there is
        else:
            state, values = Row.COMPLETE, list(worst)
            if constrained:
                attrs[CONSTRAINT] = 1.0
    elif trial.state.finished:
        state = Row.FAIL
    return row_of(
        trial.number, state, values=values, params=params, distributions=distributions, attrs=attrs, curve=curve
    )
