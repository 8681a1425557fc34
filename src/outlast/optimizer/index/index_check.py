"""Looking at an index file, and changing nothing: what is wrong with it, and which of its rows others have written."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.optimizer.index.index_rows import ForeignRow, IndexRow, RowMaker, directions_of
from outlast.optimizer.index.index_sql import Tables
from outlast.optimizer.index.known_tables import KNOWN_HEADS, IndexBroken, head_of

#: What SQLite keeps beside a database; a new database must never find an old one's.
SIDE_FILES = ("-journal", "-wal", "-shm")
_BROKEN = (sqlite3.DatabaseError, IndexBroken, ValueError, KeyError, TypeError)


def check_index(path: str | os.PathLike[str], study: Study, settings: Settings) -> list[str]:
    """What is wrong with the index, by content, a sentence for each fault; nothing on the disk is changed.

    An index that is merely behind the ledger (its writer was killed, a file was locked) is sound: the writer brings it
    up to date. Wrong is what can no longer be trusted: a file that does not open, a table that is gone or emptied,
    rows missing that were written, finished rows that say something else than the ledger.
    """
    path = Path(path)
    if not path.exists():
        left = [f"{path.name}{suffix}" for suffix in SIDE_FILES if _filled(Path(f"{path}{suffix}"))]
        return [f"{path.name} is not there" + (f", but {', '.join(left)} is left over" if left else "")]
    if path.stat().st_size == 0:
        return [f"{path.name} is empty (zero bytes)"]
    try:
        with _looked_at(path) as connection:
            return [f"{path.name}: {fault}" for fault in _faults(connection, study, settings)]
    except _BROKEN as error:
        return [f"{path.name} cannot be read: {error}"]


def foreign_rows(path: str | os.PathLike[str]) -> list[ForeignRow]:
    """The rows of an index that Outlast did not write: what people enqueued, and other writes.

    Raises:
        sqlite3.DatabaseError: The file cannot be read.
        IndexBroken: It is not an index of ours.
    """
    with _looked_at(Path(path)) as connection:
        name = str(connection.execute("SELECT study_name FROM studies ORDER BY study_id").fetchone()[0])
        return Tables(connection, name).foreign()


def has_waiting(path: str | os.PathLike[str]) -> bool:
    """Whether somebody enqueued a row in an index that nobody took yet, as far as it can be read."""
    try:
        with _looked_at(Path(path)) as connection:
            return connection.execute("SELECT 1 FROM trials WHERE state = 'WAITING' LIMIT 1").fetchone() is not None
    except (*_BROKEN, OSError):
        return False


def foreign_or_none(path: Path) -> list[ForeignRow]:
    """As `foreign_rows`; none where the file cannot be read."""
    if not _filled(path):
        return []
    try:
        return foreign_rows(path)
    except _BROKEN:
        return []


def _faults(connection: sqlite3.Connection, study: Study, settings: Settings) -> Iterator[str]:
    damage = [str(line) for (line,) in connection.execute("PRAGMA quick_check(3)") if line != "ok"]
    if damage:
        yield from damage
        return
    head = head_of(connection)
    if head is None:
        yield "the table alembic_version is missing or empty"
        return
    if head not in KNOWN_HEADS:
        return  # written through Optuna's own interface; it is rebuilt rather than compared
    tables = Tables(connection, settings.name)
    if tables.directions() != directions_of(settings):
        yield "its directions are not the study's"
    maker = RowMaker(settings)
    expected = {number: maker.row(trial) for number, trial in study.trials.items()}
    rows = tables.read(expected)
    if len(rows) < tables.noted_rows:
        yield f"{tables.noted_rows - len(rows)} of {tables.noted_rows} rows that were written are missing"
    for number, row in rows.items():
        trial = study.trials.get(number)
        if trial is None:
            yield f"it has a trial {number} that the ledger does not have"
        elif fault := _disagreement(row, expected[number], trial):
            yield f"trial {number}: {fault}"


def _disagreement(found: IndexRow, expected: IndexRow, trial: Trial) -> str | None:
    """What a row says that the ledger contradicts; a row that is only older contradicts nothing."""
    if found.state not in ("RUNNING", "COMPLETE", "PRUNED", "FAIL"):
        return f"its state is {found.state}"
    if found.params != expected.params and found.state != "RUNNING" and expected.params:
        return "its parameters differ from the ledger's"
    if found.state == "RUNNING" or trial.retried_at_attempt:
        missing = set(expected.params) - set(found.params) if found.params or not trial.distributions else set()
        return "its parameters differ from the ledger's" if missing else None
    if not trial.state.finished:
        return f"it is {found.state} there and {trial.state} in the ledger"
    for what, a, b in (
        ("state", found.state, expected.state),
        ("values", found.values, expected.values),
        ("curve", found.curve, expected.curve),
        ("attributes", sorted(found.attrs), sorted(expected.attrs)),
    ):
        if a != b:
            return f"its {what} is {a} there and {b} in the ledger"
    return None


@contextlib.contextmanager
def _looked_at(path: Path) -> Iterator[sqlite3.Connection]:
    """The database opened without changing anything: beside a journal, which opening would play back, a copy of it."""
    if not any(_filled(Path(f"{path}{suffix}")) for suffix in SIDE_FILES):
        where = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True, timeout=5.0)) as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        copy = Path(folder) / "index.db"
        for suffix in ("", "-journal", "-wal"):
            if os.path.exists(f"{path}{suffix}"):
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            yield connection


def _filled(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
