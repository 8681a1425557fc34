"""Statements as `outlast.optimizer.index.index_sql` makes them, said to a server or to a SQLite file that others use as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Rows in one statement. PostgreSQL takes 65,535 parameters in all.
_AT_ONCE = 1000
#: So long, in seconds, one statement may take, and a transaction in which nothing is said.
_STATEMENT_SECONDS = 60.0


class StoreConnection:
    """A connection to a server, or to a SQLite file that others use as well. No transaction stays open between two rounds."""

    def __init__(self, raw: Any, dialect: str, close: Callable[[], None], timeout: float = 10.0) -> None:
        self._raw, self.dialect, self._close, self.timeout = raw, dialect, close, timeout
        self._cursor = raw.cursor()

    def begin(self, *, writing: bool) -> None:
        """Begin a transaction; servers do by themselves, and there nothing in it takes for ever."""
        if self.dialect == "sqlite":
            self._raw.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        elif self.dialect == "postgresql":
            self.limit(max(1.0, self.timeout))

    def limit(self, lock: float) -> None:
        """PostgreSQL: how many seconds this transaction waits for a lock, a statement lasts, and nothing is said in it.

        A host that dies in a transaction lets go of its locks so soon. The limits end with the transaction: behind PgBouncer
        the connection is somebody else's next.
        """
        limits = {
            "lock_timeout": lock,
            "statement_timeout": lock + _STATEMENT_SECONDS,
            "idle_in_transaction_session_timeout": _STATEMENT_SECONDS,
        }
        asked = ", ".join(f"set_config('{name}', '{round(1000 * seconds)}', true)" for name, seconds in limits.items())
        self.execute(f"SELECT {asked}")

    def commit(self) -> None:
        """Make it visible."""
        self._raw.commit()

    def rollback(self) -> None:
        """Take it back."""
        self._raw.rollback()

    def close(self) -> None:
        """Let go of the store."""
        self._close()

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """See `outlast.optimizer.index.known_tables.Connection`."""
        if self.dialect == "sqlite":
            return self._raw.execute(sql, parameters)
        cursor = self._raw.cursor()
        cursor.execute(sql.replace("?", "%s"), tuple(parameters))
        return cursor

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """See `outlast.optimizer.index.known_tables.Connection`."""
        if self.dialect == "sqlite":
            return self._raw.executemany(sql, parameters)
        rows = [tuple(each) for each in parameters]
        head, values, group = sql.replace("?", "%s").partition(" VALUES ")
        if not values:
            self._cursor.executemany(head, rows)
            return self._cursor
        for start in range(0, len(rows), _AT_ONCE):  # one statement for many rows: a server is a journey away
            part = rows[start : start + _AT_ONCE]
            flat = [value for row in part for value in row]
            self._cursor.execute(f"{head} VALUES {', '.join([group] * len(part))}", flat)
        return self._cursor

    def insert(self, sql: str, parameters: Any, key: str) -> int:
        """Insert a row. Returns the number that the database gave it."""
        if self.dialect == "postgresql":
            return int(self.execute(f"{sql} RETURNING {key}", parameters).fetchone()[0])
        return int(self.execute(sql, parameters).lastrowid or 0)

    @property
    def for_update(self) -> str:
        """What a query ends with that keeps others from what it found; SQLite keeps them out by itself."""
        return "" if self.dialect == "sqlite" else " FOR UPDATE"
