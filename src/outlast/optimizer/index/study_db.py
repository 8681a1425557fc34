"""The index, ``study.db``: the study as any Optuna tool opens it. Written behind; nothing ever waits for it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.errors import LeaseLost
from outlast.optimizer.index.index_build import BUILDING, BUILT_HERE, build_index
from outlast.optimizer.index.index_rows import CLAIM, ForeignRow
from outlast.optimizer.index.index_sql import Tables
from outlast.optimizer.index.known_tables import KNOWN_HEADS, IndexBroken, head_of
from outlast.optimizer.index.written_behind import BUSY_SECONDS, PATIENCE, WrittenBehind
from outlast.optimizer.proposals import Draw

#: Seconds between two writings of a whole file, where its schema is not known here.
REPLACE_SECONDS = 30.0


def claimed(draw: Draw, row: ForeignRow) -> Draw:
    """The proposal with a note that it comes from this row of the index: the row becomes the trial's."""
    return replace(draw, system_attrs={**draw.system_attrs, CLAIM: row.key})


class IndexWriter(WrittenBehind):
    """Keeps the index file in step, in one transaction for everything that changed. A broken or deleted file is built anew.

    See `WrittenBehind` for how it is used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: Settings,
        *,
        interval: float = 0.5,
        poll: float = 2.0,
        fence: Callable[[], object] | None = None,
    ) -> None:
        self._path = Path(path)
        super().__init__(self._path.name, settings, interval=interval, poll=poll, fence=fence)
        self._building = False  # anew, because the file was broken: that takes as long as it takes
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._tables: Tables | None = None
        self._version = -1
        self._index_id: str | None = None
        self._replace_again_at = 0.0
        self._foreign: list[ForeignRow] = []

    @property
    def _gets_on(self) -> bool:
        return self._building or not self._failures

    def attempt(self) -> None:
        """One round; what is broken is built anew."""
        try:
            self._round()
        except (_IndexTaken, LeaseLost):
            self._retired = True
            self._tell("taken", f"{self._path.name} was replaced by another program; this one writes it no more")
        except (IndexBroken, sqlite3.Error, OSError, ValueError, RuntimeError) as error:
            # RuntimeError: who decides changed a trial while its row was made; it is made again.
            self._failures += 1
            self._building = _is_broken(error)
            if not _is_busy(error):
                self.disconnect()
            if _is_broken(error):
                self._tell("broken", f"{self._path.name} was broken ({error}); it is built anew from the ledger")
                self._rebuild()
            elif self._failures == PATIENCE:
                reason = "is held by another program" if _is_busy(error) else f"cannot be written ({error})"
                self._tell(
                    type(error).__name__ + str(error),
                    f"{self._path.name} {reason}: it is behind for now; every result is safe in the ledger",
                )
        else:
            self._failures, self._building = 0, False

    def _round(self) -> None:
        """One look and one transaction."""
        tables = self._connect()
        connection = self._connection
        if tables is None or connection is None:
            self._replace()
            return
        changes, refused, objectives = self._wanted()
        noted = self._to_note()
        writes = bool(changes or refused or noted or objectives != self._objectives)
        if not writes and _version(connection) == self._version:
            return
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        ids, notes = dict(tables.ids), dict(tables.notes)
        try:
            if (version := _version(connection)) != self._version:  # somebody else wrote
                before = len(tables.ids)
                tables.reload_ids()
                if len(tables.ids) < before:
                    raise IndexBroken("rows that were written are missing")
                self._foreign = tables.foreign()
            for row in self._foreign:
                if row.key in refused:
                    tables.refuse(row, refused[row.key])
            if objectives != self._objectives:
                tables.restate(*objectives)
            if changes:
                tables.write(changes.values(), self._written)
            tables.note_study(noted)
            self._fence()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            tables.ids, tables.notes = ids, notes  # rows that were taken back are not missing
            self._version = -1
            raise
        self._version, self._objectives = version, objectives
        self._written.update(changes)
        self._done(changes, refused, self._foreign)
        self._has_noted(noted)

    # -- the file --------------------------------------------------------------------------------------------------

    def _connect(self) -> Tables | None:
        """The open index; made anew if it is gone. ``None``: it has a schema that is not known here."""
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            with BUILDING:
                if not self._path.exists():  # somebody in this process may have been about to put it there
                    if self._inode is not None:
                        self._tell("deleted", f"{self._path.name} was deleted; it is built anew from the ledger")
                    self._rebuild()
            stat = os.stat(self._path)
        if self._tables is not None and self._inode == (stat.st_dev, stat.st_ino):
            return self._tables
        self.disconnect()
        if stat.st_size == 0:
            raise IndexBroken("it is empty")
        self._connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        head = head_of(self._connection)
        if head is None:
            raise IndexBroken("it has no schema")
        if head not in KNOWN_HEADS:
            self.disconnect()
            return None
        tables = Tables(self._connection, self._settings.name)
        if self._index_id not in (None, tables.index_id) and tables.index_id not in BUILT_HERE:
            raise _IndexTaken
        if len(tables.ids) < tables.noted_rows:
            raise IndexBroken("rows that were written are missing")
        with self._wake:
            known = {*self._rows, *self._as_written}
            trusted = bool(self._as_written) and self._inode is None and tables.ids.keys() >= self._as_written.keys()
        if foreign_to_ledger := sorted(set(tables.ids) - known):
            raise IndexBroken(f"it has a trial {foreign_to_ledger[0]} that the ledger does not have")
        written = {} if trusted else tables.read(self._every_row())
        self._read_back(written, (tables.directions(), tables.metric_names()))
        self._index_id = tables.index_id
        self._inode = (stat.st_dev, stat.st_ino)
        self._version = -1
        self._tables = tables
        return tables

    def _replace(self) -> None:
        """A schema of a later Optuna: the file is written as a whole, by Optuna, and not often."""
        every = self._every_row()
        with self._wake:
            changes = {number: self._rows[number] for number in self._dirty}
            rows = [every[number] for number in sorted(every)]
            noted, unsaid = dict(self._noted), bool(self._unsaid)
        now = time.monotonic()
        if not (changes or unsaid) or (now < self._replace_again_at and not self._at_once and not self._closing):
            return
        build_index(self._path, self._settings, rows, noted=noted, keep_old=False, fence=self._fence)
        self._replace_again_at = time.monotonic() + REPLACE_SECONDS
        self._done(changes, {}, [])
        self._has_noted(noted)

    def _rebuild(self) -> None:
        self.disconnect()
        try:
            rows = [row for _, row in sorted(self._every_row().items())]
            build_index(self._path, self._settings, rows, noted=dict(self._noted), fence=self._fence)
        except (OSError, sqlite3.Error, RuntimeError) as error:
            self._building = False
            self._tell(
                f"rebuild {error}", f"{self._path.name} cannot be built ({error}); every result is safe in the ledger"
            )

    def disconnect(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._tables = None, None


class _IndexTaken(Exception):
    """Another coordinator put its own index in place: whatever is known here is out of date."""


def _version(connection: sqlite3.Connection) -> int:
    """A number that changes whenever another connection wrote."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error))


def _is_broken(error: BaseException) -> bool:
    """Whether the content is at fault, not the circumstances: no such table, malformed, not a database, rows gone."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such")
    return isinstance(error, (IndexBroken, sqlite3.DatabaseError, ValueError))
