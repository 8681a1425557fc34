"""A study's rows in a journal of Optuna's, a file or in Redis: everything that one round changes is one entry of it.

A journal only grows. What it has no operation for (a finished trial that is retried, a row that has to change its number) is
said by writing the study anew, in one entry: it is deleted there and made again as it is. What an attribute was is then null
where it is gone, and a trial that is only created appears when it begins.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec.structs import replace
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._base import BaseJournalBackend
from optuna.storages.journal._file import get_lock_file
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Row

from outlast._system.clock import utc_now
from outlast.config.settings import Settings
from outlast.config.store_address import StoreAddress
from outlast.errors import MissingExtra
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.index.index_rows import OURS, ForeignRow, IndexRow, directions_of, stored_time
from outlast.optimizer.index.known_tables import INDEX, METRIC_NAMES, IndexBroken
from outlast.optimizer.stores.journal_entries import (
    DELETE_STUDY,
    KEY,
    STATE,
    STUDY_USER,
    USER,
    as_expected,
    changes_of,
    noted,
    only_created,
    row_of_trial,
    said,
    study_made,
    trial_made,
)
from outlast.optimizer.stores.store_connection import StoreRefused
from outlast.optimizer.stores.store_contract import NotYet, Objectives, Superseded, Whose, Writing, taken_by_another

#: Seconds between two times that a study is written anew: where a row of somebody's stays below ours, each new row asks for it.
ANEW_SECONDS = 30.0


def journal_backend(address: StoreAddress) -> BaseJournalBackend:
    """Optuna's own access to a journal, whose file is made where there is none.

    Raises:
        MissingExtra: It is in Redis, whose package is not installed.
    """
    if address.kind == "redis":
        try:
            from optuna.storages.journal import JournalRedisBackend

            return JournalRedisBackend(address.url)
        except ImportError as error:
            raise MissingExtra(f"{address} needs a driver: {error}", cure="pip install redis") from None
    os.makedirs(os.path.dirname(address.file), exist_ok=True)
    return JournalFileBackend(address.file)


def refuse_half(address: StoreAddress) -> None:
    """Asked where nobody else appends: whatever comes next would be glued to half an entry.

    Raises:
        StoreRefused: The file ends in one.
    """
    with open(address.file, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        if end and file.read(1) != b"\n":
            cure = f"what is whole in it: outlast import {address.shown} --to NEW"
            raise StoreRefused(f"{address} ends in half an entry: it is left as it is", cure=cure)


def append_entry(address: StoreAddress, backend: JournalFileBackend, make: Callable[[], list[dict[str, Any]]]) -> None:
    """Append what is made of the journal as it stands, wholly or not at all. Nobody else appends meanwhile.

    Raises:
        StoreRefused: It ends in half an entry.
        OSError: The disk is full, or the file cannot be written.
    """
    with get_lock_file(backend._lock):
        refuse_half(address)
        entry = "".join(json.dumps(operation) + "\n" for operation in make()).encode()
        with open(address.file, "ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                left = memoryview(entry)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise


def rows_of_others(address: StoreAddress, name: str, identity: str) -> list[ForeignRow]:
    """The rows of a study that are not ours, in a journal that nobody writes to here; none where the study is another one."""
    with silent():
        storage = JournalStorage(JournalFileBackend(address.file))
    study = next((each for each in storage.get_all_studies() if each.study_name == name), None)
    note = {} if study is None else study.system_attrs.get(INDEX) or {}
    if study is None or note.get("study") != identity:
        return []
    return _others(storage.get_all_trials(study._study_id, deepcopy=False), note["id"])


def _others(trials: Iterable[FrozenTrial], index_id: str) -> list[ForeignRow]:
    return [_foreign(trial, index_id) for trial in trials if OURS not in trial.system_attrs]


def _foreign(trial: FrozenTrial, index_id: str) -> ForeignRow:
    fixed = trial.system_attrs.get("fixed_params")
    return ForeignRow(
        key=_key(trial, index_id),
        trial_id=trial._trial_id,
        number=trial.number,
        state=trial.state.name,
        params=dict(fixed) if isinstance(fixed, dict) else {},
        user_attrs=dict(trial.user_attrs),
    )


def _key(trial: FrozenTrial, index_id: str) -> str:
    return str(trial.system_attrs.get(KEY) or f"{index_id}:{trial._trial_id}")


class JournalSession:
    """The rows in a journal. See `outlast.optimizer.stores.store_sessions.SqlSession` for the arguments."""

    def __init__(
        self,
        address: StoreAddress,
        settings: Settings,
        whose: Whose,
        expected: Mapping[int, IndexRow],
        fence: Callable[[], object],
    ) -> None:
        self._address, self._name, self._mark = address, settings.name, uuid.uuid4().hex[:12]
        self._backend, self.left_out = journal_backend(address), set[str]()
        try:
            with silent():
                self._storage = JournalStorage(self._backend)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise StoreRefused(f"{address} cannot be read as a journal ({error}): it is left as it is") from None
        self._held: dict[int, IndexRow] = {}
        self._later: dict[int, IndexRow] = {}  # only created, and said when they begin or a later one does
        self._note: dict[str, Any] = {}
        self._anew_again_at = 0.0
        self._exclusively(lambda: self._opening(settings, whose.identity, fence))
        self.objectives: Objectives = (
            [direction.name for direction in self._study().directions],
            list(self._study().system_attrs.get(METRIC_NAMES) or ()),
        )
        self.written = self._read(expected)
        self.missing = max(0, int(self._note["rows"]) - len(self.written))

    def _opening(self, settings: Settings, identity: str, fence: Callable[[], object]) -> list[dict[str, Any]]:
        """Our mark on the study, which is made where there is none."""
        study, entry = self._found(), []
        if study is None:
            number = self._next_study()
            note = {"id": uuid.uuid4().hex[:12], "rows": 0, "study": identity}
            names = {METRIC_NAMES: [metric.name for metric in settings.metrics]}
            entry = [*study_made(self._name, directions_of(settings)), *noted(number, names)]
        else:
            number, note = study._study_id, study.system_attrs.get(INDEX)
            if not isinstance(note, dict) or note.get("study") != identity:
                raise taken_by_another(self._address, self._name)
        self._note = {**note, "writer": self._mark}
        fence()
        return [*entry, *noted(number, {INDEX: self._note})]

    def look(self) -> list[ForeignRow]:
        """See `StoreSession`."""
        self._still_ours()
        if sum(OURS in trial.system_attrs for trial in self._trials()) < int(self._note["rows"]):
            raise IndexBroken("rows that were written are missing")
        return _others(self._trials(), self._note["id"])

    def write(self, writing: Writing, fence: Callable[[], object]) -> None:
        """See `StoreSession`."""
        self._held |= {**self._later, **{row.number: row for row in writing.rows}}
        self._later.clear()
        while self._held and only_created(self._held[last := max(self._held)]) and last not in self.written:
            self._later[last] = self._held.pop(last)
        self._exclusively(lambda: self._entry(writing, fence))
        self.objectives = writing.objectives
        self.written.update(self._held)
        self._held.clear()

    def _entry(self, writing: Writing, fence: Callable[[], object]) -> list[dict[str, Any]]:
        self._still_ours()
        rows = [self._held[number] for number in sorted(self._held)]
        entry = self._changes(rows, writing)
        if entry is None and not writing.at_once and time.monotonic() < self._anew_again_at:
            raise NotYet
        self._note["rows"] = len({*self.written, *self._held})
        if entry is None:
            entry = self._anew({**self.written, **self._held}, writing)
            self._anew_again_at = time.monotonic() + ANEW_SECONDS
        elif entry:
            entry = [*entry, *noted(self._study()._study_id, {INDEX: self._note})]
        fence()
        return entry

    def close(self) -> None:
        """See `StoreSession`. A journal is not kept open."""

    # -- what is there ---------------------------------------------------------------------------------------------

    def _found(self) -> Any:
        return next((each for each in self._storage.get_all_studies() if each.study_name == self._name), None)

    def _study(self) -> Any:
        study = self._found()
        if study is None:
            raise IndexBroken("the study is gone")
        return study

    def _trials(self) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study()._study_id, deepcopy=False)

    def _still_ours(self) -> None:
        note = self._study().system_attrs.get(INDEX) or {}
        if note.get("writer") != self._mark:
            raise Superseded

    def _read(self, expected: Mapping[int, IndexRow]) -> dict[int, IndexRow]:
        rows = {}
        for trial in self._trials():
            if OURS in trial.system_attrs:
                number = int(trial.system_attrs[OURS])
                rows[number] = as_expected(row_of_trial(trial), expected.get(number))
        return rows

    # -- entries ---------------------------------------------------------------------------------------------------

    def _exclusively(self, make: Callable[[], list[dict[str, Any]]]) -> None:
        """Append what is made of the journal as it stands. Nobody else appends meanwhile: in a file; Redis has no such lock."""
        if not isinstance(self._backend, JournalFileBackend):
            self._backend.append_logs([{"worker_id": self._mark, **operation} for operation in make()])
            return
        marked = lambda: [{"worker_id": self._mark, **operation} for operation in make()]  # noqa: E731
        append_entry(self._address, self._backend, marked)

    def _changes(self, rows: Iterable[IndexRow], writing: Writing) -> list[dict[str, Any]] | None:
        """The operations that say what has changed; ``None`` if there are none for it."""
        if writing.objectives != self.objectives:
            return None
        study, trials = self._study(), self._trials()
        entry: list[dict[str, Any]] = [
            said(STUDY_USER, study_id=study._study_id, user_attr={name: json.loads(text)})
            for name, text in writing.noted.items()
        ]
        for trial in trials:
            key = self._key(trial)
            if OURS not in trial.system_attrs and key in writing.refused and trial.state is Row.WAITING:
                entry.append(said(USER, trial_id=trial._trial_id, user_attr={"reason": writing.refused[key]}))
                entry.append(
                    said(STATE, trial_id=trial._trial_id, state=Row.FAIL, values=None, datetime_complete=utc_now())
                )
        count = len(trials)
        for row in rows:
            if row.number == count and not (row.claim or "").startswith(f"{self._note['id']}:"):
                entry.append(trial_made(study._study_id, row))
                count += 1
                continue
            there = trials[row.number] if row.number < len(trials) else None
            old = self.written.get(row.number)
            if there is None or old is None or there.system_attrs.get(OURS) != row.number:
                return None
            if old == row:
                continue
            changed = None if there.state.is_finished() else changes_of(there._trial_id, old, row)
            if changed is None:
                return None
            entry += changed
        return entry

    def _anew(self, rows: Mapping[int, IndexRow], writing: Writing) -> list[dict[str, Any]]:
        """The study deleted and made again. Rows that people enqueued and nobody took in yet follow ours."""
        study, ours = self._study(), [rows[number] for number in sorted(rows)]
        claimed = {row.claim for row in ours}
        others = [each for each in self._trials() if OURS not in each.system_attrs]
        others = [each for each in others if self._key(each) not in claimed]
        new = self._next_study()
        directions, names = writing.objectives
        attrs = {**study.system_attrs, METRIC_NAMES: names, INDEX: self._note}
        entry = [said(DELETE_STUDY, study_id=study._study_id), *study_made(self._name, directions)]
        entry += noted(new, attrs)
        noted_about = {**study.user_attrs, **{name: json.loads(text) for name, text in writing.noted.items()}}
        entry += [said(STUDY_USER, study_id=new, user_attr={key: value}) for key, value in noted_about.items()]
        entry += [trial_made(new, row) for row in ours]
        return [*entry, *(trial_made(new, self._carried(each, writing.refused)) for each in others)]

    def _carried(self, trial: FrozenTrial, refused: Mapping[str, str]) -> IndexRow:
        """Somebody else's row, with the key by which it is known already; failed where it is refused just now."""
        row, key = row_of_trial(trial), self._key(trial)
        row = replace(row, system=(*row.system, (KEY, json.dumps(key))))
        if key not in refused or trial.state is not Row.WAITING:
            return row
        attrs = (*row.attrs, ("reason", json.dumps(refused[key])))
        return replace(row, state="FAIL", finished=stored_time(utc_now()), attrs=attrs)

    def _key(self, trial: FrozenTrial) -> str:
        return _key(trial, self._note["id"])

    def _next_study(self) -> int:
        return int(self._storage._replay_result._next_study_id)
