"""What somebody enqueued in a store that is a file, looked for before a study's first trial; nothing is written or made."""

from __future__ import annotations

import contextlib
import os
import re
import threading

from msgspec.structs import replace

from outlast.config.store_address import StoreAddress
from outlast.optimizer.index.index_rows import ForeignRow
from outlast.optimizer.index.index_sql import Tables
from outlast.optimizer.index.known_tables import head_of
from outlast.optimizer.stores.store_connection import looking_at, require_known

#: Seconds that the first trial waits for a file at most: another program may hold it, or its disk not answer.
_WITHIN = 1.0
#: Bytes of a journal that Optuna reads in half of that.
_LONG_JOURNAL = 8_000_000
_WAITS = re.compile(rb'"state": ?4\b')  # in the entry that enqueues a trial


def waiting_rows(address: StoreAddress, name: str, identity: str) -> list[ForeignRow]:
    """The rows of this study that wait there, with the keys that a session gives them; whoever is remote is not asked.

    None where nothing can be read, or not at once: whoever writes the study there finds them a moment later, and says what is
    wrong.
    """
    look = {"sqlite": _in_database, "journal": _in_journal}.get(address.kind)
    if look is None:
        return []
    found: list[ForeignRow] = []

    def looked() -> None:
        with contextlib.suppress(Exception):  # there is none, or one of whatever content, which is not written either
            found.extend(row for row in look(replace(address, timeout=_WITHIN), name, identity) if row.waiting)

    looker = threading.Thread(target=looked, name="outlast-waiting", daemon=True)
    looker.start()
    looker.join(_WITHIN)
    return [] if looker.is_alive() else found


def _in_database(address: StoreAddress, name: str, identity: str) -> list[ForeignRow]:
    with contextlib.closing(looking_at(address)) as connection:
        require_known(head_of(connection), address)
        query = "SELECT 1 FROM trials JOIN studies USING (study_id) WHERE study_name = ? AND state = 'WAITING' LIMIT 1"
        if connection.execute(query, (name,)).fetchone() is None:
            return []
        tables = Tables(connection, name)
        return tables.foreign() if tables.notes.get("study") == identity else []


def _in_journal(address: StoreAddress, name: str, identity: str) -> list[ForeignRow]:
    from outlast.optimizer.stores.store_journal import refuse_half, rows_of_others

    if os.path.getsize(address.file) > _LONG_JOURNAL:
        return []
    refuse_half(address)
    with open(address.file, "rb") as file:
        if _WAITS.search(file.read()) is None:
            return []
    return rows_of_others(address, name, identity)
