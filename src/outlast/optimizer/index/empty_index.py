"""The tables of an empty index, as one version of Optuna makes them: making them anew loads SQLAlchemy and Alembic.

They stand in ``empty_index.sql``, whose first line says of which version they are. Any other that is installed is asked itself.
After a change of Optuna's: ``python -m outlast.optimizer.index.empty_index`` writes the file anew.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sqlite3
import tempfile
from functools import lru_cache
from pathlib import Path

from outlast.optimizer.index.known_tables import head_of

_FILE = Path(__file__).with_suffix(".sql")


def known_schema() -> str | None:
    """The statements; ``None`` where another Optuna is installed than the one that they are of."""
    head, _, statements = _FILE.read_text().partition("\n")
    found = re.fullmatch(r"-- Optuna (\S+)", head)
    return statements if found is not None and found[1] == installed() else None


def installed() -> str | None:
    """Optuna's version, without loading it, nor what reads the metadata of packages; ``None`` where it says none."""
    spec = importlib.util.find_spec("optuna")
    place = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
    found = re.search(r'^__version__ = "(\S+)"', place.read_text(), re.MULTILINE) if place and place.exists() else None
    return None if found is None else found[1]


def fill_empty(file: str | os.PathLike[str], statements: str) -> None:
    """Make the tables in a file that is not there yet."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(statements)


@lru_cache(maxsize=1)
def empty_schema() -> tuple[str | None, bytes]:
    """The installed Optuna's schema version, and a database with its tables, in rollback-journal mode."""
    statements = known_schema()
    if statements is None:
        from outlast.optimizer.index.index_by_optuna import made_by_optuna

        return made_by_optuna()
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "empty.db")
        fill_empty(file, statements)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            head = head_of(connection)
        with open(file, "rb") as whole:
            return head, whole.read()


def schema_statements() -> list[str]:
    """What makes the installed Optuna's tables in an empty SQLite database, whoever else uses it."""
    return statements_of(empty_schema()[1])


def statements_of(database: bytes) -> list[str]:
    """What makes a database that is like this one."""
    with tempfile.TemporaryDirectory(prefix="outlast-index-") as folder:
        file = os.path.join(folder, "empty.db")
        with open(file, "wb") as target:
            target.write(database)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return [line for line in connection.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;")]


if __name__ == "__main__":
    from outlast.optimizer.index.index_by_optuna import made_by_optuna

    _FILE.write_text("\n".join([f"-- Optuna {installed()}", *statements_of(made_by_optuna()[1]), ""]))
