"""How much each parameter matters, and how certain that is: Optuna's PED-ANOVA over resampled trials."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from msgspec import Struct
from optuna.trial import FrozenTrial, TrialState

from outlast.config.settings import Goal, Settings
from outlast.core.fold import Study
from outlast.core.states import TrialState as OurState
from outlast.optimizer.bridge.optuna_distributions import distribution_of
from outlast.optimizer.ranges import contains, parsed, range_of

_LEAST = 20  # trials: the best tenth are two of them
_RESAMPLES = 20
_MOST_RESAMPLED = 1000  # trials in a resample: the interval of more is worked out from its own


class Importance(Struct, frozen=True):
    """A parameter's share of what explains who is among the best, with the interval that nine of ten resamples are in."""

    parameter: str
    share: float
    low: float
    high: float


def importances(
    study: Study, settings: Settings, *, objective: int = 0, resamples: int = _RESAMPLES, seed: int = 0
) -> list[Importance]:
    """How much each parameter decides whether a trial is among the best tenth; conditional ones included.

    Sources: S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA: Efficiently quantifying hyperparameter importance in arbitrary
    subspaces", IJCAI 2023, as Optuna has it; the interval by the bootstrap over trials (B. Efron, Ann. Stat. 7, 1979). A search's
    few trials and a sampler that goes where it is good make importances uncertain, which a single figure hides. Of many trials,
    fewer are resampled and the deviations scaled by the root of their share (P. J. Bickel, F. Götze and W. R. van Zwet,
    "Resampling fewer than n observations", Statistica Sinica 7, 1997).

    Args:
        study: The folded ledger.
        settings: In force.
        objective: Of which objective.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        Shares that add up to 1, largest first; empty with less than 20 complete trials, and where nothing sets any apart.
    """
    trials = _as_optuna(study, settings)
    if len(trials) < _LEAST:
        return []
    sign = 1.0 if settings.metrics[objective].goal == "minimize" else -1.0
    chooser, size = random.Random(seed), min(len(trials), _MOST_RESAMPLED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            shown = _Chosen([metric.goal for metric in settings.metrics])
            whole = _shares(shown.of(trials), sign, objective)
            drawn = (chooser.choices(trials, k=size) for _ in range(resamples if whole else 0))
            again = [_shares(shown.of(each), sign, objective) for each in drawn]
        finally:
            optuna.logging.set_verbosity(verbosity)
    scale = math.sqrt(size / len(trials))
    return [Importance(name, share, *_interval(share, [each.get(name, 0.0) for each in again], scale))
            for name, share in whole.items()]  # fmt: skip


def _as_optuna(study: Study, settings: Settings) -> list[FrozenTrial]:
    """The complete trials with all their values, with today's distributions."""
    known = {parameter.name: range_of(parameter.shown) for parameter in settings.space.sampled}
    shown_value = {parameter.name: parameter.shown_value for parameter in settings.space.sampled}
    found, at = [], datetime(2000, 1, 1)
    for trial in study.in_state(OurState.COMPLETE):
        values = trial.values or ()
        if not trial.feasible or len(values) != len(settings.metrics) or not all(map(math.isfinite, values)):
            continue
        params, distributions = {}, {}
        for name, value in trial.params.items():
            text = trial.distributions.get(name)
            drawn_from = parsed(text) if text else known.get(name)
            value = shown_value[name](value) if name in shown_value else value
            if drawn_from is not None and contains(drawn_from, value):
                params[name], distributions[name] = value, distribution_of(drawn_from)
        found.append(
            FrozenTrial(
                number=trial.number, trial_id=trial.number, state=TrialState.COMPLETE, value=None, values=values,
                datetime_start=at, datetime_complete=at, params=params, distributions=distributions, user_attrs={},
                system_attrs={}, intermediate_values={},
            )
        )  # fmt: skip
    return found


class _Chosen(optuna.Study):
    """A study in memory that shows the trials that it is told to: adding ten thousand would copy each."""

    def __init__(self, goals: Sequence[Goal]) -> None:
        made = optuna.create_study(directions=list(goals))
        super().__init__(study_name=made.study_name, storage=made._storage)
        self._chosen: list[FrozenTrial] = []

    def of(self, trials: list[FrozenTrial]) -> _Chosen:
        self._chosen = trials
        return self

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """See `optuna.Study`: all of ours are complete."""
        return self._chosen if states is None or TrialState.COMPLETE in states else []


def _shares(shown: optuna.Study, sign: float, objective: int) -> dict[str, float]:
    found = optuna.importance.PedAnovaImportanceEvaluator().evaluate(
        shown, target=lambda trial: sign * trial.values[objective]
    )
    total = math.fsum(found.values())
    return {name: value / total for name, value in found.items()} if total > 0 else {}


def _interval(share: float, seen: Sequence[float], scale: float) -> tuple[float, float]:
    """Around the share, as far as nine of ten resamples lie around their median."""
    if not seen:
        return share, share
    ordered = sorted(seen)
    last = len(ordered) - 1
    low, middle, high = (ordered[round(at * last)] for at in (0.05, 0.5, 0.95))
    return max(0.0, share - scale * (middle - low)), min(1.0, share + scale * (high - middle))
