"""What a session with a store is asked for, and what it raises."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from outlast.config.store_address import StoreAddress
from outlast.optimizer.index.index_rows import IndexRow
from outlast.optimizer.stores.store_connection import StoreRefused

Objectives = tuple[list[str], list[str]]  # directions and names


class Superseded(Exception):
    """Somebody else has opened the study's rows to write them."""


class NotYet(Exception):
    """It can only be said by writing the whole study, which was done a moment ago."""


class Whose(Struct, frozen=True):
    """Which of the studies of one name is meant."""

    identity: str  # tells it from all others
    earlier: Mapping[str, str] = {}  # those of this folder before --fresh, and their names now


class Writing(Struct, frozen=True):
    """What one transaction is to make of a study's rows."""

    rows: list[IndexRow]
    refused: Mapping[str, str]  # enqueued rows that do not fit, with the reason
    objectives: Objectives
    noted: Mapping[str, str]  # about the study, as JSON texts
    at_once: bool = True  # False: it may be left for later, with `NotYet`


def taken_by_another(address: StoreAddress, name: str) -> StoreRefused:
    """The error for a name that another study has in this store."""
    fact = f"{address} has another study called {name}: that one is left alone, and this one is not written there"
    return StoreRefused(
        fact, cure="another `name:`, another store, or: optuna delete-study --storage URL --study-name NAME"
    )
