"""Connections to databases with Optuna's tables, as `outlast.optimizer.index.index_sql` speaks to them; tables are made once."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from outlast.config.store_address import StoreAddress
from outlast.errors import MissingExtra, StorageError, UsageError
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.index.empty_index import schema_statements
from outlast.optimizer.index.known_tables import KNOWN_HEADS, head_of
from outlast.optimizer.stores.store_statements import StoreConnection

#: Whoever makes Optuna's tables holds this lock: an arbitrary number that all of ours agree on ("outlast" in ASCII).
_MAKING_TABLES = 0x6F75746C617374
#: libpq's options for a server that went away without a word, which TCP alone notices after hours.
_KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
#: What a URL without a driver is opened with, where SQLAlchemy's own choice is not installed.
_DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg"}
_CURE_ADDRESS = "scheme://user:${NAME}@host:port/database, its password in the variable NAME of the environment"
_CURE = {"postgresql": "pip install 'outlast[postgres]'"}


class StoreRefused(UsageError):
    """A store that is not written, whatever time passes: a person has to see to it."""


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
        require_known(head_of(raw), address)
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


def require_known(head: str | None, address: StoreAddress) -> None:
    """Refuse tables whose version is not known here.

    Raises:
        StoreRefused: They are an older or a later Optuna's, or another program's.
    """
    if head in KNOWN_HEADS:
        return
    if head is None or not re.fullmatch(r"v\d+\.\d+\.\d+\.\w+", head):
        fact = f"{address} is a database, but not one of Optuna's: it is left as it is"
        raise StoreRefused(fact, cure="another database, or a schema of its own in this one")
    fact = f"{address} has the tables of another Optuna ({head}): it is not written"
    older = _numbers(head) < max(map(_numbers, KNOWN_HEADS))
    cure = "optuna storage upgrade --storage URL, or another store" if older else "another store, or a later Outlast"
    raise StoreRefused(fact, cure=cure)


def _numbers(head: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", head)))


def looking_at(address: StoreAddress) -> StoreConnection:
    """Open a database that has Optuna's tables, to look at it only: nothing is made there.

    Raises:
        UsageError, MissingExtra: See `engine_of`.
        Exception: What the driver says.
    """
    if address.kind == "sqlite":
        where = f"{Path(address.file).as_uri()}?mode=ro"
        raw = sqlite3.connect(where, uri=True, timeout=address.timeout, isolation_level=None)
        return StoreConnection(raw, "sqlite", raw.close)
    engine = engine_of(address)
    try:
        there = engine.raw_connection()
    except BaseException:
        engine.dispose()
        raise
    connection = StoreConnection(there, engine.dialect.name, lambda: _closed(there, engine), address.timeout)
    _settle(connection)
    return connection


# -- servers -------------------------------------------------------------------------------------------------------


def _server(address: StoreAddress) -> StoreConnection:
    engine = engine_of(address)
    try:
        raw = engine.raw_connection()
        connection = StoreConnection(raw, engine.dialect.name, lambda: _closed(raw, engine), address.timeout)
        try:
            _settle(connection)
            if not _has_tables(engine, connection):
                _make_tables_once(engine, connection, address)
            require_known(head_of(connection), address)
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
        if url.drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
            options |= {name: value for name, value in _KEEPALIVE.items() if name not in url.query}
        return sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    except ImportError as error:
        kind = address.url.partition("://")[0].partition("+")[0]
        raise MissingExtra(
            f"{kind} needs a driver: {error}", cure=_CURE.get(kind, "pip install it beside outlast")
        ) from None
    except SQLAlchemyError as error:
        raise StoreRefused(f"{address} is no address of a database: {address.without_secrets(error)}") from None
    except ValueError:  # a port that is no number; what it says holds parts of the password
        raise StoreRefused(f"{address} is no address of a database", cure=_CURE_ADDRESS) from None


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _closed(raw: Any, engine: Engine) -> None:
    try:
        raw.close()
    finally:
        engine.dispose()


def _settle(connection: StoreConnection) -> None:
    """No statement waits for somebody else's lock for ever; MySQL takes quotes for names, as the others do."""
    connection.begin(writing=True)
    if connection.dialect in ("mysql", "mariadb"):
        connection.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        connection.execute(f"SET SESSION innodb_lock_wait_timeout = {max(1, round(connection.timeout))}")


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
    if connection.dialect == "postgresql":
        connection.limit(60.0)
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
    _settle(connection)


def first_line(error: BaseException) -> str:
    """What a driver says, in one line."""
    text = " ".join(str(error).strip().splitlines()[:1]) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:299]}…"


def unreachable(address: StoreAddress, error: BaseException) -> StorageError:
    """The error for a store that cannot be opened now."""
    return StorageError(f"{address} cannot be opened: {address.without_secrets(first_line(error))}")
