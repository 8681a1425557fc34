"""Pruning: one decision per report, the same before and after any restart."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna import pruners as optuna_pruners
from optuna.pruners import BasePruner
from optuna.study import Study as OptunaStudy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Row

from outlast.config.native import PRUNERS
from outlast.config.plugins import build, check_options, is_dotted, load_class, quiet
from outlast.config.settings import PrunerSettings, Settings
from outlast.core.fold import Study
from outlast.core.nearest import nearest
from outlast.core.records import AttemptEnded, Event, TrialRetried
from outlast.core.states import TrialState
from outlast.errors import StudyFileError
from outlast.optimizer.pruning_fields import Fields
from outlast.optimizer.pruning_rules import OWN_RULES, Curve, Known, Rule, rule_of
from outlast.optimizer.view import View, row_of

_OPTUNA: dict[str, type[BasePruner]] = {
    "median": optuna_pruners.MedianPruner,
    "percentile": optuna_pruners.PercentilePruner,
    "patient": optuna_pruners.PatientPruner,
    "wilcoxon": optuna_pruners.WilcoxonPruner,
}
#: Of those by dotted path, the ones that are known to note nothing about trials.
_NOTES_NOTHING = (
    optuna_pruners.MedianPruner,
    optuna_pruners.PercentilePruner,
    optuna_pruners.WilcoxonPruner,
    optuna_pruners.ThresholdPruner,
    optuna_pruners.NopPruner,
)
#: What a file may leave out although Optuna asks for it.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "percentile": {"percentile": 25.0},
    "patient": {"wrapped_pruner": None, "patience": 10},
}


@dataclass
class _Watched:
    """What is known of a trial. The row shares the points' dictionary: a report costs no new row."""

    state: TrialState = TrialState.RUNNING
    points: dict[int, float] = field(default_factory=dict)
    settled: dict[int, float] = field(default_factory=dict)  # those of attempts that ended
    value: float | None = None


class _Rows(View):
    """The rows that a pruner sees. It may note things about a trial; rows that it was handed before stay what they were."""

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a pruner's note about a trial."""
        row = copy.copy(self.get_trial(trial_id))
        row.system_attrs = {**row.system_attrs, key: value}
        self.put(row)


class Pruning:
    """Decides for each report whether its trial goes on.

    A decision is a function of the reports known by then, of all trials; nothing is noted on the way that a restart
    could lose. Reports of attempts that ended come with the ledger; those of running attempts are handed in with
    `replay`. What a trial went on to report after it was given up is kept in its curve and counts for nothing here:
    how much that is depends on when the script noticed. For a pruner that may note things about
    trials, every trial's reports are replayed one by one in step order.

    The folded ledger is read once; later events come through `apply`.

    Resources that a rule takes from the trials (``auto``) are those of the trial that completed first, once and for all.

    Raises:
        StudyFileError: Unknown pruner or option, or several objectives.
    """

    def __init__(self, settings: Settings, study: Study) -> None:
        self._rule: Rule | None = None
        self._pruner: BasePruner | None = None
        chosen = settings.pruner
        if chosen.name in OWN_RULES:
            rule = OWN_RULES[chosen.name]
            check_options(chosen.name, chosen.options, "pruner", of=rule, hidden=("_bracket", "_key"))
            self._rule = rule_of(chosen.name, chosen.options)
        else:
            self._pruner = _optuna_pruner(chosen, "pruner")
        if self.active and len(settings.metrics) > 1:
            raise StudyFileError(
                "a pruner compares one metric, and this study has several", key="pruner", cure="write `pruner: none`"
            )
        self.trouble = ""  # what people should be told of a pruner that fails
        self._in_parts = bool(settings.trial.seeds or settings.trial.folds)
        self._name = chosen.name
        self._keeps_notes = is_dotted(chosen.name) and type(self._pruner) not in _NOTES_NOTHING
        maximize = settings.metrics[0].goal == "maximize"
        self._sign = -1.0 if maximize else 1.0  # a rule of our own sees curves turned so that smaller is better
        self._view = _Rows([StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE])
        self._optuna_study = (
            None if self._pruner is None else OptunaStudy(self._view.name, self._view, pruner=self._pruner)
        )
        self._watched: dict[int, _Watched] = {}
        self._curves: dict[int, Curve] = {}
        self._fields = Fields(self._curves)
        self._first_completed = study.first_completed_step
        for number in sorted(study.trials) if self.active else ():
            trial, watched = study.trials[number], self._watch(number)
            watched.settled = trial.judged_curve()
            self.replay(number, sorted(watched.settled.items()))
            self._settle(watched, trial.state, trial.value)
            self._show(number)

    @property
    def active(self) -> bool:
        """Whether there is a pruner at all."""
        return self._rule is not None or self._pruner is not None

    def should_prune(self, trial_number: int, step: int, value: float) -> bool:
        """Take a report in and decide.

        A step that was reported before (a resumed attempt repeats it) is judged by what led up to it. The value is of the first
        objective.
        """
        return self.active and self._take(trial_number, int(step), float(value), decide=True)

    def replay(self, trial_number: int, reports: Iterable[tuple[int, float]]) -> None:
        """Take reports in that were answered before a restart, in step order."""
        if not self.active:
            return
        self._watch(trial_number)
        for step, value in reports:
            self._take(trial_number, int(step), float(value), decide=self._keeps_notes)

    def apply(self, event: Event) -> None:
        """Take in an event of the ledger."""
        if not self.active:
            return
        if isinstance(event, AttemptEnded):
            watched = self._watch(event.trial)
            ended = event.judged_curve()
            self.replay(event.trial, [(step, value) for step, value in ended.items() if step not in watched.points])
            watched.settled.update(ended)
            self._put_points(event.trial, watched.settled)
            ended_with = event.values[0] if event.values else None
            self._settle(watched, event.state, ended_with if event.state.finished else watched.value)
            if event.state is TrialState.COMPLETE and self._first_completed is None:
                self._first_completed = max(watched.points, default=None)
        elif isinstance(event, TrialRetried) and event.trial in self._watched:
            watched = self._watched[event.trial]
            anew = event.from_scratch or (self._in_parts and watched.state is TrialState.COMPLETE)
            watched.state, watched.value = TrialState.INTERRUPTED, None
            watched.settled = {} if anew else dict(watched.settled)
            if anew:
                self._put_points(event.trial, {})
        else:
            return
        self._show(event.trial)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _settle(self, watched: _Watched, state: TrialState, value: float | None) -> None:
        """Of a trial that has finished nothing is unsettled, so that nothing is kept twice."""
        watched.state, watched.value = state, value
        if state.finished:
            watched.settled = watched.points

    def _watch(self, number: int) -> _Watched:
        if number not in self._watched:
            self._watched[number] = _Watched()
            self._curves[number] = Curve()
            self._show(number)
        return self._watched[number]

    def _put_points(self, number: int, points: Mapping[int, float]) -> None:
        """Make these all that is known of a trial's reports."""
        watched = self._watched[number]
        watched.points = dict(sorted(points.items()))
        self._curves[number] = Curve({step: self._sign * value for step, value in watched.points.items()})
        self._fields.reported(number)

    def _take(self, number: int, step: int, value: float, *, decide: bool) -> bool:
        if not self.active:
            return False
        watched = self._watch(number)
        watched.points[step] = value
        place = self._curves[number].add(step, self._sign * value)
        self._fields.reported(number)
        if not decide:
            return False
        if self._rule is not None:
            return self._rule(Known(number, place + 1, self._curves, self._first_completed, self._fields))
        upto = watched.points
        if place + 1 < len(upto):
            upto = {s: v for s, v in upto.items() if s <= step}
        assert self._optuna_study is not None and self._pruner is not None
        try:
            with quiet():
                return bool(self._pruner.prune(self._optuna_study, self._row(number, upto)))
        except Exception as error:  # somebody else's code; a search does not end for it
            self.trouble = f"the pruner {self._name} fails and prunes nothing: {type(error).__name__}: {error}"
            return False

    def _show(self, number: int) -> None:
        if self._pruner is not None:
            self._view.put(self._row(number, self._watched[number].points))

    def _row(self, number: int, points: dict[int, float]) -> FrozenTrial:
        watched, before = self._watched[number], self._view.row(number)
        state = Row.RUNNING
        if watched.state is TrialState.COMPLETE and watched.value is not None and math.isfinite(watched.value):
            state = Row.COMPLETE
        elif watched.state is TrialState.PRUNED:
            state = Row.PRUNED
        elif watched.state.finished:
            state = Row.FAIL
        values = None if state is not Row.COMPLETE or watched.value is None else [watched.value]
        attrs = None if before is None else before.system_attrs
        return row_of(number, state, values=values, attrs=attrs, curve=points)


def _optuna_pruner(chosen: PrunerSettings, key: str) -> BasePruner | None:
    """Optuna's pruner of that name or dotted path, with another one inside where it wraps one."""
    name, options = chosen.name, dict(chosen.options)
    if name == "none":
        check_options(name, options, key, of=None)
        return None
    if name not in _OPTUNA and not is_dotted(name):
        raise StudyFileError(
            f"unknown pruner {name}; known: {', '.join(PRUNERS)}, or a dotted path to an Optuna pruner",
            key=key,
            cure=nearest(name, PRUNERS),
        )
    cls = _OPTUNA.get(name) or load_class(name, BasePruner, "pruner", "an Optuna pruner")  # type: ignore[type-abstract]
    check_options(name, options, key, of=cls)
    options = {**_DEFAULTS.get(name, {}), **options}
    wrapped = options.get("wrapped_pruner")
    if wrapped is not None:
        options["wrapped_pruner"] = _optuna_pruner(_wrapped(name, wrapped), f"{key}.wrapped_pruner")
    if issubclass(cls, optuna_pruners.WilcoxonPruner):
        importlib.import_module("scipy.stats")  # a second, which its first decision would take in the middle of a round
    return build(cls, name, options, key)


def _wrapped(name: str, given: Any) -> PrunerSettings:
    inner = dict(given) if isinstance(given, Mapping) else {"name": given}
    known = str(inner.pop("name", ""))
    if known in OWN_RULES:
        raise StudyFileError(
            f"{name} wraps pruners of Optuna's own, and {known} is none",
            key="pruner.wrapped_pruner",
            cure="median, percentile, wilcoxon, or a dotted path such as optuna.pruners.SuccessiveHalvingPruner",
        )
    return PrunerSettings(name=known, options=inner)
