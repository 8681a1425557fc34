"""A study's rows in a store that other studies may share: opened, read back, looked at, written.

The study has its own row there, by its name, with a note of whose it is. A study of that name that is not this one is left
alone. Whoever opens the rows to write them puts its mark there; who finds another's mark writes no more until it has asked
whether the study is still its own, and has read everything again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.config.store_address import StoreAddress
from outlast.optimizer.index.index_rows import ForeignRow, IndexRow, directions_of
from outlast.optimizer.index.index_sql import Tables
from outlast.optimizer.index.known_tables import INDEX, METRIC_NAMES, IndexBroken, NotOurs
from outlast.optimizer.stores.store_connection import connect
from outlast.optimizer.stores.store_contract import Objectives, Superseded, Whose, Writing, taken_by_another

#: Of an attribute, in Optuna's tables on a server (``VARCHAR(512)``); SQLite takes any.
_LONGEST_NAME = 512


class StoreSession(Protocol):
    """A study's rows in an open store. After an error it is closed, and another one opened."""

    written: dict[int, IndexRow]  # what it holds
    objectives: Objectives
    missing: int  # rows that were written and were not there any more when it was opened
    left_out: set[str]  # names that the store cannot hold, and what they name with them

    def look(self) -> list[ForeignRow]:
        """The rows of the study that are not ours."""

    def write(self, writing: Writing, fence: Callable[[], object]) -> None:
        """Write it, in one transaction."""

    def close(self) -> None:
        """Let go of the store."""


class SqlSession:
    """The rows in a database.

    Args:
        address: The database.
        settings: The study file.
        whose: Which study is meant, of those that may have its name.
        expected: What the rows should say, which tells whose an attribute is.
        fence: Raises `LeaseLost` when the study is somebody else's by now.

    Raises:
        StoreRefused: It is not ours to write.
        Exception: What the driver says.
    """

    def __init__(
        self,
        address: StoreAddress,
        settings: Settings,
        whose: Whose,
        expected: Mapping[int, IndexRow],
        fence: Callable[[], object],
    ) -> None:
        self._address, self._mark, self.missing = address, uuid.uuid4().hex[:12], 0
        self.left_out: set[str] = set()
        self._connection = connect(address)
        try:
            self._connection.begin(writing=True)
            self._tables = self._opened(settings, whose)
            self.missing = max(0, self._tables.noted_rows - len(self._tables.ids))
            self.written = self._read(expected)
            self.objectives = self._tables.directions(), self._tables.metric_names()
            fence()
            self._connection.commit()
        except BaseException:
            self.close()
            raise

    def _opened(self, settings: Settings, whose: Whose) -> Tables:
        """Our study's rows, with our mark on them; an empty study where there is none."""
        connection, name = self._connection, settings.name
        query = f"SELECT study_id FROM studies WHERE study_name = ?{connection.for_update}"  # noqa: S608
        if connection.execute(query, (name,)).fetchone() is None:
            return self._made(settings, whose)
        try:
            tables = Tables(connection, name)
        except NotOurs as error:
            raise taken_by_another(self._address, name) from error
        found = str(tables.notes.get("study"))
        if found != whose.identity and found in whose.earlier:
            rename = "UPDATE studies SET study_name = ? WHERE study_name = ?"
            connection.execute(rename, (whose.earlier[found], name))
            return self._made(settings, whose)
        if found != whose.identity:
            raise taken_by_another(self._address, name)
        tables.note(writer=self._mark)
        return tables

    def _made(self, settings: Settings, whose: Whose) -> Tables:
        note = {"id": uuid.uuid4().hex[:12], "rows": 0, "study": whose.identity, "writer": self._mark}
        notes = {METRIC_NAMES: [metric.name for metric in settings.metrics], INDEX: note}
        return Tables.create(self._connection, settings.name, directions_of(settings), notes)

    def _read(self, expected: Mapping[int, IndexRow]) -> dict[int, IndexRow]:
        tables = self._tables
        try:
            written = tables.read(expected)
        except IndexBroken:
            tables.remove(list(tables.ids))
            return {}
        beyond = sorted(set(tables.ids) - set(expected))
        if beyond:
            tables.remove(beyond)
        return {number: row for number, row in written.items() if number in tables.ids}

    def look(self) -> list[ForeignRow]:
        """See `StoreSession`."""
        self._connection.begin(writing=False)
        self._still_ours()
        self._tables.reload_ids()
        if len(self._tables.ids) < self._tables.noted_rows:
            raise IndexBroken("rows that were written are missing")
        foreign = self._tables.foreign()
        self._connection.commit()
        return foreign

    def write(self, writing: Writing, fence: Callable[[], object]) -> None:
        """See `StoreSession`."""
        self._connection.begin(writing=True)
        self._still_ours(self._connection.for_update)
        tables = self._tables
        if writing.refused:
            for row in tables.foreign():
                if row.key in writing.refused:
                    tables.refuse(row, writing.refused[row.key])
        if writing.objectives != self.objectives:
            tables.restate(*writing.objectives)
        rows = [self._fitting(row) for row in writing.rows]
        tables.write(rows, self.written)
        tables.note_study(dict(self._named(writing.noted.items())))
        fence()
        self._connection.commit()
        self.objectives = writing.objectives
        self.written.update((row.number, row) for row in rows)

    def _fitting(self, row: IndexRow) -> IndexRow:
        """The row without what a server has no room for: one name too long would keep all others out for ever."""
        attrs, system = self._named(row.attrs), self._named(row.system)
        return row if (attrs, system) == (row.attrs, row.system) else replace(row, attrs=attrs, system=system)

    def _named(self, pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        pairs = tuple(pairs)
        if self._connection.dialect == "sqlite":
            return pairs
        unfit = {name for name, _ in pairs if len(name) > _LONGEST_NAME or "\0" in name}
        self.left_out |= unfit
        return tuple(pair for pair in pairs if pair[0] not in unfit)

    def _still_ours(self, locked: str = "") -> None:
        note = self._tables.read_note(locked)
        if note is None:
            raise IndexBroken("the study is gone")
        if note.get("writer") != self._mark:
            raise Superseded

    def close(self) -> None:
        """See `StoreSession`."""
        self._connection.close()


def open_session(
    address: StoreAddress,
    settings: Settings,
    whose: Whose,
    expected: Mapping[int, IndexRow],
    fence: Callable[[], object],
) -> StoreSession:
    """The study's rows in a store of any kind. See `SqlSession`."""
    if address.kind in ("journal", "redis"):
        from outlast.optimizer.stores.store_journal import JournalSession

        return JournalSession(address, settings, whose, expected, fence)
    return SqlSession(address, settings, whose, expected, fence)


def chunks(rows: Iterable[IndexRow], size: int) -> list[list[IndexRow]]:
    """The rows in the order of their numbers, in parts."""
    ordered = sorted(rows, key=lambda row: row.number)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]
