"""Pruners of Optuna's own, by our word or a dotted path."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Mapping
from typing import Any

from optuna import pruners
from optuna.pruners import BasePruner
from optuna.study import Study as OptunaStudy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Row

from outlast.config.native import PRUNERS
from outlast.config.plugins import build, check_options, is_dotted, load_class
from outlast.config.settings import PrunerSettings
from outlast.core.nearest import nearest
from outlast.core.states import TrialState
from outlast.errors import StudyFileError
from outlast.optimizer.bridge.sampler_view import View, row_of
from outlast.optimizer.pruners.pruning import Watched
from outlast.optimizer.pruners.pruning_rules import OWN_RULES

_OPTUNA: dict[str, type[BasePruner]] = {
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "patient": pruners.PatientPruner,
    "wilcoxon": pruners.WilcoxonPruner,
}
#: Of those by dotted path, the ones that are known to note nothing about trials.
_NOTES_NOTHING = (
    pruners.MedianPruner,
    pruners.PercentilePruner,
    pruners.WilcoxonPruner,
    pruners.ThresholdPruner,
    pruners.NopPruner,
)
#: What a file may leave out although Optuna asks for it.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "percentile": {"percentile": 25.0},
    "patient": {"wrapped_pruner": None, "patience": 10},
}


class _Rows(View):
    """The rows that a pruner sees. It may note things about a trial; rows that it was handed before stay what they were."""

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a pruner's note about a trial."""
        row = copy.copy(self.get_trial(trial_id))
        row.system_attrs = {**row.system_attrs, key: value}
        self.put(row)


class OptunaPruner:
    """Asks one of Optuna's pruners about trials, which it sees as rows.

    Raises:
        StudyFileError: Unknown pruner or option.
    """

    def __init__(self, chosen: PrunerSettings, *, maximize: bool) -> None:
        self._pruner = _made(chosen, "pruner")
        #: Whether it may note things about trials.
        self.keeps_notes = is_dotted(chosen.name) and type(self._pruner) not in _NOTES_NOTHING
        self._view = _Rows([StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE])
        self._study = OptunaStudy(self._view.name, self._view, pruner=self._pruner)

    def show(self, number: int, watched: Watched) -> None:
        """What is known of a trial is another thing now."""
        self._view.put(self._row(number, watched, watched.points))

    def prune(self, number: int, watched: Watched, points: dict[int, float]) -> bool:
        """Whether a trial is to be given up after these reports. Whatever the pruner raises comes through."""
        return bool(self._pruner.prune(self._study, self._row(number, watched, points)))

    def _row(self, number: int, watched: Watched, points: dict[int, float]) -> FrozenTrial:
        before, state = self._view.row(number), Row.RUNNING
        if watched.state is TrialState.COMPLETE and watched.value is not None and math.isfinite(watched.value):
            state = Row.COMPLETE
        elif watched.state is TrialState.PRUNED:
            state = Row.PRUNED
        elif watched.state.finished:
            state = Row.FAIL
        values = None if state is not Row.COMPLETE or watched.value is None else [watched.value]
        attrs = None if before is None else before.system_attrs
        return row_of(number, state, values=values, attrs=attrs, curve=points)


def _made(chosen: PrunerSettings, key: str) -> BasePruner:
    """Optuna's pruner of that name or dotted path, with another one inside where it wraps one."""
    name, options = chosen.name, dict(chosen.options)
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
        options["wrapped_pruner"] = _made(_wrapped(name, wrapped), f"{key}.wrapped_pruner")
    if issubclass(cls, pruners.WilcoxonPruner):
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
