"""The tables of an empty index, as one version of Optuna makes them: making them anew loads SQLAlchemy and Alembic.

They stand in ``empty_index.sql``, whose first line says of which version they are. Any other that is installed is asked itself.
After a change of Optuna's: ``python -m outlast.optimizer.empty_index`` writes the file anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path

import optuna

_FILE = Path(__file__).with_suffix(".sql")


def known_schema() -> str | None:
    """The statements; ``None`` where another Optuna is installed than the one that they are of."""
    head, _, statements = _FILE.read_text().partition("\n")
    found = re.fullmatch(r"-- Optuna (\S+)", head)
    return statements if found is not None and found[1] == optuna.__version__ else None


def fill_empty(file: str | os.PathLike[str], statements: str) -> None:
    """Make the tables in a file that is not there yet."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(statements)


if __name__ == "__main__":
    from outlast.optimizer.index_build import made_by_optuna, statements_of

    _FILE.write_text("\n".join([f"-- Optuna {optuna.__version__}", *statements_of(made_by_optuna()[1]), ""]))
