"""What is to be said about a store before a study is written there; nothing is written, and no file is made."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy

from outlast.config.store_address import StoreAddress
from outlast.optimizer.import_sources import opened
from outlast.optimizer.index_sql import INDEX
from outlast.optimizer.store_connection import engine_of, unreachable
from outlast.optimizer.store_writing import taken_by_another


def probe(address: StoreAddress, name: str, identity: str | None) -> str:
    """Look into a store.

    Args:
        address: The store.
        name: The study's name.
        identity: Of the study, where there is one already.

    Returns:
        What a run will find there.

    Raises:
        OutlastError: Why it cannot be written: `StoreRefused`, `StorageError`, `MissingExtra`.
    """
    if _is_empty(address):
        return "is made when the study begins"
    with opened(address) as source:
        studies: dict[str, Any] = {study.study_name: study for study in source.storage.get_all_studies()}
    if name not in studies:
        return f"holds {len(studies)} other {'study' if len(studies) == 1 else 'studies'}, which stay as they are"
    note = studies[name].system_attrs.get(INDEX)
    if not isinstance(note, dict) or identity is None or note.get("study") != identity:
        raise taken_by_another(address, name)
    return f"has this study already, and {len(studies) - 1} others"


def _is_empty(address: StoreAddress) -> bool:
    """Whether there is nothing yet, not even Optuna's tables."""
    if address.kind in ("sqlite", "journal"):
        if not os.path.exists(address.file):
            return True
        if address.kind == "journal" or os.path.getsize(address.file) == 0:
            return os.path.getsize(address.file) == 0
        where = f"{Path(address.file).as_uri()}?mode=ro"
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(where, uri=True)) as connection:
            return not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        return False
    if address.kind == "redis":
        return False
    engine = engine_of(address)
    try:
        return not sqlalchemy.inspect(engine).has_table("alembic_version")
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise unreachable(address, getattr(error, "orig", None) or error) from None
    finally:
        engine.dispose()
