"""Studies and trials from a SQLite file of Optuna's, in a few queries, without Optuna."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from outlast.optimizer.importing.past_studies import DIRECTIONS, STATES, PastStudy, PastTrial, in_utc
from outlast.optimizer.index.known_tables import KEYED, KNOWN_HEADS, head_of, untyped
from outlast.optimizer.ranges import parsed


def can_read(file: str) -> bool:
    """Whether its tables are known here; what is not is left to Optuna."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return head_of(connection) in KNOWN_HEADS


def studies_in(file: str) -> list[PastStudy]:
    """All studies, by their ids."""
    with contextlib.closing(sqlite3.connect(file)) as connection:

        def of(table: str, columns: str, study: int, order: str) -> list[Any]:
            query = f"SELECT {columns} FROM {table} WHERE study_id = ? ORDER BY {order}"  # noqa: S608
            return connection.execute(query, (study,)).fetchall()

        found = connection.execute("SELECT study_id, study_name FROM studies ORDER BY study_id").fetchall()
        return [
            PastStudy(
                id=study,
                name=name,
                directions=tuple(
                    DIRECTIONS[word] for (word,) in of("study_directions", "direction", study, "objective")
                ),
                user_attrs=_attrs(of("study_user_attributes", KEYED, study, "study_user_attribute_id")),
                system_attrs=_attrs(of("study_system_attributes", KEYED, study, "study_system_attribute_id")),
            )
            for study, name in found
        ]


def trials_in(file: str, study: int, *, local_times: bool = False) -> list[PastTrial]:
    """All trials of a study, by their ids.

    Args:
        file: That nobody else writes to.
        study: Its id there.
        local_times: Whether its times are those of this machine's time zone, see `in_utc`.
    """
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return list(_trials(connection, study, local_times))


def _trials(connection: sqlite3.Connection, study: int, local: bool) -> Iterator[PastTrial]:
    def of(table: str, columns: str, order: str) -> dict[int, list[tuple[Any, ...]]]:
        found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        query = (
            f"SELECT trial_id, {columns} FROM {table} WHERE trial_id IN "  # noqa: S608
            f"(SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY {order}"
        )
        for trial, *rest in connection.execute(query, (study,)):
            found[trial].append(tuple(rest))
        return found

    params = of("trial_params", "param_name, param_value, distribution_json", "param_id")
    values = of("trial_values", "value, value_type", "objective")
    curves = of("trial_intermediate_values", "step, intermediate_value, intermediate_value_type", "step")
    users = of("trial_user_attributes", KEYED, "trial_user_attribute_id")
    systems = of("trial_system_attributes", KEYED, "trial_system_attribute_id")
    query = "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ? ORDER BY trial_id"
    for trial, number, state, started, finished in connection.execute(query, (study,)):
        drawn = [(name, value, parsed(text)) for name, value, text in params.get(trial, ())]
        yield PastTrial(
            number=number,
            state=STATES[state],
            values=tuple(untyped(*stored) for stored in values.get(trial, ())),
            started=in_utc(started, local=local),
            finished=in_utc(finished, local=local),
            params={name: range_.to_external_repr(value) for name, value, range_ in drawn},
            ranges={name: range_ for name, _, range_ in drawn},
            user_attrs=_attrs(users.get(trial, ())),
            system_attrs=_attrs(systems.get(trial, ())),
            curve={step: untyped(value, kind) for step, value, kind in curves.get(trial, ())},
        )


def _attrs(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in rows}
