"""Opening storages of any Optuna version without touching them: files are copied, and the copy is upgraded."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

from outlast.config.plugins import quiet
from outlast.config.store_address import StoreAddress, store_address
from outlast.errors import StorageError, StudyNotFound, UsageError
from outlast.optimizer.import_rows import can_read, studies_in, times_in, trials_in
from outlast.optimizer.view import silent

_T = TypeVar("_T")
#: Trial id → when it started and when it finished.
Times = dict[int, tuple[datetime | None, datetime | None]]

_SQLITE_MAGIC = b"SQLite format 3\x00"
#: Files that somebody writes to while they are copied are copied again, so often.
_COPIES = 5


@dataclass
class Source:
    """An open storage, and what is known about it."""

    storage: BaseStorage | None  # where its rows are not read from `file`
    warnings: list[str] = field(default_factory=list)
    rdb: RDBStorage | None = None
    local_times: bool = False  # its rows carry the local time of the machine that wrote them
    file: str = ""  # a copy of a SQLite file whose tables are known here
    place: str = ""  # that it is a copy of

    def trials(self, study_id: int) -> list[FrozenTrial]:
        """All of a study's, by their ids. Raises `StorageError`, as the others do, where a file does not hold what it should."""
        if self.storage is None:
            return self._read(lambda: trials_in(self.file, study_id))
        return self.storage.get_all_trials(study_id, deepcopy=False)

    def studies(self) -> list[FrozenStudy]:
        """All that it holds."""
        if self.storage is None:
            return self._read(lambda: studies_in(self.file))
        return self.storage.get_all_studies()

    def times(self, study_id: int, trials: Sequence[FrozenTrial]) -> Times:
        """When each trial started and finished, in UTC."""
        if self.storage is None:
            return self._read(
                lambda: {
                    trial: (self._stored(started), self._stored(finished))
                    for trial, started, finished in times_in(self.file, study_id)
                }
            )
        if self.rdb is None:
            return {t._trial_id: (_aware(t.datetime_start), _aware(t.datetime_complete)) for t in trials}
        import sqlalchemy

        query = sqlalchemy.text(
            "SELECT trial_id, datetime_start, datetime_complete FROM trials WHERE study_id = :study"
        )
        with self.rdb.engine.connect() as connection:
            return {
                int(trial_id): (self._stored(started), self._stored(finished))
                for trial_id, started, finished in connection.execute(query, {"study": study_id})
            }

    def _read(self, rows: Callable[[], _T]) -> _T:
        try:
            return rows()
        except (sqlite3.Error, LookupError, TypeError, ValueError) as error:
            raise _unreadable(self.place, error) from error

    def _stored(self, value: Any) -> datetime | None:
        if value is None:
            return None
        naive = datetime.fromisoformat(value) if isinstance(value, str) else value
        if naive.tzinfo is not None:
            return naive.astimezone(timezone.utc)
        # Optuna up to 4 stored what its clock on the wall said, Optuna 5 stores UTC; neither says so in the row.
        return naive.astimezone(timezone.utc) if self.local_times else naive.replace(tzinfo=timezone.utc)


@contextlib.contextmanager
def opened(place: str | StoreAddress) -> Iterator[Source]:
    """Open a storage for reading.

    Raises:
        StudyNotFound: There is no such file.
        UsageError: It is not a storage of Optuna's.
        StorageError: It cannot be read.
    """
    with silent(), quiet(), tempfile.TemporaryDirectory(prefix="outlast-import-") as folder:
        if isinstance(place, StoreAddress):
            file, timeout = place.file or None, place.timeout
        else:
            file, timeout = _file_of(place)
        if file is None:
            address = place if isinstance(place, StoreAddress) else store_address(place, environment=os.environ)
            source = _server(address)
        elif _is_sqlite(file):
            source = _sqlite(file, timeout, folder)
        else:
            source = _journal(file, folder)
        try:
            yield source
        finally:
            if source.rdb is not None:
                source.rdb.remove_session()
                source.rdb.engine.dispose()


def _file_of(place: str) -> tuple[str | None, float]:
    """The file that a path or URL means (``None``: a server), and how many seconds to wait for its lock."""
    timeout = 5.0
    if "://" not in place:
        file = os.path.expanduser(place)
    elif place.startswith("sqlite"):
        parts = urlsplit(place)
        file = unquote(parts.path.removeprefix("/"))
        with contextlib.suppress(ValueError):
            timeout = float(parse_qs(parts.query).get("timeout", ["5"])[0])
    else:
        return None, timeout
    if not os.path.exists(file):
        raise StudyNotFound(f"{place}: there is no file {file}", cure="four slashes begin an absolute path in a URL")
    if os.path.isdir(file):
        raise UsageError(f"{file} is a folder", cure="name the database or journal file in it")
    return file, timeout


def _is_sqlite(file: str) -> bool:
    try:
        with open(file, "rb") as opened_file:
            return opened_file.read(16) == _SQLITE_MAGIC
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}") from error


# -- SQLite --------------------------------------------------------------------------------------------------------


def _sqlite(file: str, timeout: float, folder: str) -> Source:
    copy = os.path.join(folder, "copy.db")
    try:
        _copy_sqlite(file, copy, timeout)
        local = _wrote_local_times(copy)
        if can_read(copy):
            return _with_notes(Source(None, local_times=local, file=copy, place=file))
        storage = RDBStorage(f"sqlite:///{copy}", skip_compatibility_check=True)
        if storage.get_current_version() != storage.get_head_version():
            if storage.get_current_version() not in storage.get_all_versions():
                raise UsageError(
                    f"{file} was written by a later Optuna than this one", cure="pip install --upgrade optuna"
                )
            storage.upgrade()
    except (sqlite3.Error, OSError, RuntimeError) as error:
        raise _unreadable(file, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("sqlalchemy", "optuna", "alembic"):
            raise
        raise StorageError(f"{file} is a database, but not one of Optuna's: {error}") from error
    return _with_notes(Source(storage, rdb=storage, local_times=local))


def _unreadable(file: str, error: Exception) -> StorageError:
    return StorageError(f"{file} cannot be read: {error}", cure="is it complete, and an Optuna storage?")


def _with_notes(source: Source) -> Source:
    if source.local_times:
        source.warnings.append("times were written in local time by an older Optuna: read as this machine's time zone")
    return source


def _copy_sqlite(file: str, copy: str, timeout: float) -> None:
    """A consistent copy. Where SQLite itself can make one without writing beside the file, it does."""
    with open(file, "rb") as header:
        write_ahead = header.read(20)[18:20] == b"\x02\x02"
    journal = f"{file}-journal"
    if not write_ahead and not (os.path.exists(journal) and os.path.getsize(journal)):
        source = sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=ro", uri=True, timeout=timeout)
        with contextlib.closing(source), contextlib.closing(sqlite3.connect(copy)) as target:
            _wait_for_lock(source, timeout)
            source.backup(target)
        return
    for _ in range(_COPIES):
        before = _fingerprint(file)
        for suffix in ("", "-wal", "-journal"):
            if os.path.exists(f"{file}{suffix}"):
                shutil.copyfile(f"{file}{suffix}", f"{copy}{suffix}")
        if _fingerprint(file) == before:
            return
    raise StorageError(f"{file} is being written to all the time", cure="stop what writes to it, or import a copy")


def _wait_for_lock(connection: sqlite3.Connection, timeout: float) -> None:
    """`sqlite3.Connection.backup` does not wait for a lock by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return
        except sqlite3.OperationalError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise


def _fingerprint(file: str) -> list[tuple[int, int]]:
    stats = [os.stat(f"{file}{s}") for s in ("", "-wal", "-journal") if os.path.exists(f"{file}{s}")]
    return [(stat.st_size, stat.st_mtime_ns) for stat in stats]


def _wrote_local_times(file: str) -> bool:
    """Whether a version before 5 made the database."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        try:
            row = connection.execute("SELECT library_version FROM version_info").fetchone()
        except sqlite3.OperationalError as error:
            raise UsageError("it is a database, but not one of Optuna's") from error
    try:
        return row is not None and int(str(row[0]).split(".")[0]) < 5
    except ValueError:
        return False


# -- journals and servers ------------------------------------------------------------------------------------------


def _journal(file: str, folder: str) -> Source:
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
    opened_source = Source(storage)
    if torn:
        opened_source.warnings.append(
            f"{torn} torn line(s) in the journal: what they would have said was never recorded"
        )
    return opened_source


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


def _server(address: StoreAddress) -> Source:
    if address.kind == "redis":
        from outlast.optimizer.store_journal import journal_backend

        return Source(JournalStorage(journal_backend(address)))
    from sqlalchemy.pool import NullPool

    from outlast.optimizer.store_connection import engine_of, unreachable

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
    source = Source(storage, rdb=storage)
    with contextlib.suppress(Exception):
        import sqlalchemy

        with storage.engine.connect() as connection:
            version = connection.execute(sqlalchemy.text("SELECT library_version FROM version_info")).scalar()
        source.local_times = int(str(version).split(".")[0]) < 5
    return source


def _aware(naive: datetime | None) -> datetime | None:
    return None if naive is None else naive.astimezone(timezone.utc)
