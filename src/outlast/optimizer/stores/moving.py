"""Studies moved from one Optuna storage to another, of whatever kind, with everything that Optuna keeps of them."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from outlast.config.store_address import StoreAddress, masked_address, store_address
from outlast.core.nearest import nearest
from outlast.errors import StorageError, StudyNotFound, UsageError
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.importing.import_sources import opened
from outlast.optimizer.importing.past_studies import PastTrial, Source
from outlast.optimizer.index.index_rows import IndexRow, stored_time
from outlast.optimizer.index.known_tables import INDEX, KEYED, inserted, typed
from outlast.optimizer.stores.journal_entries import STUDY_USER, noted, said, study_made, trial_made
from outlast.optimizer.stores.store_connection import connect, unreachable
from outlast.optimizer.stores.store_journal import append_entry, journal_backend
from outlast.optimizer.stores.store_statements import StoreConnection

#: Of a folder's own study.db: its study takes no copy for itself.
_A_COPY = "this copy stays as it is now; `index:` writes a study by itself, and only where no other has its name"


class WholeStudy(Struct, frozen=True):
    """Everything that a storage says about a study, but the numbers by which it finds it."""

    name: str
    directions: tuple[str, ...]
    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]
    rows: tuple[IndexRow, ...]

    def says(self) -> str:
        """For comparing: attributes in one order, NaN equal to itself, our own mark left out."""
        own = {key: value for key, value in self.system_attrs.items() if key != INDEX}
        rows = [
            replace(
                row, attrs=tuple(sorted(row.attrs)), system=tuple(sorted(row.system)), params=tuple(sorted(row.params))
            )
            for row in self.rows
        ]
        attrs = json.dumps([self.user_attrs, own], sort_keys=True, default=str)
        return f"{self.name} {self.directions} {attrs} {rows!r}"


class Moved(Struct, frozen=True):
    """What became of a study."""

    name: str
    trials: int
    copied: bool  # False: it was there already, and the same


def move_studies(place: str, target: str, study_name: str | None = None) -> tuple[list[Moved], list[str]]:
    """Copy studies into another storage, all of them or none; then read them back and compare. The source is not changed.

    Done again, what is there already and the same is left as it is.

    Args:
        place: Where they are: a file or any URL that Optuna takes.
        target: Where to: likewise. A file is made where there is none.
        study_name: Only this one; by default all.

    Returns:
        What became of each, and what people should know about the source.

    Raises:
        StudyNotFound: There is no such storage or study.
        UsageError: The target has another study of one of these names: nothing is copied.
        StorageError: One of the two cannot be read or written, or what was copied is not what was there.
    """
    address = store_address(target, environment=os.environ)
    with opened(place) as source:
        studies = _chosen(_studies(source), masked_address(place), study_name)
        warnings = list(source.warnings)
    there = _there_already(address)
    if other := next((each for each in studies if there.get(each.name, each).says() != each.says()), None):
        raise _another(address, other)
    new = [each for each in studies if each.name not in there]
    if new:
        _write(address, new)
        _verify(address, new)
        warnings += [f"{each.name}: {_A_COPY}" for each in new if _is_of_a_folder(each)]
    moved = [Moved(each.name, len(each.rows), each.name not in there) for each in studies]
    return moved, warnings


def _is_of_a_folder(study: WholeStudy) -> bool:
    note = study.system_attrs.get(INDEX)
    return isinstance(note, dict) and "study" not in note


def _another(address: StoreAddress, study: WholeStudy) -> UsageError:
    fact = f"{address} has another study called {study.name}: nothing was copied"
    return UsageError(fact, cure="another --to; or that study goes first: optuna delete-study")


def _studies(source: Source) -> list[WholeStudy]:
    return [
        WholeStudy(
            study.name, study.directions, study.user_attrs, study.system_attrs,
            tuple(_row(trial) for trial in source.trials(study.id)),
        )
        for study in source.studies()
    ]  # fmt: skip


def _row(trial: PastTrial) -> IndexRow:
    drawn = ((name, value, trial.ranges[name]) for name, value in trial.params.items())
    return IndexRow(
        number=trial.number,
        state=trial.state,
        started=_stored(trial.started),
        finished=_stored(trial.finished),
        values=tuple(map(float, trial.values)),
        params=tuple((name, float(range_.to_internal_repr(value)), range_.text()) for name, value, range_ in drawn),
        curve=tuple((int(step), float(value)) for step, value in sorted(trial.curve.items())),
        attrs=tuple((key, json.dumps(value)) for key, value in trial.user_attrs.items()),
        system=tuple((key, json.dumps(value)) for key, value in trial.system_attrs.items()),
    )


def _stored(time: datetime | None) -> str | None:
    return None if time is None else stored_time(time.isoformat())


def _chosen(studies: Sequence[WholeStudy], place: str, name: str | None) -> list[WholeStudy]:
    if not studies:
        raise StudyNotFound(f"{place} holds no study")
    names = [each.name for each in studies]
    if name is not None and name not in names:
        raise StudyNotFound(f"{place} holds no study {name}; it holds {', '.join(names)}", cure=nearest(name, names))
    return [each for each in studies if name in (None, each.name)]


def _there_already(address: StoreAddress) -> dict[str, WholeStudy]:
    if address.file and not (os.path.exists(address.file) and os.path.getsize(address.file)):
        return {}
    if address.kind == "server":
        with _telling(address), contextlib.closing(connect(address)):  # its tables are made, if need be
            pass
    with opened(address) as source:
        return {each.name: each for each in _studies(source)}


@contextlib.contextmanager
def _telling(address: StoreAddress) -> Iterator[None]:
    """What a driver raises becomes an error of ours."""
    try:
        yield
    except (UsageError, StorageError):
        raise
    except Exception as error:  # drivers raise what they like
        raise unreachable(address, error) from None


def _verify(address: StoreAddress, studies: Sequence[WholeStudy]) -> None:
    there = _there_already(address)
    for each in studies:
        if each.name not in there or there[each.name].says() != each.says():
            fact = f"{each.name} is not in {address} as it was: do not rely on the copy"
            raise StorageError(fact, cure="nothing was changed where it came from; please tell us about it")


def _write(address: StoreAddress, studies: Sequence[WholeStudy]) -> None:
    if address.kind in ("journal", "redis"):
        _append(address, studies)
        return
    with _telling(address), contextlib.closing(connect(address)) as connection:
        connection.begin(writing=True)
        for study in studies:
            _insert(connection, study)
        connection.commit()


def _own_mark(study: WholeStudy) -> Mapping[str, Any]:
    """The system attributes. Rows of ours have other numbers in the copy: by its own name, nobody takes one for another."""
    note = study.system_attrs.get(INDEX)
    if not isinstance(note, dict):
        return study.system_attrs
    return {**study.system_attrs, INDEX: {**note, "id": uuid.uuid4().hex[:12]}}


# -- databases -----------------------------------------------------------------------------------------------------


def _insert(connection: StoreConnection, study: WholeStudy) -> None:
    number = inserted(connection, "INSERT INTO studies (study_name) VALUES (?)", (study.name,), "study_id")
    rows: dict[str, list[tuple[Any, ...]]] = {
        "study_directions (direction, study_id, objective)": [(d, number, i) for i, d in enumerate(study.directions)],
        f"study_user_attributes (study_id, {KEYED})": [(number, k, json.dumps(v)) for k, v in study.user_attrs.items()],
        f"study_system_attributes (study_id, {KEYED})": [(number, k, json.dumps(v)) for k, v in _own_mark(study).items()],
    }  # fmt: skip
    below: dict[str, Callable[[IndexRow], list[tuple[Any, ...]]]] = {
        "trial_params (trial_id, param_name, param_value, distribution_json)": lambda row: list(row.params),
        "trial_values (trial_id, objective, value, value_type)": lambda row: [
            (i, *typed(value)) for i, value in enumerate(row.values)
        ],
        "trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)": lambda row: [
            (step, *typed(value)) for step, value in row.curve
        ],
        f"trial_user_attributes (trial_id, {KEYED})": lambda row: list(row.attrs),
        f"trial_system_attributes (trial_id, {KEYED})": lambda row: list(row.system),
    }
    query = "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) VALUES (?, ?, ?, ?, ?)"
    for row in study.rows:
        trial = inserted(connection, query, (row.number, number, row.state, row.started, row.finished), "trial_id")
        for table, of in below.items():
            rows.setdefault(table, []).extend((trial, *each) for each in of(row))
    for table, values in rows.items():
        marks = ", ".join("?" for _ in table.split(","))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608


# -- journals ------------------------------------------------------------------------------------------------------


def _append(address: StoreAddress, studies: Sequence[WholeStudy]) -> None:
    with silent():
        backend = journal_backend(address)
        if not isinstance(backend, JournalFileBackend):
            backend.append_logs(_entries(address, JournalStorage(backend), studies))
            return
        append_entry(address, backend, lambda: _entries(address, JournalStorage(backend), studies))


def _entries(address: StoreAddress, storage: JournalStorage, studies: Sequence[WholeStudy]) -> list[dict[str, Any]]:
    there = {study.study_name for study in storage.get_all_studies()}
    if other := next((each for each in studies if each.name in there), None):  # it came meanwhile
        raise _another(address, other)
    entries: list[dict[str, Any]] = []
    for number, study in enumerate(studies, start=int(storage._replay_result._next_study_id)):
        entries += study_made(study.name, study.directions)
        entries += noted(number, _own_mark(study))
        entries += [said(STUDY_USER, study_id=number, user_attr={k: v}) for k, v in study.user_attrs.items()]
        entries += [trial_made(number, row, ours=False) for row in study.rows]
    return [{"worker_id": "outlast", **entry} for entry in entries]
