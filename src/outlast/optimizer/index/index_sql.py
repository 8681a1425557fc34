"""The index in SQL: Optuna's tables, for schema versions that are known here.

Optuna's own interface takes several transactions for one trial; this takes one for a whole round, and can change a
finished row (a retried trial). Schema versions that it was not checked against (`known_tables`) are left to
`index_by_optuna`. Table and column names below are constants of this room; everything else is bound, never pasted.

Who owns a row: ours carry the system attribute `OURS` with the trial's number. A row's id says only when it came: Optuna
reads no row whose id is below a finished one that it has seen, so every new row goes to the end. The ``number`` column
is what people see, and ours to give: Optuna numbers a row that somebody enqueues by the rows before it, which may be a
number that the ledger has given away already. Such a row gives its number up when ours goes in; taken in as a trial, it
becomes that trial's row, with the trial's number.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from outlast.optimizer.index.index_reading import rows_of, rows_of_others
from outlast.optimizer.index.index_rows import OURS, ForeignRow, IndexRow
from outlast.optimizer.index.known_tables import (
    INDEX,
    KEYED,
    METRIC_NAMES,
    Connection,
    IndexBroken,
    NotOurs,
    inserted,
    typed,
)

_OF_A_TRIAL = (
    "trial_params", "trial_values", "trial_intermediate_values", "trial_heartbeats", "trial_user_attributes",
    "trial_system_attributes",
)  # fmt: skip


class Tables:
    """One study's rows through one connection. The caller opens and commits transactions.

    Raises:
        NotOurs: Our notes in it are not there.
        IndexBroken: The study or its tables are not there, or a trial has two rows.
    """

    def __init__(self, connection: Connection, study_name: str) -> None:
        self._c = connection
        try:
            found = connection.execute("SELECT study_id FROM studies WHERE study_name = ?", (study_name,)).fetchone()
            if found is None:
                raise IndexBroken(f"it holds no study {study_name}")
            self._study = int(found[0])
            noted = self._noted(INDEX)
        except sqlite3.OperationalError as error:
            if "no such" in str(error):
                raise IndexBroken(str(error)) from error
            raise
        if noted is None:
            raise NotOurs("Outlast did not write it")
        self.notes: dict[str, Any] = dict(noted)
        self.index_id = str(noted["id"])
        self.ids: dict[int, int] = {}
        self._theirs: set[int] = set()
        self._added_now: int | None = None  # the row that is being made: nothing hangs on it yet
        self.reload_ids()

    @classmethod
    def create(
        cls, connection: Connection, study_name: str, directions: Iterable[str], notes: Mapping[str, Any]
    ) -> Tables:
        """An empty study in empty tables; `notes` are its system attributes, `INDEX` among them."""
        study = inserted(connection, "INSERT INTO studies (study_name) VALUES (?)", (study_name,), "study_id")
        _state(connection, study, directions, notes)
        return cls(connection, study_name)

    @property
    def noted_rows(self) -> int:
        """How many rows of ours there are, by our own note."""
        return int(self.notes["rows"])

    def reload_ids(self) -> None:
        """Read which rows are ours.

        Raises:
            IndexBroken: Two say that they are the same trial.
        """
        rows = self._c.execute(
            "SELECT t.trial_id, a.value_json FROM trials t JOIN trial_system_attributes a USING (trial_id) "
            'WHERE t.study_id = ? AND a."key" = ?',
            (self._study, OURS),
        )
        found = [(int(json.loads(value)), int(trial_id)) for trial_id, value in rows]
        self.ids = dict(found)
        if len(self.ids) < len(found):
            raise IndexBroken("a trial has two rows")

    def directions(self) -> list[str]:
        """Optuna's words for the goals, by objective."""
        query = "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective"
        return [str(direction) for (direction,) in self._c.execute(query, (self._study,))]

    def metric_names(self) -> list[str]:
        """What the objectives are called; empty where nobody said."""
        return list(self._noted(METRIC_NAMES) or ())

    def _noted(self, key: str, locked: str = "") -> Any:
        query = f'SELECT value_json FROM study_system_attributes WHERE study_id = ? AND "key" = ?{locked}'  # noqa: S608
        found = self._c.execute(query, (self._study, key)).fetchone()
        return None if found is None else json.loads(found[0])

    def read_note(self, locked: str = "") -> dict[str, Any] | None:
        """Our notes as they stand now; `locked` is what the query ends with. ``None`` where there are none."""
        found: dict[str, Any] | None = self._noted(INDEX, locked)
        return found

    def read(self, expected: Mapping[int, IndexRow]) -> dict[int, IndexRow]:
        """All rows of ours, by number; `expected` says which attributes of each are the ledger's."""
        return rows_of(self._c, self._study, self.ids, expected)

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, rows: Iterable[IndexRow], before: Mapping[int, IndexRow]) -> None:
        """Bring rows up to date; `before` is what they hold now, as far as it is known."""
        self._theirs = self._numbers_of_others()
        for row in sorted(rows, key=lambda row: row.number):
            old = before.get(row.number) if row.number in self.ids else None
            if old != row:
                self._write(row, old)
        self.note(rows=len(self.ids))

    def remove(self, numbers: Iterable[int]) -> None:
        """Rows of ours, and all that hangs on them, go."""
        for number in numbers:
            trial_id = self.ids.pop(number)
            for table in (*_OF_A_TRIAL, "trials"):
                self._c.execute(f"DELETE FROM {table} WHERE trial_id = ?", (trial_id,))  # noqa: S608
        self.note(rows=len(self.ids))

    def restate(self, directions: Iterable[str], names: Iterable[str]) -> None:
        """Say anew what the objectives are: the study file has changed."""
        self._c.execute("DELETE FROM study_directions WHERE study_id = ?", (self._study,))
        self._c.execute(
            'DELETE FROM study_system_attributes WHERE study_id = ? AND "key" = ?', (self._study, METRIC_NAMES)
        )
        _state(self._c, self._study, directions, {METRIC_NAMES: list(names)})

    def note_study(self, noted: Mapping[str, str]) -> None:
        """Say what was noted about the study; what else people keep there stays."""
        for name, text in noted.items():
            where = (self._study, name)
            self._c.execute('DELETE FROM study_user_attributes WHERE study_id = ? AND "key" = ?', where)
            self._c.execute(f"INSERT INTO study_user_attributes (study_id, {KEYED}) VALUES (?, ?, ?)", (*where, text))  # noqa: S608

    def _write(self, row: IndexRow, old: IndexRow | None) -> None:
        trial_id = self._place(row)
        if old is None or old.params != row.params:
            self._put("trial_params", trial_id, "param_name, param_value, distribution_json", row.params, anew=True)
        if old is None or old.values != row.values:
            values = [(i, *typed(value)) for i, value in enumerate(row.values)]
            self._put("trial_values", trial_id, "objective, value, value_type", values, anew=True)
        steps = set(old.curve) if old is not None else set()
        grown = old is not None and steps <= set(row.curve)
        curve = [(step, *typed(value)) for step, value in row.curve if not (grown and (step, value) in steps)]
        columns = "step, intermediate_value, intermediate_value_type"
        self._put("trial_intermediate_values", trial_id, columns, curve, anew=not grown)
        users, systems = row.keys()
        if old is None or old.attrs != row.attrs:
            gone = users | (old.keys()[0] if old is not None else frozenset())
            self._attributes("trial_user_attributes", trial_id, gone, row.attrs)
        if row.system and (old is None or old.system != row.system):
            self._attributes("trial_system_attributes", trial_id, systems, row.system)
        self._added_now = None

    def _attributes(self, table: str, trial_id: int, gone: Iterable[str], attrs: Iterable[tuple[str, str]]) -> None:
        if trial_id != self._added_now:
            self._c.executemany(
                f'DELETE FROM {table} WHERE trial_id = ? AND "key" = ?',  # noqa: S608
                [(trial_id, key) for key in gone],
            )
        self._put(table, trial_id, KEYED, attrs)

    def _put(
        self, table: str, trial_id: int, columns: str, rows: Iterable[tuple[Any, ...]], *, anew: bool = False
    ) -> None:
        rows = list(rows)
        if trial_id == self._added_now:
            pass
        elif anew:
            self._c.execute(f"DELETE FROM {table} WHERE trial_id = ?", (trial_id,))  # noqa: S608
        elif rows:
            self._c.executemany(
                f"DELETE FROM {table} WHERE trial_id = ? AND {columns.partition(',')[0]} = ?",  # noqa: S608
                [(trial_id, values[0]) for values in rows],
            )
        if not rows:
            return
        marks = ", ".join("?" for _ in columns.split(","))
        self._c.executemany(
            f"INSERT INTO {table} (trial_id, {columns}) VALUES (?, {marks})",  # noqa: S608
            [(trial_id, *values) for values in rows],
        )

    def _place(self, row: IndexRow) -> int:
        """The row's id: its own, the enqueued row that it came from, or a new one at the end."""
        trial_id = self.ids.get(row.number)
        if trial_id is None:
            if row.number in self._theirs:
                self._free_number(row.number)
            trial_id = self._claimed(row)
            if trial_id is None:
                trial_id = self._added_now = self._added(row.number, "RUNNING")
            self._put("trial_system_attributes", trial_id, KEYED, [(OURS, str(row.number))])
            self.ids[row.number] = trial_id
        changed = self._c.execute(
            "UPDATE trials SET number = ?, state = ?, datetime_start = ?, datetime_complete = ? WHERE trial_id = ?",
            (row.number, row.state, row.started, row.finished, trial_id),
        )
        if changed.rowcount != 1:
            raise IndexBroken(f"the row of trial {row.number} is gone")
        return trial_id

    def _added(self, number: int, state: str) -> int:
        query = "INSERT INTO trials (number, study_id, state) VALUES (?, ?, ?)"
        return inserted(self._c, query, (number, self._study, state), "trial_id")

    def _next_number(self) -> int:
        query = "SELECT max(number) FROM trials WHERE study_id = ?"
        highest = self._c.execute(query, (self._study,)).fetchone()[0]
        return 0 if highest is None else int(highest) + 1

    def _claimed(self, row: IndexRow) -> int | None:
        if row.claim is None:
            return None
        index_id, _, text = row.claim.partition(":")
        if index_id != self.index_id or not text.isdigit() or int(text) in self.ids.values():
            return None
        known = self._c.execute(
            "SELECT trial_id FROM trials WHERE trial_id = ? AND study_id = ?", (int(text), self._study)
        ).fetchone()
        return None if known is None else int(text)

    def _free_number(self, number: int) -> None:
        """Somebody else's row that took this number moves to one that no trial of ours has yet."""
        query = "UPDATE trials SET number = ? WHERE study_id = ? AND number = ?"
        self._c.execute(query, (self._next_number(), self._study, number))
        self._theirs = self._numbers_of_others()

    def _numbers_of_others(self) -> set[int]:
        mine = set(self.ids.values())
        rows = self._c.execute("SELECT trial_id, number FROM trials WHERE study_id = ?", (self._study,))
        return {int(number) for trial_id, number in rows if trial_id not in mine and number is not None}

    def note(self, **notes: Any) -> None:
        """Change our notes about the study."""
        if any(self.notes.get(key) != value for key, value in notes.items()):
            self.notes.update(notes)
            self._c.execute(
                'UPDATE study_system_attributes SET value_json = ? WHERE study_id = ? AND "key" = ?',
                (json.dumps(self.notes), self._study, INDEX),
            )

    # -- other people's rows ---------------------------------------------------------------------------------------

    def foreign(self) -> list[ForeignRow]:
        """The rows that are not ours, by id."""
        return rows_of_others(self._c, self._study, self.index_id)

    def refuse(self, row: ForeignRow, reason: str) -> None:
        """Mark an enqueued row that does not fit as failed, with the reason."""
        self._c.execute("UPDATE trials SET state = 'FAIL' WHERE trial_id = ? AND state = 'WAITING'", (row.trial_id,))
        self._put("trial_user_attributes", row.trial_id, KEYED, [("reason", json.dumps(reason))])

    def enqueue(self, row: ForeignRow) -> None:
        """Carry an enqueued row over into a new index."""
        trial_id = self._added(self._next_number(), "WAITING")
        fixed, noted = {"fixed_params": row.params}, row.user_attrs
        for table, attrs in (("trial_system_attributes", fixed), ("trial_user_attributes", noted)):
            self._put(table, trial_id, KEYED, [(key, json.dumps(value)) for key, value in attrs.items()])


def _state(connection: Connection, study: int, directions: Iterable[str], notes: Mapping[str, Any]) -> None:
    connection.executemany(
        "INSERT INTO study_directions (direction, study_id, objective) VALUES (?, ?, ?)",
        [(direction, study, objective) for objective, direction in enumerate(directions)],
    )
    connection.executemany(
        'INSERT INTO study_system_attributes (study_id, "key", value_json) VALUES (?, ?, ?)',
        [(study, key, json.dumps(value)) for key, value in notes.items()],
    )
