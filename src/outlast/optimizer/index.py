"""The index, ``study.db``: the study as any Optuna tool opens it. Written behind; nothing ever waits for it."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from outlast.config.settings import Settings
from outlast.core.records import Trial
from outlast.errors import LeaseLost
from outlast.optimizer.index_build import BUILDING, BUILT_HERE, build_index
from outlast.optimizer.index_rows import CLAIM, ForeignRow, IndexRow, RowMaker, directions_of
from outlast.optimizer.index_sql import KNOWN_HEADS, IndexBroken, Tables, head_of
from outlast.optimizer.proposals import Draw

#: How long one attempt waits for a lock, in seconds. Short: a writer that waits for its commit keeps new readers out.
BUSY_SECONDS = 0.5
#: Pauses between attempts after a failure, in seconds.
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: Seconds between two writings of a whole file, where its schema is not known here.
REPLACE_SECONDS = 30.0
#: Failures in a row before people are told: readers hold a lock for a moment all the time.
PATIENCE = 4


def claimed(draw: Draw, row: ForeignRow) -> Draw:
    """The proposal with a note that it comes from this row of the index: the row becomes the trial's."""
    return dataclasses.replace(draw, system_attrs={**draw.system_attrs, CLAIM: row.key})


class IndexWriter:
    """Keeps the index file in step from a thread of its own.

    `update` takes what a trial is now and returns at once; the thread writes everything that changed in one
    transaction, at most once per `interval`. A file that is busy, full, read-only or broken is tried again later
    (broken or deleted: built anew) and told about once in `warnings`. Call `update` with every trial before `start`:
    rows that people enqueued and that the ledger has taken in already are known from it.

    Args:
        interval: Seconds between two transactions.
        poll: Seconds between two looks for rows that somebody enqueued, while there is nothing to write.
        fence: Raises `LeaseLost` when the study is somebody else's by now; asked right before anything becomes visible.
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
        self.warnings: list[str] = []  # things to tell people, oldest first; the caller empties it
        self._path, self._fence = Path(path), fence or (lambda: None)
        self._settings = settings
        self._maker = RowMaker(settings)
        self._interval, self._poll = interval, poll
        self._wake = threading.Condition()
        self._rows: dict[int, IndexRow] = {}  # what the file should hold
        self._dirty: set[int] = set()
        self._refused: dict[str, str] = {}
        self._found: list[ForeignRow] = []
        self._handed_out: set[str] = set()
        self._urgent = False
        self._closing = False
        self._failures = 0
        self._building = False  # anew, because the file was broken: that takes as long as it takes
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        # The thread's own:
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._tables: Tables | None = None
        self._written: dict[int, IndexRow] = {}
        self._version = -1
        self._objectives: tuple[list[str], list[str]] = ([], [])  # directions and names, as the file has them
        self._index_id: str | None = None
        self._retired = False
        self._at_once = False
        self._replace_again_at = 0.0
        self._foreign: list[ForeignRow] = []

    # -- for the coordinator: returns at once ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="outlast-index", daemon=True)
        self._thread.start()

    def update(self, trials: Iterable[Trial], curves: Mapping[int, Mapping[int, float]] | None = None) -> None:
        """Say what these trials, which changed, are now; `curves`: number → step → value of the attempts that run."""
        rows = [self._maker.row(trial, (curves or {}).get(trial.number)) for trial in trials]
        with self._wake:
            for row in rows:
                if self._rows.get(row.number) != row:
                    self._rows[row.number] = row
                    self._dirty.add(row.number)
                if row.claim:
                    self._handed_out.add(row.claim)
            self._wake.notify_all()

    def take_foreign(self) -> list[ForeignRow]:
        """Rows that people enqueued since the last call. Make each a trial (`claimed`) or `refuse` it."""
        with self._wake:
            found, self._found = self._found, []
            return found

    def refuse(self, row: ForeignRow, reason: str) -> None:
        """An enqueued row does not fit: it is marked as failed, with the reason."""
        with self._wake:
            self._refused[row.key] = reason
            self._wake.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until the file holds everything said so far; ``False`` if it does not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._wake:
            self._urgent = True
            self._wake.notify_all()
            while self._behind and self._alive:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._wake.wait(left)
            return not self._behind

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is left, within `timeout` seconds, and end the thread. Returns whether all of it was written.

        Where nothing stands in the way but a slow machine, as when a broken file is built anew, it is given ten times as long.
        """
        done = self.flush(timeout) or ((self._building or not self._failures) and self.flush(10 * timeout))
        if not done and timeout and not self.warnings:
            self._tell(
                "behind", f"{self._path.name} is behind the ledger: the next command that runs the study mends it"
            )
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=BUSY_SECONDS * 4 + 1)
        return done

    # -- the thread ------------------------------------------------------------------------------------------------

    @property
    def _behind(self) -> bool:
        return bool(self._dirty or self._refused)

    @property
    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                self._attempt()
                with self._wake:
                    self._wake.notify_all()
                    if self._closing or self._retired:
                        return
                    self._rest()
                    if self._closing and not self._behind:
                        return
        finally:
            self._disconnect()
            with self._wake:
                self._thread = None
                self._wake.notify_all()

    def _rest(self) -> None:
        """Wait until there is something to do, and not too soon after the last time."""
        pause = PAUSES[min(self._failures, len(PAUSES)) - 1] if self._failures else self._interval
        self._wake.wait_for(lambda: self._urgent or self._closing, pause)
        if not self._failures:
            self._wake.wait_for(lambda: self._urgent or self._closing or self._behind, self._poll)
        self._at_once, self._urgent = self._urgent, False

    def _attempt(self) -> None:
        try:
            self._round()
        except (_IndexTaken, LeaseLost):
            self._retired = True
            self._tell("taken", f"{self._path.name} was replaced by another program; this one writes it no more")
        except (IndexBroken, sqlite3.Error, OSError, ValueError) as error:
            self._failures += 1
            self._building = _is_broken(error)
            if not _is_busy(error):
                self._disconnect()
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
        with self._wake:
            changes = {number: self._rows[number] for number in self._dirty}
            refused = dict(self._refused)
            objectives = directions_of(self._settings), [metric.name for metric in self._settings.metrics]
        writes = bool(changes or refused or objectives != self._objectives)
        if not writes and _version(connection) == self._version:
            return
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        ids, noted_rows = dict(tables.ids), tables.noted_rows
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
            self._fence()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            tables.ids, tables.noted_rows = ids, noted_rows  # rows that were taken back are not missing
            self._version = -1
            raise
        self._version, self._objectives = version, objectives
        self._written.update(changes)
        self._done(changes, refused, self._foreign)

    def _done(self, changes: Mapping[int, IndexRow], refused: Mapping[str, str], foreign: list[ForeignRow]) -> None:
        with self._wake:
            for number, row in changes.items():
                if self._rows[number] is row:
                    self._dirty.discard(number)
            for key in refused:
                self._refused.pop(key, None)
            for other in foreign:
                if other.waiting and other.key not in self._handed_out:
                    self._handed_out.add(other.key)
                    self._found.append(other)
        others = [row for row in foreign if not row.waiting and row.key not in self._handed_out]
        if others:
            numbers = ", ".join(str(row.number) for row in others[:5])
            self._tell(
                "foreign",
                f"{self._path.name} holds {len(others)} rows that Outlast did not write (number {numbers}): they are "
                "shown there and change nothing here; use enqueue_trial to ask for a configuration",
            )

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
        self._disconnect()
        if stat.st_size == 0:
            raise IndexBroken("it is empty")
        self._connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        head = head_of(self._connection)
        if head is None:
            raise IndexBroken("it has no schema")
        if head not in KNOWN_HEADS:
            self._disconnect()
            return None
        tables = Tables(self._connection, self._settings.name)
        if self._index_id not in (None, tables.index_id) and tables.index_id not in BUILT_HERE:
            raise _IndexTaken
        if len(tables.ids) < tables.noted_rows:
            raise IndexBroken("rows that were written are missing")
        with self._wake:
            expected = dict(self._rows)
        self._written = tables.read(expected)
        if foreign_to_ledger := sorted(set(tables.ids) - set(self._rows)):
            raise IndexBroken(f"it has a trial {foreign_to_ledger[0]} that the ledger does not have")
        self._objectives = tables.directions(), tables.metric_names()
        self._index_id = tables.index_id
        self._inode = (stat.st_dev, stat.st_ino)
        self._version = -1
        with self._wake:
            self._dirty |= {n for n, row in self._rows.items() if self._written.get(n) != row}
        self._tables = tables
        return tables

    def _replace(self) -> None:
        """A schema of a later Optuna: the file is written as a whole, by Optuna, and not often."""
        with self._wake:
            changes = {number: self._rows[number] for number in self._dirty}
            rows = [self._rows[number] for number in sorted(self._rows)]
        now = time.monotonic()
        if not changes or (now < self._replace_again_at and not self._at_once and not self._closing):
            return
        build_index(self._path, self._settings, rows, keep_old=False, fence=self._fence)
        self._replace_again_at = time.monotonic() + REPLACE_SECONDS
        self._done(changes, {}, [])

    def _rebuild(self) -> None:
        self._disconnect()
        with self._wake:
            rows = [self._rows[number] for number in sorted(self._rows)]
        try:
            build_index(self._path, self._settings, rows, fence=self._fence)
        except (OSError, sqlite3.Error) as error:
            self._building = False
            self._tell(
                f"rebuild {error}", f"{self._path.name} cannot be built ({error}); every result is safe in the ledger"
            )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._tables = None, None

    def _tell(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.warnings.append(text)


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
