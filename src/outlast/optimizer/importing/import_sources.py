"""Opening storages of any Optuna version without touching them: files are copied, and what reads them reads the copy."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

from outlast.config.plugins import quiet
from outlast.config.store_address import StoreAddress, store_address
from outlast.errors import StorageError, StudyNotFound, UsageError
from outlast.optimizer.importing.import_rows import can_read, studies_in, trials_in
from outlast.optimizer.importing.past_studies import PastStudy, PastTrial, Source, said_of_times, unreadable

_T = TypeVar("_T")

_SQLITE_MAGIC = b"SQLite format 3\x00"
#: Files that somebody writes to while they are copied are copied again, so often.
_COPIES = 5


@contextlib.contextmanager
def opened(place: str | StoreAddress) -> Iterator[Source]:
    """Open a storage for reading. Optuna is loaded where it is no SQLite file whose tables are known here.

    Raises:
        StudyNotFound: There is no such file.
        UsageError: It is not a storage of Optuna's.
        StorageError: It cannot be read.
    """
    with (
        quiet(),
        tempfile.TemporaryDirectory(prefix="outlast-import-") as folder,
        contextlib.ExitStack() as until_it_is_read,
    ):
        if isinstance(place, StoreAddress):
            file, timeout = place.file or None, place.timeout
        else:
            file, timeout = _file_of(place)
        database = _sqlite(file, timeout, folder) if file is not None and _is_sqlite(file) else None
        if database is not None and database.known:
            yield database
            return
        from outlast.optimizer.importing import import_through_optuna as through_optuna

        if database is not None:
            source = through_optuna.database(database.copy, database.place, local_times=database.local_times)
        elif file is not None:
            source = through_optuna.journal(file, folder)
        else:
            address = place if isinstance(place, StoreAddress) else store_address(place, environment=os.environ)
            source = through_optuna.server(address)
        yield until_it_is_read.enter_context(source)


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


class SqliteFile(Struct, frozen=True):
    """A copy of a SQLite file."""

    copy: str
    place: str  # that it is a copy of
    local_times: bool  # its rows carry the local time of the machine that wrote them
    known: bool  # whether its tables are known here; what follows is of such a file

    @property
    def warnings(self) -> list[str]:
        """See `Source`."""
        return said_of_times(local=self.local_times)

    def studies(self) -> list[PastStudy]:
        """See `Source`."""
        return self._read(lambda: studies_in(self.copy))

    def trials(self, study_id: int) -> list[PastTrial]:
        """See `Source`."""
        return self._read(lambda: trials_in(self.copy, study_id, local_times=self.local_times))

    def _read(self, rows: Callable[[], _T]) -> _T:
        try:
            return rows()
        except (sqlite3.Error, LookupError, TypeError, ValueError) as error:
            raise unreadable(self.place, error) from error


def _sqlite(file: str, timeout: float, folder: str) -> SqliteFile:
    copy = os.path.join(folder, "copy.db")
    try:
        _copy_sqlite(file, copy, timeout)
        return SqliteFile(copy, file, _wrote_local_times(copy), can_read(copy))
    except (sqlite3.Error, OSError, RuntimeError) as error:
        raise unreadable(file, error) from error


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
