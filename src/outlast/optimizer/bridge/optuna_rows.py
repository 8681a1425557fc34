"""Rows of Optuna's own: of trials as a sampler of Optuna's sees them, and as the index shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIIISampler, NSGAIISampler
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.bridge.optuna_distributions import distribution_of
from outlast.optimizer.bridge.sampler_view import row_of
from outlast.optimizer.failure_feedback import Lesson, Row, standing
from outlast.optimizer.index.index_rows import OURS, IndexRow
from outlast.optimizer.ranges import Range

#: The attribute under which Optuna keeps a constraint named ``runs``.
CONSTRAINT = "constraints:runs"


def lesson_of(sampler: type[BaseSampler]) -> Lesson:
    """The lesson for a kind of sampler. One that is not known here is taught as TPE is."""
    if issubclass(sampler, GPSampler):
        return Lesson.CONSTRAINED
    if issubclass(sampler, (CmaEsSampler, NSGAIISampler, NSGAIIISampler)):
        return Lesson.WORST
    return Lesson.PRUNED


def frozen(
    trial: Trial,
    params: Mapping[str, Any],
    ranges: Mapping[str, Range],
    *,
    objectives: int,
    lesson: Lesson,
    worst: Sequence[float] | None,
    constrained: bool = False,
) -> FrozenTrial:
    """The row of the sampler's private study for a trial that stands as `standing` says.

    `params` and what they were drawn from are those that the sampler knows. Every complete row carries the constraint
    (`constrained`) once one trial could not run.
    """
    state, values = standing(trial, lesson, worst)
    attrs = dict(trial.system_attrs)
    if constrained and state is Row.COMPLETE:
        attrs[CONSTRAINT] = -1.0 if trial.state is TrialState.COMPLETE else 1.0
    curve: dict[int, float] = {}
    if objectives == 1 and trial.state is TrialState.PRUNED:
        curve = trial.judged_curve()
    elif objectives == 1 and trial.state is TrialState.COMPLETE and state is Row.COMPLETE:
        curve = trial.curve()
    distributions = {name: distribution_of(each) for name, each in ranges.items()}
    return row_of(
        trial.number,
        OptunaState[state.name],
        values=values,
        params=params,
        distributions=distributions,
        attrs=attrs,
        curve=curve,
    )


def trial_of(row: IndexRow) -> FrozenTrial:
    """A row as Optuna's own."""
    distributions = {name: json_to_distribution(text) for name, _, text in row.params}
    return FrozenTrial(
        number=row.number,
        trial_id=-1,
        state=OptunaState[row.state],
        value=None,
        values=row.values or None,
        datetime_start=_local(row.started or row.finished or "1970-01-01 00:00:00.000000"),
        datetime_complete=_local(row.finished or row.started) if row.state != "RUNNING" else None,
        params={name: distributions[name].to_external_repr(value) for name, value, _ in row.params},
        distributions=distributions,
        user_attrs={key: json.loads(text) for key, text in row.attrs},
        system_attrs={OURS: row.number, **{key: json.loads(text) for key, text in row.system}},
        intermediate_values=dict(row.curve),
    )


def _local(stored: str | None) -> datetime | None:
    if stored is None:
        return None
    utc = datetime.strptime(stored, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc)
    return utc.astimezone().replace(tzinfo=None)
