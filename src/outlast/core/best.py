"""Which trial is best. Pure: a folded study in, trials out.

Only complete trials with a finite value for every objective can be best, and only those that keep the constraints which their
objective set. Failed and infeasible trials take the worst value there is, but in tables only.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState


class Objective(Protocol):
    """The two words of an objective that ranking needs; `outlast.config.settings.MetricSettings` has them."""

    @property
    def name(self) -> str:
        """The metric's name."""

    @property
    def goal(self) -> str:
        """``maximize`` or ``minimize``."""


def best_trial(study: Study, metrics: Sequence[Objective]) -> Trial | None:
    """The best complete trial; among equals the one with the lowest number.

    With several objectives: the trial of the Pareto front that is best in the first of them, then in the next ones.
    ``None`` while no trial has completed.
    """
    signs = _signs(metrics)
    known = _known_best(study, metrics)
    if known is not None:
        return study.trials[known]
    best: tuple[tuple[float, ...], int] | None = None
    # The lexicographic best is on the Pareto front: whatever dominated it would come before it.
    for number, costs in _candidates(study, signs):
        if best is None or costs < best[0] or (costs == best[0] and number < best[1]):
            best = costs, number
    return None if best is None else study.trials[best[1]]


def is_best(study: Study, trial: Trial, metrics: Sequence[Objective]) -> bool:
    """Whether this is the best trial; with one objective mostly known without looking at the others."""
    known = _known_best(study, metrics)
    return best_trial(study, metrics) is trial if known is None else known == trial.number


def _known_best(study: Study, metrics: Sequence[Objective]) -> int | None:
    """The number of the best trial where no other has to be looked at for it."""
    extremes, numbers = (study.extreme_values, study.extreme_trials) if len(metrics) == 1 else (None, None)
    if extremes is None or numbers is None or not all(map(math.isfinite, extremes)):
        return None
    return numbers[metrics[0].goal == "maximize"]


def best_trials(study: Study, metrics: Sequence[Objective]) -> list[Trial]:
    """The Pareto front by number: complete trials that no other beats in one objective and equals in the rest.

    With one objective this is the best trial alone.
    """
    if len(metrics) == 1:
        best = best_trial(study, metrics)
        return [] if best is None else [best]
    signs = _signs(metrics)
    front: list[tuple[tuple[float, ...], int]] = []
    # In lexicographic order nothing that comes later can dominate what came before: one pass is enough.
    for number, costs in sorted(_candidates(study, signs), key=lambda pair: (pair[1], pair[0])):
        if not any(_dominates(other, costs) for other, _ in front):
            front.append((costs, number))
    return [study.trials[number] for number in sorted(number for _, number in front)]


def ranked(study: Study, metrics: Sequence[Objective], limit: int | None = None) -> list[Trial]:
    """All trials, best first: complete ones by value, pruned ones by their last value, failed ones, unfinished ones.

    With several objectives the Pareto front comes first, and each group is in the order of the first objective. All of them,
    or the first `limit`.
    """
    signs = _signs(metrics)
    front = {trial.number for trial in best_trials(study, metrics)}

    def key(trial: Trial) -> tuple[int, int, float, int]:
        value = table_value(trial, metrics)
        cost = math.inf if value is None or math.isnan(value) else signs[0] * value
        return _GROUPS.get(trial.state, 3), trial.number not in front, cost, trial.number

    if limit is None:
        return sorted(study.trials.values(), key=key)
    complete = [(number not in front, costs[0], number) for number, costs in _candidates(study, signs)]
    if limit <= len(complete) == study.counts()[TrialState.COMPLETE]:  # then nothing else comes into question
        return [study.trials[number] for *_, number in heapq.nsmallest(limit, complete)]
    return heapq.nsmallest(limit, study.trials.values(), key=key)


def table_value(trial: Trial, metrics: Sequence[Objective], objective: int = 0) -> float | None:
    """What a table shows as a trial's value.

    A complete trial's value; a pruned trial's last report; for a failed or infeasible one the worst there is (``-inf``
    where more is better, else ``inf``); ``None`` for a trial that has no outcome.
    """
    if trial.state in (TrialState.FAILED, TrialState.INFEASIBLE):
        return -math.inf if metrics[objective].goal == "maximize" else math.inf
    if not trial.state.finished:
        return None
    if trial.values is not None and objective < len(trial.values):
        return trial.values[objective]
    curve = trial.curve(objective)
    return curve[max(curve)] if curve else None


_GROUPS = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1, TrialState.INFEASIBLE: 2, TrialState.FAILED: 2}  # others: 3


def _candidates(study: Study, signs: Sequence[float]) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Numbers of complete trials with their values as costs, less being better."""
    finite = math.isfinite
    if len(signs) == 1:  # plainly, because a study of ten thousand trials is looked at all the time
        sign = signs[0]
        for number, values in study.scores():
            if finite(values[0]):
                yield number, (sign * values[0],)
        return
    for number, values in study.scores():
        if len(values) >= len(signs) and all(map(finite, values)):
            yield number, tuple(sign * value for sign, value in zip(signs, values, strict=False))


def _signs(metrics: Sequence[Objective]) -> tuple[float, ...]:
    return tuple(-1.0 if metric.goal == "maximize" else 1.0 for metric in metrics)


def _dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
