"""Studies and trials from a SQLite file of Optuna's, in a few queries: its own storage makes objects of every row first."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from outlast.optimizer.index_sql import KEYED, KNOWN_HEADS, head_of, untyped


def can_read(file: str) -> bool:
    """Whether its tables are known here; what is not is left to Optuna."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return head_of(connection) in KNOWN_HEADS


def studies_in(file: str) -> list[FrozenStudy]:
    """All studies, by their ids, as ``RDBStorage.get_all_studies`` has them."""
    with contextlib.closing(sqlite3.connect(file)) as connection:

        def of(table: str, columns: str, study: int, order: str) -> list[Any]:
            query = f"SELECT {columns} FROM {table} WHERE study_id = ? ORDER BY {order}"  # noqa: S608
            return connection.execute(query, (study,)).fetchall()

        found = connection.execute("SELECT study_id, study_name FROM studies ORDER BY study_id").fetchall()
        return [
            FrozenStudy(
                study_name=name,
                direction=None,
                directions=[
                    StudyDirection[word] for (word,) in of("study_directions", "direction", study, "objective")
                ],
                user_attrs=_attrs(of("study_user_attributes", KEYED, study, "study_user_attribute_id")),
                system_attrs=_attrs(of("study_system_attributes", KEYED, study, "study_system_attribute_id")),
                study_id=study,
            )
            for study, name in found
        ]


def times_in(file: str, study: int) -> list[tuple[int, str | None, str | None]]:
    """Of each trial of a study its id, and when it started and finished, as it is stored."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        query = "SELECT trial_id, datetime_start, datetime_complete FROM trials WHERE study_id = ?"
        return connection.execute(query, (study,)).fetchall()


def trials_in(file: str, study: int) -> list[FrozenTrial]:
    """All trials of a study, by their ids, as ``RDBStorage.get_all_trials`` has them.

    Args:
        file: That nobody else writes to.
        study: Its id there.
    """
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return list(_trials(connection, study))


def _trials(connection: sqlite3.Connection, study: int) -> Iterator[FrozenTrial]:
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
        drawn = [(name, value, _distribution(text)) for name, value, text in params.get(trial, ())]
        yield FrozenTrial(
            number=number,
            trial_id=trial,
            state=TrialState[state],
            value=None,
            values=[untyped(*stored) for stored in values.get(trial, ())] or None,
            datetime_start=_time(started),
            datetime_complete=_time(finished),
            params={name: distribution.to_external_repr(value) for name, value, distribution in drawn},
            distributions={name: distribution for name, _, distribution in drawn},
            user_attrs=_attrs(users.get(trial, ())),
            system_attrs=_attrs(systems.get(trial, ())),
            intermediate_values={step: untyped(value, kind) for step, value, kind in curves.get(trial, ())},
        )


def _attrs(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in rows}


def _time(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored)


@lru_cache(maxsize=4096)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
