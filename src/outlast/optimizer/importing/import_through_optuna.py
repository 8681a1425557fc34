"""Storages that only Optuna itself reads: databases of other versions, which it upgrades as copies, journals and servers."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from outlast.config.store_address import StoreAddress
from outlast.errors import StorageError, UsageError
from outlast.optimizer.bridge.optuna_distributions import range_like
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.importing.past_studies import PastStudy, PastTrial, in_utc, said_of_times, unreadable


class StorageSource:
    """What a storage of Optuna's holds."""

    def __init__(self, storage: BaseStorage, *, local_times: bool = False, warnings: Iterable[str] = ()) -> None:
        self._storage = storage
        self._rdb = storage if isinstance(storage, RDBStorage) else None
        self._local_times = local_times
        self.warnings = [*warnings]

    def studies(self) -> list[PastStudy]:
        """See `Source`."""
        return [
            PastStudy(
                id=study._study_id,
                name=study.study_name,
                directions=tuple(direction.name for direction in study.directions),
                user_attrs=study.user_attrs,
                system_attrs=study.system_attrs,
            )
            for study in self._storage.get_all_studies()
        ]

    def trials(self, study_id: int) -> list[PastTrial]:
        """See `Source`."""
        trials = self._storage.get_all_trials(study_id, deepcopy=False)
        times = self._stored_times(study_id)
        return [_past(trial, *times.get(trial._trial_id, (None, None))) for trial in trials]

    def close(self) -> None:
        """Let go of it."""
        if self._rdb is not None:
            self._rdb.remove_session()
            self._rdb.engine.dispose()

    def _stored_times(self, study_id: int) -> dict[int, tuple[datetime | None, datetime | None]]:
        """Trial id → when it started and when it finished, where the rows say it in their own way; empty for a journal."""
        if self._rdb is None:
            trials = self._storage.get_all_trials(study_id, deepcopy=False)
            return {t._trial_id: (_aware(t.datetime_start), _aware(t.datetime_complete)) for t in trials}
        import sqlalchemy

        query = sqlalchemy.text(
            "SELECT trial_id, datetime_start, datetime_complete FROM trials WHERE study_id = :study"
        )
        with self._rdb.engine.connect() as connection:
            return {
                int(trial_id): (in_utc(started, local=self._local_times), in_utc(finished, local=self._local_times))
                for trial_id, started, finished in connection.execute(query, {"study": study_id})
            }


def _past(trial: FrozenTrial, started: datetime | None, finished: datetime | None) -> PastTrial:
    return PastTrial(
        number=trial.number,
        state=trial.state.name,
        values=tuple(trial.values or ()),
        started=started,
        finished=finished,
        params=trial.params,
        ranges={name: range_like(distribution) for name, distribution in trial.distributions.items()},
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        curve=trial.intermediate_values,
    )


def _aware(naive: datetime | None) -> datetime | None:
    return None if naive is None else naive.astimezone(timezone.utc)


@contextlib.contextmanager
def _open(source: StorageSource) -> Iterator[StorageSource]:
    try:
        yield source
    finally:
        source.close()


@contextlib.contextmanager
def database(copy: str, place: str, *, local_times: bool) -> Iterator[StorageSource]:
    """The copy of a SQLite file, upgraded to what this Optuna reads; `place`: that it is a copy of.

    Raises:
        UsageError: A later Optuna has written it.
        StorageError: It cannot be read.
    """
    with silent():
        try:
            storage = RDBStorage(f"sqlite:///{copy}", skip_compatibility_check=True)
            if storage.get_current_version() != storage.get_head_version():
                if storage.get_current_version() not in storage.get_all_versions():
                    raise UsageError(
                        f"{place} was written by a later Optuna than this one", cure="pip install --upgrade optuna"
                    )
                storage.upgrade()
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise unreadable(place, error) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("sqlalchemy", "optuna", "alembic"):
                raise
            raise StorageError(f"{place} is a database, but not one of Optuna's: {error}") from error
        said = said_of_times(local=local_times)
        with _open(StorageSource(storage, local_times=local_times, warnings=said)) as source:
            yield source


@contextlib.contextmanager
def journal(file: str, folder: str) -> Iterator[StorageSource]:
    """A journal, of which a copy is made in a folder.

    Raises:
        UsageError: It is none.
        StorageError: It cannot be read.
    """
    with silent(), _open(_journal(file, folder)) as source:
        yield source


@contextlib.contextmanager
def server(address: StoreAddress) -> Iterator[StorageSource]:
    """A storage that a server keeps.

    Raises:
        StorageError: It cannot be read, or its schema is not this Optuna's.
        MissingExtra: A driver is not installed.
    """
    with silent(), _open(_server(address)) as source:
        yield source


def _journal(file: str, folder: str) -> StorageSource:
    copy = os.path.join(folder, "copy.log")
    try:
        with open(file, "rb") as source:
            lines = source.read().split(b"\n")
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}") from error
    whole, torn = _whole_lines(lines)
    if not whole:
        raise UsageError(f"{file} is neither a SQLite database nor a journal of Optuna's")
    with open(copy, "wb") as target:
        target.write(b"\n".join(whole) + b"\n")
    try:
        storage = JournalStorage(JournalFileBackend(copy))
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise StorageError(f"{file} cannot be read as a journal of Optuna's: {error}") from error
    said = f"{torn} torn line(s) in the journal: what they would have said was never recorded"
    return StorageSource(storage, warnings=[said] if torn else [])


def _whole_lines(lines: list[bytes]) -> tuple[list[bytes], int]:
    """The journal's whole operations, and how many lines were torn.

    A process that dies while it writes leaves half a line; the next writer's operation then follows on the same line,
    and is whole.
    """
    whole, torn = [], 0
    for line in lines:
        if not line.strip():
            continue
        if _is_operation(line):
            whole.append(line)
            continue
        torn += 1
        rest = line[line.rfind(b'{"op_code"') :] if line.rfind(b'{"op_code"') > 0 else b""
        if _is_operation(rest):
            whole.append(rest)
    return whole, torn


def _is_operation(line: bytes) -> bool:
    try:
        operation = json.loads(line)
    except ValueError:
        return False
    return isinstance(operation, dict) and "op_code" in operation


def _server(address: StoreAddress) -> StorageSource:
    if address.kind == "redis":
        from outlast.optimizer.stores.store_journal import journal_backend

        return StorageSource(JournalStorage(journal_backend(address)))
    from sqlalchemy.pool import NullPool

    from outlast.optimizer.stores.store_connection import engine_of, unreachable

    engine = engine_of(address)
    url = engine.url.render_as_string(hide_password=False)
    try:
        storage = RDBStorage(url, {"poolclass": NullPool}, skip_compatibility_check=True, skip_table_creation=True)
        current, head = storage.get_current_version(), storage.get_head_version()
    except Exception as error:  # drivers raise what they like
        raise unreachable(address, getattr(error, "orig", None) or error) from None
    finally:
        engine.dispose()
    if current != head:
        raise StorageError(
            f"its schema is {current}, this Optuna reads {head}", cure="optuna storage upgrade --storage URL, on a copy"
        )
    local = False
    with contextlib.suppress(Exception):
        import sqlalchemy

        with storage.engine.connect() as connection:
            version = connection.execute(sqlalchemy.text("SELECT library_version FROM version_info")).scalar()
        local = int(str(version).split(".")[0]) < 5
    return StorageSource(storage, local_times=local)
