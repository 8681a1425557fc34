"""Making the index file anew, and putting it in the place of what lies there."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from outlast._system.files import remove, rename, write_atomic
from outlast._system.observed import see
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.optimizer.index.empty_index import empty_schema
from outlast.optimizer.index.index_check import SIDE_FILES, foreign_or_none
from outlast.optimizer.index.index_rows import ForeignRow, IndexRow, RowMaker, directions_of, noted_texts
from outlast.optimizer.index.index_sql import Tables
from outlast.optimizer.index.known_tables import INDEX, KNOWN_HEADS, METRIC_NAMES

#: One build at a time in a process: a writer that notices a missing file must not meet a `repair` that makes it.
BUILDING = threading.RLock()
#: The indexes that this process built. A writer that meets any other in the place of its own has lost the study.
BUILT_HERE: set[str] = set()


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
        waiting = [row for row in foreign_or_none(target) if row.waiting and row.key not in claimed]
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
            with contextlib.suppress(FileNotFoundError):  # a superseded one has just ended its transaction
                rename(side, f"{aside}{suffix}")
    if not path.exists():
        return None
    see("link", str(path), target=str(aside))
    try:
        os.link(path, aside)
    except OSError:
        rename(path, aside)
    return aside


def _fresh(settings: Settings, rows: list[IndexRow], waiting: list[ForeignRow], noted: Mapping[str, str]) -> bytes:
    """The bytes of a new index. Built in a temporary folder: SQLite's own files never lie beside the study's."""
    head, empty = empty_schema()
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "index.db")
        with open(file, "wb") as target:
            target.write(empty)
        if head in KNOWN_HEADS:
            _fill(file, settings, rows, waiting, noted)
        else:
            from outlast.optimizer.index.index_by_optuna import fill_through_optuna

            fill_through_optuna(file, settings, rows, waiting, noted)
        with open(file, "rb") as whole:
            return whole.read()


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
