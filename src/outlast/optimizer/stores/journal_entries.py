"""A journal of Optuna's, entry by entry: the operations that make a study and its rows, or change them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace
from optuna.distributions import distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Row

from outlast.optimizer.index.index_rows import OURS, IndexRow, stored_time

#: Optuna's numbers of a journal's operations (`optuna.storages.journal._storage.JournalOperation`).
CREATE_STUDY, DELETE_STUDY, STUDY_USER, STUDY_SYSTEM, CREATE_TRIAL, PARAM, STATE, VALUE, USER, SYSTEM = range(10)
#: The system attribute of somebody else's row that was written anew: the key by which it was known before.
KEY = "outlast:key"


def row_of_trial(trial: FrozenTrial) -> IndexRow:
    """A trial of Optuna's as a row. What is null among its attributes is gone."""
    params = tuple(
        (
            name,
            float(trial.distributions[name].to_internal_repr(value)),
            distribution_to_json(trial.distributions[name]),
        )
        for name, value in trial.params.items()
    )
    return IndexRow(
        number=trial.number,
        state=trial.state.name,
        started=_stored(trial.datetime_start),
        finished=_stored(trial.datetime_complete),
        values=tuple(map(float, trial.values or ())),
        params=params,
        curve=tuple((int(step), float(value)) for step, value in sorted(trial.intermediate_values.items())),
        attrs=tuple((key, json.dumps(value)) for key, value in trial.user_attrs.items()),
        system=tuple((key, json.dumps(value)) for key, value in trial.system_attrs.items()),
    )


def _stored(time: Any) -> str | None:
    return None if time is None else stored_time(time.astimezone().isoformat())


def as_expected(found: IndexRow, expected: IndexRow | None) -> IndexRow:
    """The row without what is null or only ours to know; equal to what is expected where it says the same."""
    attrs = tuple((key, text) for key, text in found.attrs if text != "null")
    own = frozenset(()) if expected is None else expected.keys()[1]
    system = tuple((key, text) for key, text in found.system if key in own)
    row = replace(found, attrs=attrs, system=system)
    if expected is None:
        return row
    same = sorted(attrs) == sorted(expected.attrs) and sorted(system) == sorted(expected.system)
    alike = same and sorted(row.params) == sorted(expected.params) and repr(row.curve) == repr(expected.curve)
    rest = (row.state, row.finished, row.values) == (expected.state, expected.finished, expected.values)
    return expected if alike and rest else row


def only_created(row: IndexRow) -> bool:
    """Whether it is a trial that has not begun: nothing that has to be shown."""
    return row.claim is None and ("state", '"created"') in row.attrs


def said(operation: int, **fields: Any) -> dict[str, Any]:
    """An operation."""
    return {"op_code": operation, **fields}


def study_made(name: str, directions: Iterable[str]) -> list[dict[str, Any]]:
    """A study is made."""
    return [said(CREATE_STUDY, study_name=name, directions=[int(StudyDirection[word]) for word in directions])]


def noted(study_id: int, attrs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """System attributes of a study."""
    return [said(STUDY_SYSTEM, study_id=study_id, system_attr={key: value}) for key, value in attrs.items()]


def _utc(stored: str | None) -> str | None:
    return None if stored is None else f"{stored.replace(' ', 'T')}+00:00"


def trial_made(study_id: int, row: IndexRow, *, ours: bool = True) -> dict[str, Any]:
    """A row is made as it is. `ours`: it is marked as ours, where it is not marked yet and nobody else's."""
    several = len(row.values) > 1
    own = (
        {}
        if not ours or any(key in (OURS, KEY) for key, _ in row.system) or row.state == "WAITING"
        else {OURS: row.number}
    )
    operation = said(
        CREATE_TRIAL,
        study_id=study_id,
        datetime_start=_utc(row.started),
        state=int(Row[row.state]),
        value=None if several or not row.values else row.values[0],
        values=list(row.values) if several else None,
        distributions={name: text for name, _, text in row.params},
        params={name: value for name, value, _ in row.params},
        user_attrs={key: json.loads(text) for key, text in row.attrs},
        system_attrs={**own, **{key: json.loads(text) for key, text in row.system}},
        intermediate_values=dict(row.curve),
    )
    return {**operation, "datetime_complete": _utc(row.finished)} if row.finished else operation


def changes_of(trial_id: int, old: IndexRow, row: IndexRow) -> list[dict[str, Any]] | None:
    """What has happened to a row that is not finished; ``None`` if a journal cannot say it."""
    before, now = dict(old.curve), dict(row.curve)
    if not set(old.params) <= set(row.params) or any(repr(now.get(step)) != repr(v) for step, v in before.items()):
        return None
    entry = [
        said(PARAM, trial_id=trial_id, param_name=name, param_value_internal=value, distribution=text)
        for name, value, text in row.params
        if (name, value, text) not in old.params
    ]
    entry += [
        said(VALUE, trial_id=trial_id, step=step, intermediate_value=value)
        for step, value in now.items()
        if step not in before
    ]
    gone = [(key, "null") for key, _ in old.attrs if key not in dict(row.attrs)]
    for operation, field, changes in (
        (USER, "user_attr", [*gone, *(each for each in row.attrs if each not in old.attrs)]),
        (SYSTEM, "system_attr", [each for each in row.system if each not in old.system]),
    ):
        entry += [said(operation, trial_id=trial_id, **{field: {key: json.loads(text)}}) for key, text in changes]
    if row.state != "RUNNING":
        values = list(row.values) or None
        end = _utc(row.finished or row.started)
        entry.append(said(STATE, trial_id=trial_id, state=int(Row[row.state]), values=values, datetime_complete=end))
    return entry
