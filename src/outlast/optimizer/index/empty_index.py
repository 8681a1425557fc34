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
from pathlib import Path

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


if __name__ == "__main__":
    from outlast.optimizer.index.index_build import made_by_optuna, statements_of

    _FILE.write_text("\n".join([f"-- Optuna {installed()}", *statements_of(made_by_optuna()[1]), ""]))
