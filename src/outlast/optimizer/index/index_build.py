"""Making, judging and replacing the index file."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from outlast._system.files import remove, rename, write_atomic
from outlast._system.observed import see
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.optimizer.index.empty_index import fill_empty, known_schema
from outlast.optimizer.index.index_rows import ForeignRow, IndexRow, RowMaker, directions_of, noted_texts
from outlast.optimizer.index.index_sql import INDEX, KNOWN_HEADS, METRIC_NAMES, IndexBroken, Tables, head_of

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

#: What SQLite keeps beside a database; a new database must never find an old one's.
SIDE_FILES = ("-journal", "-wal", "-shm")
#: One build at a time in a process: a writer that notices a missing file must not meet a `repair` that makes it.
BUILDING = threading.RLock()
#: The indexes that this process built. A writer that meets any other in the place of its own has lost the study.
BUILT_HERE: set[str] = set()
_BROKEN = (sqlite3.DatabaseError, IndexBroken, ValueError, KeyError, TypeError)


def rebuild_index(path: str | os.PathLike[str], study: Study, settings: Settings) -> Path | None:
    """Build the index from the ledger and put it in place of what lies there. Returns where that was set aside, if it was."""
    maker = RowMaker(settings)
    rows = [maker.row(trial) for _, trial in sorted(study.trials.items())]
    return build_index(path, settings, rows, noted=noted_texts(study))


def build_index(
    path: str | os.PathLike[str],
    settings: Settings,
    rows: Iterable[IndexRow],
    *,
    noted: Mapping[str, str] | None = None,
    keep_old: bool = True,
    fence: Callable[[], object] = lambda: None,
) -> Path | None:
    """As `rebuild_index`, from rows and what was noted about the study.

    An old file that is worth nothing need not be kept, and the `fence` may still stop it.

    The new file is complete before anything happens to the old one. The old one goes away together with its journal
    and write-ahead log (a new database that finds an old one's journal is destroyed by it), then the new one appears
    by rename.
    Rows that people enqueued and nobody took in yet are carried over where the old file can still be read.
    """
    target, rows = Path(path), list(rows)
    with BUILDING:
        fence()  # the temporary files may be those of whoever took over
        claimed = {row.claim for row in rows if row.claim}
        waiting = [row for row in _foreign_or_none(target) if row.waiting and row.key not in claimed]
        for stale in target.parent.glob(f".{target.name}.*.new*"):
            remove(stale)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.new")
        write_atomic(temporary, _fresh(settings, rows, waiting, noted or {}))
        try:
            fence()
        except BaseException:
            remove(temporary)
            raise
        aside = set_aside(target)
        try:
            rename(temporary, target)
        except OSError:  # whoever took over removed it, since the fence was asked: what lies there is theirs
            if aside is not None:
                _put_back(aside, target)
            raise
        if aside is not None and not keep_old:
            remove(aside)
            return None
        return aside


def _put_back(aside: Path, target: Path) -> None:
    for suffix in SIDE_FILES:
        kept, side = Path(f"{aside}{suffix}"), Path(f"{target}{suffix}")
        if kept.exists() and not side.exists():
            rename(kept, side)
    if target.exists():
        remove(aside)
    else:
        rename(aside, target)


def set_aside(path: str | os.PathLike[str]) -> Path | None:
    """Keep the index and what SQLite keeps beside it by names with a timestamp. Returns the database's, if there was one.

    The database keeps its own name too, until another appears there: there is an index at any time. Only where a filesystem
    has no hard links it is moved.
    """
    path = Path(path)
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.{stamp}")
    # The side files first: should we die in between, the database that is left is found broken or whole, never mixed.
    for suffix in SIDE_FILES:
        side = Path(f"{path}{suffix}")
        if side.exists():
            rename(side, f"{aside}{suffix}")
    if not path.exists():
        return None
    see("link", str(path), target=str(aside))
    try:
        os.link(path, aside)
    except OSError:
        rename(path, aside)
    return aside


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


# -- inside --------------------------------------------------------------------------------------------------------


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


def _fresh(settings: Settings, rows: list[IndexRow], waiting: list[ForeignRow], noted: Mapping[str, str]) -> bytes:
    """The bytes of a new index. Built in a temporary folder: SQLite's own files never lie beside the study's."""
    head, empty = _empty_schema()
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "index.db")
        with open(file, "wb") as target:
            target.write(empty)
        if head in KNOWN_HEADS:
            _fill(file, settings, rows, waiting, noted)
        else:
            _fill_through_optuna(file, settings, rows, waiting, noted)
        with open(file, "rb") as whole:
            return whole.read()


@lru_cache(maxsize=1)
def _empty_schema() -> tuple[str | None, bytes]:
    """The installed Optuna's schema version, and a database with its tables, in rollback-journal mode."""
    statements = known_schema()
    if statements is None:
        return made_by_optuna()
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "empty.db")
        fill_empty(file, statements)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            head = head_of(connection)
        with open(file, "rb") as whole:
            return head, whole.read()


def made_by_optuna() -> tuple[str, bytes]:
    """As `_empty_schema`, made by the installed Optuna itself."""
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "empty.db")
        with _storage(file) as storage:
            head = storage.get_current_version()
        with open(file, "rb") as whole:
            return head, whole.read()


def schema_statements() -> list[str]:
    """What makes the installed Optuna's tables in an empty SQLite database, whoever else uses it."""
    return statements_of(_empty_schema()[1])


def statements_of(database: bytes) -> list[str]:
    """What makes a database that is like this one."""
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "empty.db")
        with open(file, "wb") as target:
            target.write(database)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return [line for line in connection.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]


def _fill(
    file: str, settings: Settings, rows: list[IndexRow], waiting: list[ForeignRow], noted: Mapping[str, str]
) -> None:
    notes = {
        METRIC_NAMES: [metric.name for metric in settings.metrics],
        INDEX: {"id": (index_id := uuid.uuid4().hex[:12]), "rows": 0},
    }
    BUILT_HERE.add(index_id)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # nobody knows this file yet
        connection.execute("BEGIN")
        tables = Tables.create(connection, settings.name, directions_of(settings), notes)
        tables.write(rows, {})
        tables.note_study(noted)
        for row in waiting:
            tables.enqueue(row)
        connection.execute("COMMIT")


@contextlib.contextmanager
def _storage(file: str) -> Iterator[RDBStorage]:
    from optuna.storages import RDBStorage

    from outlast.optimizer.bridge.sampler_view import silent

    with silent():
        storage = RDBStorage(f"sqlite:///{file}")
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _fill_through_optuna(
    file: str, settings: Settings, rows: list[IndexRow], waiting: list[ForeignRow], noted: Mapping[str, str]
) -> None:
    """By Optuna's own interface, for a schema that is not known here."""
    import optuna
    from optuna.study import StudyDirection

    from outlast.optimizer.bridge.optuna_rows import trial_of

    with _storage(file) as storage:
        goals = [StudyDirection[word] for word in directions_of(settings)]
        study = optuna.create_study(study_name=settings.name, directions=goals, storage=storage)
        for row in rows:
            study.add_trial(trial_of(row))
        for name, text in noted.items():
            study.set_user_attr(name, json.loads(text))
        for enqueued in waiting:
            study.enqueue_trial(enqueued.params, user_attrs=enqueued.user_attrs)


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


def _foreign_or_none(path: Path) -> list[ForeignRow]:
    if not _filled(path):
        return []
    try:
        return foreign_rows(path)
    except _BROKEN:
        return []
