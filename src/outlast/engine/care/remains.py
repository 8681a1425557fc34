"""What a study folder still tells beside its ledger: the trials' copies, what attempts left, the index, the study file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from outlast._system.reading import list_names, read_bytes, read_json
from outlast.config.load import settings_from_resolved
from outlast.config.yaml import read
from outlast.core.file_names import TrialPaths
from outlast.core.records import AttemptEnded, AttemptOpened, AttributeSet, Event, Trial, TrialCreated, to_json
from outlast.core.states import Cause, TrialState
from outlast.engine.record.examine import trial_numbers
from outlast.errors import StudyFileError
from outlast.optimizer.importing.import_sources import opened
from outlast.optimizer.importing.imported_study import import_storage
from outlast.optimizer.index.index_rows import split_attrs
from outlast.space.space import Space, flat
from outlast.study.imported import imported_trials, imported_unfinished
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import told_of
from outlast.study.recovery import events_of_copy


def copies(paths: StudyPaths) -> dict[int, list[Event]]:
    """Trial → the events that its ``trial.json`` holds, where it is whole, or else what was imported of it.

    Raises:
        LedgerTooNew: A later version may have written one of them: no ledger is rebuilt without it.
    """
    records = {number: paths.trial(number).record for number in trial_numbers(paths)}
    found = {number: events_of_copy(read_json(record), needed=str(record)) for number, record in records.items()}
    return {**imported_trials(paths, needed=True), **{number: events for number, events in found.items() if events}}


def unfinished(paths: StudyPaths, settings: Mapping[str, Any], now: str) -> dict[int, list[Event]]:
    """Trial → its creation and its latest attempt, for those that attempts have left something of.

    The attempt is open again: whoever runs the study next sees whether it lives, is over, or died. Where not even its
    parameters are known, the trial has failed; its number is never given again.
    """
    sampled = _sampled(settings)
    found: dict[int, list[Event]] = {}
    for number in trial_numbers(paths):
        attempts = [int(name) for name in list_names(paths.trial(number).attempts) if name.isdigit()]
        if attempts:
            found[number] = _events_of_attempt(paths, number, max(attempts), sampled, now)
    return found


def _sampled(settings: Mapping[str, Any]) -> frozenset[str]:
    try:
        parameters = settings_from_resolved(settings, os.curdir).parameters
    except StudyFileError:
        return frozenset()
    return frozenset(parameter.name for parameter in Space.from_parameters(parameters).sampled)


def _events_of_attempt(paths: StudyPaths, number: int, attempt: int, sampled: frozenset[str], now: str) -> list[Event]:
    told = read_json(paths.open_marker(number, attempt))
    if not isinstance(told, dict) or not isinstance(told.get("params"), dict):
        params = read_json(paths.attempt(number, attempt).params)
        told = {"params": flat(params) if isinstance(params, dict) else {}}
    params = {name: value for name, value in told["params"].items() if name in sampled}
    created = TrialCreated(number, now, params, int(told.get("seed", 0)), source="repaired")
    if not params and sampled:
        reason = "its parameters were lost with the ledger"
        lost = AttemptEnded(number, attempt, now, TrialState.FAILED, Cause.LOST, reason)
        return [created, AttemptOpened(number, attempt, now), lost]
    return [created, AttemptOpened(number, attempt, now)]


def _index_rows(paths: StudyPaths) -> dict[int, list[Event]]:
    """Trials as the index has them; none if it is damaged as well."""
    if not paths.index.is_file():
        return {}
    try:
        imported = import_storage(str(paths.index), None)
    except Exception:  # the index is only a last resort, and may be broken in any way
        return {}
    rows: dict[int, list[Event]] = {}
    for event in imported.events:
        if isinstance(event, (TrialCreated, AttributeSet, AttemptEnded)):
            rows.setdefault(event.trial, []).append(event)
    return rows


def rows_or_imported(paths: StudyPaths) -> dict[int, list[Event]]:
    """Trials as the index has them, or as they were imported, where they had not ended then and the index knows no more."""
    rows, copies = _index_rows(paths), imported_unfinished(paths)
    known = rows.keys() & copies.keys()
    waiting = _not_begun(paths) if known else set()
    more = {n for n in known if n not in waiting or _drawn(rows[n]) != _drawn(copies[n])}
    return {**rows, **{n: events for n, events in copies.items() if n not in more}}


def _not_begun(paths: StudyPaths) -> set[int]:
    """Trials of which the index says that they wait for their first attempt."""
    with suppress(Exception), opened(str(paths.index)) as source:
        (study,) = source.studies()
        ours = {trial.number: split_attrs(trial.user_attrs)[0] for trial in source.trials(study.id)}
        return {number for number, said in ours.items() if said.get("state") == TrialState.CREATED.value}
    return set()


def _drawn(events: Sequence[Event]) -> Mapping[str, Any]:
    return next((event.params for event in events if isinstance(event, TrialCreated)), {})


def recorded_study_file(paths: StudyPaths) -> dict[str, Any]:
    """The ``study.yaml`` of the folder; empty if it is gone or damaged. The files that it names need not be there."""
    try:
        document = read(paths.study_file)
        settings = settings_from_resolved(document.data, str(paths.root))
    except (OSError, StudyFileError):
        return {}
    return dict(settings.resolved)


def record_agrees(paths: TrialPaths, trial: Trial) -> bool | None:
    """Whether a finished trial's ``trial.json`` says what the ledger says; ``None`` if there is none.

    One that a later version of the study file ruled out keeps the record of its results, and what such a version gave it as
    its own is not in there.
    """
    if read_bytes(paths.record) is None:
        return None
    record = read_json(paths.record)
    if not isinstance(record, dict):
        return False
    copied = [to_json(event) for event in events_of_copy(record)]  # with the defaults of what it is too old to say
    own = record["params"] if isinstance(record.get("params"), dict) else {}
    trial = replace(trial, params={name: value for name, value in trial.params.items() if name in own})
    told = {**told_of(trial), "events": [to_json(event) for event in trial.events()]}
    return trial.cause is Cause.SPACE_CHANGED or _text(told) == _text({**record, "events": copied}, told)


def _text(record: Mapping[str, Any], keys: Iterable[str] | None = None) -> str:
    return json.dumps({key: record.get(key) for key in keys or record}, sort_keys=True, default=str)
