"""What stands in a study's tables: our rows, and those of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from outlast.optimizer.index.index_rows import OUR_ATTRS, OURS, ForeignRow, IndexRow
from outlast.optimizer.index.known_tables import KEYED, Connection, IndexBroken, untyped


def rows_of(
    connection: Connection, study: int, ids: Mapping[int, int], expected: Mapping[int, IndexRow]
) -> dict[int, IndexRow]:
    """All rows of ours, by number. `ids` are their ids by number; `expected` says which attributes of each are the ledger's.

    Raises:
        IndexBroken: A row says that it is another than ours is.
    """
    params = _grouped(connection, study, "trial_params", "param_name, param_value, distribution_json", "param_id")
    values = _grouped(connection, study, "trial_values", "value, value_type", "objective")
    curves = _grouped(
        connection, study, "trial_intermediate_values", "step, intermediate_value, intermediate_value_type", "step"
    )
    attrs = _grouped(connection, study, "trial_user_attributes", KEYED, "trial_user_attribute_id")
    systems = _grouped(connection, study, "trial_system_attributes", KEYED, "trial_system_attribute_id")
    rows = {}
    mine = {trial_id: number for number, trial_id in ids.items()}
    for trial_id, number, state, started, finished in connection.execute(
        "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ?",
        (study,),
    ):
        if trial_id not in mine:
            continue
        if mine[trial_id] != number:
            raise IndexBroken(f"the row of trial {mine[trial_id]} says it is {number}")
        keys = expected[number].keys() if number in expected else (frozenset(OUR_ATTRS), frozenset[str]())
        rows[number] = IndexRow(
            number=number,
            state=state,
            started=_time(started),
            finished=_time(finished),
            values=tuple(untyped(v, kind) for v, kind in values.get(trial_id, ())),
            params=tuple((n, v, d) for n, v, d in params.get(trial_id, ())),
            curve=tuple((s, untyped(v, kind)) for s, v, kind in curves.get(trial_id, ())),
            attrs=tuple((k, v) for k, v in attrs.get(trial_id, ()) if k in keys[0]),
            system=tuple((k, v) for k, v in systems.get(trial_id, ()) if k in keys[1]),
        )
    return rows


def _grouped(
    connection: Connection, study: int, table: str, columns: str, order: str
) -> dict[int, list[tuple[Any, ...]]]:
    grouped: dict[int, list[tuple[Any, ...]]] = {}
    query = (
        f"SELECT trial_id, {columns} FROM {table} WHERE trial_id IN "  # noqa: S608
        f"(SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY trial_id, {order}"
    )
    for trial_id, *rest in connection.execute(query, (study,)):
        grouped.setdefault(trial_id, []).append(tuple(rest))
    return grouped


def _time(stored: Any) -> str | None:
    """A time as SQLite has it: servers have a type of their own for it."""
    return stored.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(stored, datetime) else stored


def rows_of_others(connection: Connection, study: int, index_id: str) -> list[ForeignRow]:
    """The rows that are not ours, by id."""
    rows = connection.execute(
        "SELECT trial_id, number, state FROM trials t WHERE study_id = ? AND NOT EXISTS (SELECT 1 FROM "
        'trial_system_attributes a WHERE a.trial_id = t.trial_id AND a."key" = ?) ORDER BY trial_id',
        (study, OURS),
    ).fetchall()
    return [
        _foreign(connection, index_id, int(trial_id), int(number or 0), str(state)) for trial_id, number, state in rows
    ]


def _foreign(connection: Connection, index_id: str, trial_id: int, number: int, state: str) -> ForeignRow:
    system = _attrs(connection, "trial_system_attributes", trial_id)
    fixed = system.get("fixed_params")
    return ForeignRow(
        key=f"{index_id}:{trial_id}",
        trial_id=trial_id,
        number=number,
        state=state,
        params=dict(fixed) if isinstance(fixed, dict) else {},
        user_attrs=_attrs(connection, "trial_user_attributes", trial_id),
    )


def _attrs(connection: Connection, table: str, trial_id: int) -> dict[str, Any]:
    rows = connection.execute(f"SELECT {KEYED} FROM {table} WHERE trial_id = ?", (trial_id,))  # noqa: S608
    return {key: json.loads(value) for key, value in rows}
