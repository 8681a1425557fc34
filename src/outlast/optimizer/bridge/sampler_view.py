"""A sampler's private study: an Optuna storage over a dictionary.

A trial's id in it is its number. Optuna's own in-memory storage numbers trials by position and copies every template
deeply; this one takes rows as they are, may have gaps, and can replace a row whenever the ledger says something new
about it. Rows are replaced, never changed, except the one that is being drawn: lists handed out stay what they were.
Rows that changed are made when somebody looks: many samplers never do.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

STUDY_ID = 0


@contextmanager
def silent() -> Iterator[None]:
    """A block in which Optuna logs nothing but errors."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def row_of(
    number: int,
    state: TrialState = TrialState.RUNNING,
    *,
    values: Sequence[float] | None = None,
    params: Mapping[str, Any] | None = None,
    distributions: Mapping[str, BaseDistribution] | None = None,
    attrs: dict[str, Any] | None = None,
    curve: dict[int, float] | None = None,
) -> FrozenTrial:
    """A row without times; `attrs` (the samplers' notes) and `curve` are the row's own dictionaries, not copies of them."""
    return FrozenTrial(
        number=number, trial_id=number, state=state, value=None, values=values, datetime_start=None, datetime_complete=None,
        params=dict(params or {}), distributions=dict(distributions or {}), user_attrs={},
        system_attrs={} if attrs is None else attrs, intermediate_values={} if curve is None else curve,
    )  # fmt: skip


class View(BaseStorage):
    """One study in memory, keyed by trial number.

    Args:
        directions: One per objective.
        make: Makes the row of a number that was said to be `stale`; ``None`` where there is to be none.
    """

    name = "view"

    def __init__(
        self, directions: Sequence[StudyDirection], make: Callable[[int], FrozenTrial | None] | None = None
    ) -> None:
        self._directions = list(directions)
        self._trials: dict[int, FrozenTrial] = {}
        self._stale: set[int] = set()
        self._make = make
        self._ordered: list[FrozenTrial] | None = None
        self._lists: dict[frozenset[TrialState], list[FrozenTrial]] = {}
        self.attrs: dict[str, Any] = {}

    def put(self, trial: FrozenTrial) -> None:
        """Insert or replace the row of a number."""
        self._stale.discard(trial.number)
        self._forget(self._trials.get(trial.number), trial)
        self._trials[trial.number] = trial

    def drop(self, number: int) -> None:
        """Forget a row, if it is there."""
        self._stale.discard(number)
        self._forget(self._trials.pop(number, None), None)

    def _forget(self, before: FrozenTrial | None, after: FrozenTrial | None) -> None:
        """The lists in which one row was or the other will be are made anew."""
        states = {row.state for row in (before, after) if row is not None}
        self._ordered = None if states else self._ordered
        self._lists = {wanted: rows for wanted, rows in self._lists.items() if not states & wanted}

    def stale(self, numbers: Iterable[int]) -> None:
        """Rows that are made before anybody looks again."""
        self._stale.update(numbers)

    def row(self, number: int) -> FrozenTrial | None:
        """The row of a number."""
        if number in self._stale:
            self._freshen((number,))
        return self._trials.get(number)

    def _freshen(self, numbers: Iterable[int]) -> None:
        assert self._make is not None
        for number in numbers:
            row = self._make(number)
            if row is None:
                self.drop(number)
            else:
                self.put(row)

    def _rows(self) -> dict[int, FrozenTrial]:
        while self._stale:  # one may make others stale
            self._freshen(sorted(self._stale))
        return self._trials

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        # Rows are never copied: samplers do not change them.
        rows = self._rows()
        wanted = None if states is None else frozenset(state for state in TrialState if state in states)
        if wanted in self._lists:
            return list(self._lists[wanted])
        if self._ordered is None:
            self._ordered = [rows[number] for number in sorted(rows)]
        if wanted is None:
            return list(self._ordered)
        self._lists[wanted] = [trial for trial in self._ordered if trial.state in wanted]
        return list(self._lists[wanted])

    def get_trial(self, trial_id: int) -> FrozenTrial:
        row = self.row(trial_id)
        if row is None:
            raise KeyError(trial_id)
        return row

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        complete = [t for t in self._rows().values() if t.state is TrialState.COMPLETE and t.values]
        if not complete:
            raise ValueError("no trial is complete yet")
        sign = -1.0 if self._directions[0] is StudyDirection.MAXIMIZE else 1.0
        return min(complete, key=lambda t: (sign * t.values[0], t.number))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.get_trial(trial_id).system_attrs[key] = value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.get_trial(trial_id).user_attrs[key] = value

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self.get_trial(trial_id)
        trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions = {**trial.distributions, param_name: distribution}

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        # Ours are set by replacing the row; this serves samplers that do it themselves.
        trial = self.get_trial(trial_id)
        trial.state = state
        self._lists = {}
        if values is not None:
            trial.values = list(values)
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self.get_trial(trial_id).intermediate_values[step] = intermediate_value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self.attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.attrs = {**self.attrs, key: value}

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return {}

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        pass  # notes for people have no place in a private study

    def get_study_id_from_name(self, study_name: str) -> int:
        return STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        return self.name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_all_studies(self) -> list[FrozenStudy]:
        return [FrozenStudy(self.name, None, {}, dict(self.attrs), STUDY_ID, directions=self._directions)]

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        raise NotImplementedError("a sampler's view holds one study")

    def delete_study(self, study_id: int) -> None:
        raise NotImplementedError("a sampler's view holds one study")

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        raise NotImplementedError("trials come from the ledger")
