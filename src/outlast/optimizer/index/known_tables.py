"""Optuna's tables as far as they are known here: schema versions, columns, and how a value stands in one."""

from __future__ import annotations

import math
import sqlite3
from typing import Any, Protocol

#: The schema versions that our SQL was checked against.
KNOWN_HEADS = frozenset({"v3.2.0.a"})
#: The system attribute of the study: the index's own name and how many rows of ours it holds.
INDEX = "outlast:index"
#: Optuna's own system attribute of the study.
METRIC_NAMES = "study:metric_names"
#: The columns of an attribute. ``key`` is a word of some databases' own, and quoted everywhere.
KEYED = '"key", value_json'


class Connection(Protocol):
    """As much of a connection as is asked of it here: `sqlite3.Connection`, or one to a server
    (`outlast.optimizer.stores.store_statements`). A parameter's place is a ``?``; a row that is there already is refused.
    """

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """A cursor with what came of one statement."""

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """One statement for each row of parameters."""


class IndexBroken(Exception):
    """The index is not what was written; it has to be built anew."""


class NotOurs(IndexBroken):
    """A study of this name that has no note of ours: somebody else's."""


def head_of(connection: Connection) -> str | None:
    """The schema version, or ``None`` where there is none."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if row is None else str(row[0])


def inserted(connection: Connection, sql: str, parameters: Any, key: str) -> int:
    """Insert a row. Returns the number that the database gave it."""
    if isinstance(connection, sqlite3.Connection):
        return int(connection.execute(sql, parameters).lastrowid or 0)
    return int(connection.insert(sql, parameters, key))  # type: ignore[attr-defined]


def typed(value: float) -> tuple[float | None, str]:
    """A value as Optuna stores it: with a word for what is no number."""
    if math.isnan(value):
        return None, "NAN"
    if math.isinf(value):
        return None, "INF_POS" if value > 0 else "INF_NEG"
    return value, "FINITE"


def untyped(value: float | None, kind: str) -> float:
    """A value that `typed` wrote."""
    return {"NAN": math.nan, "INF_POS": math.inf, "INF_NEG": -math.inf}.get(kind, value)  # type: ignore[return-value]
