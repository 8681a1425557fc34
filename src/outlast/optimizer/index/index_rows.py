"""What the index says about a trial: a plain row, made from the ledger's trial and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, astuple

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.ranges import Range, contains, parsed, range_of
from outlast.space.space import Space

#: The system attribute of a row of ours: the trial's number.
OURS = "outlast:trial"
#: The system attribute of a trial that somebody enqueued in the index: ``INDEX_ID:TRIAL_ID`` of the row it came from.
CLAIM = "outlast:row"
#: The user attributes that are ours, under another name where the objective has set one of that name; others that people
#: add to a row stay.
OUR_ATTRS = ("state", "cause", "reason", "params")

#: ``WAITING`` is never written: anyone's ``ask`` takes such rows.
_STATES = {
    TrialState.CREATED: "RUNNING",
    TrialState.RUNNING: "RUNNING",
    TrialState.INTERRUPTED: "RUNNING",
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.INFEASIBLE: "PRUNED",
    TrialState.FAILED: "FAIL",
}


class IndexRow(Struct, frozen=True):
    """A row of Optuna's tables. Times are UTC as Optuna 5 stores them, attributes are JSON texts."""

    number: int
    state: str
    started: str | None
    finished: str | None
    values: tuple[float, ...]
    params: tuple[tuple[str, float, str], ...]  # name, internal value, distribution's JSON
    curve: tuple[tuple[int, float], ...]
    attrs: tuple[tuple[str, str], ...]
    system: tuple[tuple[str, str], ...] = ()  # what the objective noted for Optuna, as JSON texts
    claim: str | None = None  # of a row that somebody enqueued: which one; a row that was read does not say

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexRow) and astuple(self)[:-1] == astuple(other)[:-1]  # whatever it was made from

    def keys(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names of the user and of the system attributes that are the ledger's."""
        return frozenset(OUR_ATTRS) | {k for k, _ in self.attrs}, frozenset(k for k, _ in self.system)


class ForeignRow(Struct, frozen=True):
    """A row that Outlast did not write."""

    key: str  # INDEX_ID:TRIAL_ID, what a trial made from it carries as its claim
    trial_id: int
    number: int
    state: str  # Optuna's word
    params: dict[str, Any] = {}  # that were asked for (a waiting row), or those it has
    user_attrs: dict[str, Any] = {}

    @property
    def waiting(self) -> bool:
        """Whether somebody enqueued it and nobody took it yet."""
        return self.state == "WAITING"


class RowMaker:
    """Makes rows under one revision of the study file: every trial is shown with today's distributions."""

    def __init__(self, settings: Settings) -> None:
        self._space = Space.from_parameters(settings.parameters, ())
        self._objectives = len(settings.metrics)
        self._shown: dict[str, tuple[Range, str]] = {}
        for parameter in self._space.sampled:
            shown = range_of(parameter.shown)
            self._shown[parameter.name] = (shown, shown.text())
        self._parameters = {parameter.name: parameter for parameter in self._space.sampled}

    def row(self, trial: Trial, running_curve: Mapping[int, float] | None = None) -> IndexRow:
        """The row of a trial; `running_curve`: step → value of the attempt that runs now."""
        params, hidden = self._params(trial)
        curve: dict[int, float] = {}
        if self._objectives == 1 and trial.state is not TrialState.INFEASIBLE:
            curve = {**trial.curve(), **(running_curve or {})}
        return IndexRow(
            number=trial.number,
            state=self._state(trial),
            started=stored_time(trial.started_at or trial.created_at),
            finished=stored_time(trial.finished_at) if trial.state.finished else None,
            values=self._values(trial, curve),
            params=params,
            curve=tuple((int(step), _one_nan(value)) for step, value in sorted(curve.items())),
            attrs=tuple((key, json.dumps(value, default=str)) for key, value in self._attrs(trial, hidden).items()),
            claim=trial.system_attrs.get(CLAIM),
            system=tuple((key, json.dumps(value)) for key, value in trial.optuna_attrs.items()),
        )

    def _state(self, trial: Trial) -> str:
        if trial.state is TrialState.COMPLETE and not self._whole(trial):
            return "FAIL"  # Optuna takes no complete row without its values
        return _STATES[trial.state]

    def _values(self, trial: Trial, curve: Mapping[int, float]) -> tuple[float, ...]:
        if trial.state is TrialState.COMPLETE and self._whole(trial):
            return tuple(map(float, trial.values or ()))
        if trial.state is TrialState.PRUNED and curve and not math.isnan(last := curve[max(curve)]):
            return (float(last),)  # as Optuna does for a pruned trial
        return ()

    def _whole(self, trial: Trial) -> bool:
        return len(trial.values or ()) == self._objectives and not any(map(math.isnan, trial.values or ()))

    def _params(self, trial: Trial) -> tuple[tuple[tuple[str, float, str], ...], dict[str, Any]]:
        rows, hidden = [], {}
        for name, value in trial.params.items():
            known = self._shown.get(name) or _drawn(trial.distributions.get(name, ""))
            parameter = self._parameters.get(name)
            shown = parameter.shown_value(value) if parameter else value
            if known is None or not contains(known[0], shown):
                hidden[name] = value
                continue
            if type(shown) is not type(value):
                hidden[name] = value
            rows.append((name, float(known[0].to_internal_repr(shown)), known[1]))
        return tuple(rows), hidden

    @staticmethod
    def _attrs(trial: Trial, hidden: dict[str, Any]) -> dict[str, Any]:
        attrs: dict[str, Any] = {}
        if trial.state in (TrialState.CREATED, TrialState.INTERRUPTED, TrialState.INFEASIBLE):
            attrs["state"] = trial.state.value
        if trial.cause is not None and trial.state not in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.CREATED):
            attrs["cause"], attrs["reason"] = trial.cause.value, trial.reason
        if hidden:
            attrs["params"] = hidden
        noted = trial.user_attrs
        if not noted:
            return attrs
        taken = {key: f"outlast:{key}" for key in OUR_ATTRS if key in noted}
        return {**{taken.get(key, key): attrs.get(key) for key in [*attrs, *taken]}, **noted}


def noted_texts(study: Study) -> dict[str, str]:
    """What objectives and callbacks noted about the study, as JSON texts."""
    return {name: json.dumps(value) for name, value in study.user_attrs.items()}


class Teller:
    """What running objectives are told about their study (`trial.study`): its rows, of finished trials once only."""

    def __init__(self, settings: Settings, study: Study) -> None:
        self._settings, self._study, self._maker = settings, study, RowMaker(settings)
        self._finished: list[dict[str, Any]] = []  # rows in the order in which they were first told
        self._told: dict[int, str | None] = {}  # trial → when it finished, as it was told

    def about(self) -> dict[str, Any]:
        """What is known about the study itself; its attributes as JSON texts."""
        names = [metric.name for metric in self._settings.metrics]
        directions, noted = directions_of(self._settings), noted_texts(self._study)
        return {"name": self._settings.name, "directions": directions, "metrics": names, "user_attrs": noted}

    def rows(self, seen: int, curves: Mapping[int, Mapping[int, float]]) -> dict[str, Any]:
        """The rows that are new for whoever has `seen` so many; `curves`: trial → step → value of the attempts that run now."""
        running = []
        for number, trial in self._study.trials.items():
            if not trial.state.finished:
                running.append(asdict(self._maker.row(trial, curves.get(number))))
            elif self._told.get(number) != trial.finished_at:
                self._told[number] = trial.finished_at
                self._finished.append(asdict(self._maker.row(trial)))
        return {"seen": len(self._finished), "rows": [*self._finished[seen:], *running]}


def split_attrs(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row's user attributes: what `RowMaker` says about the trial, and what its objective noted."""
    names = {key: f"outlast:{key}" if f"outlast:{key}" in found else key for key in OUR_ATTRS}
    ours = {key: found[name] for key, name in names.items() if name in found}
    return ours, {key: value for key, value in found.items() if key not in names.values()}


def directions_of(settings: Settings) -> list[str]:
    """Optuna's word for each objective's goal."""
    return ["MAXIMIZE" if metric.goal == "maximize" else "MINIMIZE" for metric in settings.metrics]


def stored_time(at: str | None) -> str | None:
    """A record's time as Optuna 5 stores it: UTC without a zone. ``None`` for what is no time."""
    if not at:
        return None
    try:
        time = datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError:
        return None
    if time.tzinfo is not None:
        time = time.astimezone(timezone.utc).replace(tzinfo=None)
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


def _one_nan(value: float) -> float:
    """The same object for every NaN, so that equal curves compare as equal."""
    return math.nan if math.isnan(value) else float(value)


@lru_cache(maxsize=4096)
def _drawn(text: str) -> tuple[Range, str] | None:
    """The distribution of a parameter that a define-by-run objective drew."""
    return (parsed(text), text) if text else None
