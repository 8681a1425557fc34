"""What is to be said about a store before a study is written there; nothing is written, and no file is made."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy

from outlast.config.store_address import StoreAddress
from outlast.errors import OutlastError
from outlast.optimizer.importing.import_sources import opened
from outlast.optimizer.index.known_tables import INDEX, head_of
from outlast.optimizer.stores.store_connection import StoreRefused, engine_of, looking_at, require_known, unreachable
from outlast.optimizer.stores.store_contract import taken_by_another
from outlast.optimizer.stores.store_journal import refuse_half

#: Seconds within which another's entry in a journal is whole.
_AN_APPEND = 0.3


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
    try:
        notes = _in_journal(address) if address.kind in ("journal", "redis") else _in_database(address)
    except OutlastError:
        raise
    except Exception as error:  # drivers raise what they like
        raise unreachable(address, getattr(error, "orig", None) or error) from None
    if name not in notes:
        return f"holds {len(notes)} other {'study' if len(notes) == 1 else 'studies'}, which stay as they are"
    note = notes[name]
    if not isinstance(note, dict) or identity is None or note.get("study") != identity:
        raise taken_by_another(address, name)
    return f"has this study already, and {len(notes) - 1} others"


def _in_database(address: StoreAddress) -> dict[str, Any]:
    """The studies by name, each with our note if it has one; what a run refuses is refused."""
    with contextlib.closing(looking_at(address)) as connection:
        require_known(head_of(connection), address)
        query = (
            "SELECT s.study_name, a.value_json FROM studies s LEFT JOIN study_system_attributes a "
            'ON a.study_id = s.study_id AND a."key" = ?'
        )
        found = connection.execute(query, (INDEX,)).fetchall()
    return {str(name): None if text is None else json.loads(text) for name, text in found}


def _in_journal(address: StoreAddress) -> dict[str, Any]:
    if address.kind == "journal":
        try:
            refuse_half(address)
        except StoreRefused:
            time.sleep(_AN_APPEND)  # somebody may be about to write the other half
            refuse_half(address)
    with opened(address) as source:
        return {study.name: study.system_attrs.get(INDEX) for study in source.studies()}


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
