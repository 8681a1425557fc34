"""Connections to databases with Optuna's tables, as `outlast.optimizer.index_sql` speaks to them; the tables are made once."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from outlast.config.store_address import StoreAddress
from outlast.errors import MissingExtra, StorageError, UsageError
from outlast.optimizer.index_build import schema_statements
from outlast.optimizer.index_sql import KNOWN_HEADS, head_of
from outlast.optimizer.view import silent

#: Whoever makes Optuna's tables holds this lock: an arbitrary number that all of ours agree on ("outlast" in ASCII).
_MAKING_TABLES = 0x6F75746C617374
#: Rows in one statement. PostgreSQL takes 65,535 parameters in all.
_AT_ONCE = 1000
#: What a URL without a driver is opened with, where SQLAlchemy's own choice is not installed.
_DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg"}
_CURE = {"postgresql": "pip install 'outlast[postgres]'"}


class StoreRefused(UsageError):
    """A store that is not written, whatever time passes: a person has to see to it."""


class StoreConnection:
    """A connection to a server, or to a SQLite file that others use as well. No transaction stays open between two rounds."""

    def __init__(self, raw: Any, dialect: str, close: Callable[[], None]) -> None:
        self._raw, self.dialect, self._close = raw, dialect, close
        self._cursor = raw.cursor()

    def begin(self, *, writing: bool) -> None:
        """Begin a transaction; servers do by themselves."""
        if self.dialect == "sqlite":
            self._raw.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

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
        """See `outlast.optimizer.index_sql.Connection`."""
        if self.dialect == "sqlite":
            return self._raw.execute(sql, parameters)
        cursor = self._raw.cursor()
        cursor.execute(sql.replace("?", "%s"), tuple(parameters))
        return cursor

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """See `outlast.optimizer.index_sql.Connection`."""
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


def connect(address: StoreAddress) -> StoreConnection:
    """Open a store, with Optuna's tables in it: made where there are none, once, however many come at the same time.

    Raises:
        StoreRefused: It is no database of Optuna's, or of a version that is not known here.
        MissingExtra: Its driver is not installed.
        Exception: What the driver says: it cannot be reached, the password is wrong, somebody holds it.
    """
    return _sqlite(address) if address.kind == "sqlite" else _server(address)


# -- SQLite --------------------------------------------------------------------------------------------------------


def _sqlite(address: StoreAddress) -> StoreConnection:
    os.makedirs(os.path.dirname(address.file), exist_ok=True)
    raw = sqlite3.connect(address.file, timeout=address.timeout, isolation_level=None, check_same_thread=False)
    try:
        raw.execute("PRAGMA synchronous = NORMAL")
        if head_of(raw) is None:
            _make_tables(raw, address)
        _require_known(head_of(raw), address)
    except BaseException as error:
        raw.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            cure = "move it away, and it is made anew; other studies that were in it are in what you moved"
            raise StoreRefused(
                f"{address} cannot be read as a database ({error}): it is left as it is", cure=cure
            ) from None
        raise
    return StoreConnection(raw, "sqlite", raw.close)


def _make_tables(raw: sqlite3.Connection, address: StoreAddress) -> None:
    statements = schema_statements()
    raw.execute("BEGIN IMMEDIATE")
    try:
        names = {str(name) for (name,) in raw.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in names:
            if names:
                raise StoreRefused(f"{address} is a database, but not one of Optuna's: it is left as it is")
            for statement in statements:
                raw.execute(statement)
        raw.execute("COMMIT")
    except BaseException:
        raw.execute("ROLLBACK")
        raise


def _require_known(head: str | None, address: StoreAddress) -> None:
    if head not in KNOWN_HEADS:
        fact = f"{address} has the tables of another Optuna ({head or 'no version'}): it is not written"
        raise StoreRefused(fact, cure="optuna storage upgrade --storage URL, or another store")


# -- servers -------------------------------------------------------------------------------------------------------


def _server(address: StoreAddress) -> StoreConnection:
    engine = engine_of(address)
    try:
        raw = engine.raw_connection()
        connection = StoreConnection(raw, engine.dialect.name, lambda: _closed(raw, engine))
        try:
            _settle(connection, address)
            if not _has_tables(engine, connection):
                _make_tables_once(engine, connection, address)
            _require_known(head_of(connection), address)
            connection.commit()
        except BaseException:
            connection.close()
            raise
    except SQLAlchemyError as error:
        raise getattr(error, "orig", None) or error from None
    return connection


def engine_of(address: StoreAddress) -> Engine:
    """SQLAlchemy's engine for a server. It shows no values, and keeps no connection.

    Raises:
        UsageError: It is no URL that SQLAlchemy knows.
        MissingExtra: The driver is not installed.
    """
    try:
        url = make_url(address.url)
        known = url.drivername in _DRIVERS and not _installed("psycopg2")
        if known or url.drivername == "postgres":
            url = url.set(drivername=f"postgresql+{_DRIVERS[url.drivername]}")
        options: dict[str, Any] = {}
        if url.get_backend_name() in ("postgresql", "mysql", "mariadb"):
            options["connect_timeout"] = max(1, round(address.timeout))
        if url.drivername == "postgresql+psycopg":
            options["prepare_threshold"] = None  # what PgBouncer hands to another server knows no prepared statements
        return sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    except ImportError as error:
        kind = address.url.partition("://")[0].partition("+")[0]
        raise MissingExtra(
            f"{kind} needs a driver: {error}", cure=_CURE.get(kind, "pip install it beside outlast")
        ) from None
    except SQLAlchemyError as error:
        raise StoreRefused(f"{address} is no address of a database: {address.without_secrets(error)}") from None


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _closed(raw: Any, engine: Engine) -> None:
    try:
        raw.close()
    finally:
        engine.dispose()


def _settle(connection: StoreConnection, address: StoreAddress) -> None:
    """No statement waits for somebody else's lock for ever; MySQL takes quotes for names, as the others do."""
    seconds = max(1, round(address.timeout))
    if connection.dialect == "postgresql":
        connection.execute(f"SET lock_timeout = '{seconds}s'")
    elif connection.dialect in ("mysql", "mariadb"):
        connection.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        connection.execute(f"SET SESSION innodb_lock_wait_timeout = {seconds}")
    connection.commit()


def _has_tables(engine: Engine, connection: StoreConnection) -> bool:
    """Asked through our own connection where that is known how: a server has few of them for many who begin at once."""
    if connection.dialect == "postgresql":
        return bool(connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()[0])
    return sqlalchemy.inspect(engine).has_table("alembic_version")


def _make_tables_once(engine: Engine, connection: StoreConnection, address: StoreAddress) -> None:
    """Under a lock of the server's, which it lets go of with our connection."""
    take, let_go = {
        "postgresql": (f"SELECT pg_advisory_lock({_MAKING_TABLES})", f"SELECT pg_advisory_unlock({_MAKING_TABLES})"),
        "mysql": ("SELECT GET_LOCK('outlast-tables', 60)", "SELECT RELEASE_LOCK('outlast-tables')"),
    }.get("mysql" if connection.dialect == "mariadb" else connection.dialect, ("SELECT 1", "SELECT 1"))
    connection.execute("SET lock_timeout = '60s'" if connection.dialect == "postgresql" else "SELECT 1")
    connection.execute(take)
    try:
        if not _has_tables(engine, connection):
            with silent():
                storage = RDBStorage(engine.url.render_as_string(hide_password=False), {"poolclass": NullPool})
                storage.remove_session()
                storage.engine.dispose()
    finally:
        connection.execute(let_go)
    connection.commit()
    _settle(connection, address)


def first_line(error: BaseException) -> str:
    """What a driver says, in one line."""
    text = " ".join(str(error).strip().splitlines()[:1]) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:299]}…"


def unreachable(address: StoreAddress, error: BaseException) -> StorageError:
    """The error for a store that cannot be opened now."""
    return StorageError(f"{address} cannot be opened: {address.without_secrets(first_line(error))}")
