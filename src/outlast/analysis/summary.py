"""Everything that the trials of a study say, put together from the statistics of this room."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.analysis.border_search import at_borders
from outlast.analysis.borders import Border
from outlast.analysis.dimensions import Dimension, category, dimensions_of, of_numbers
from outlast.analysis.endings import Apart, Steps, set_apart, steps_of
from outlast.analysis.expected_best import ExpectedBest, expected_best
from outlast.analysis.further_trials import Gain, gains
from outlast.analysis.ranks import Correlation, spearman
from outlast.analysis.shares import CategoryShare, best_part, category_shares
from outlast.analysis.spending import Spending, spending
from outlast.core.best import Objective, table_value
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState
from outlast.space.parameters import Parameter

_CHANCE = 0.05  # divided by how many are looked at (Bonferroni)
_INDEPENDENT = ("random", "qmc", "grid")  # samplers whose trials do not learn from each other


class Correlated(Struct, frozen=True):
    """A number's correlation with the metric, in all trials that have it or under one value of the parameter it hangs on."""

    parameter: str
    where: tuple[str, Any] | None
    correlation: Correlation
    stands_out: bool  # beyond chance, as many as are looked at


class AtBorder(Struct, frozen=True):
    """A parameter whose best values are at an end of its range."""

    parameter: str
    border: Border


class ObjectiveAnalysis(Struct, frozen=True):
    """What the complete trials say about one objective."""

    name: str
    goal: str
    trials: int  # complete, with a value
    best_part: tuple[int, ...]  # the numbers of the best trials, of which the next lines speak
    wins: Mapping[str, tuple[CategoryShare, ...]]  # by parameter
    correlations: tuple[Correlated, ...]
    borders: tuple[AtBorder, ...]
    expected_best: tuple[ExpectedBest, ...]
    further: tuple[Gain, ...]


class Analysis(Struct, frozen=True):
    """See `analyse`."""

    objectives: tuple[ObjectiveAnalysis, ...]
    pruned_at: Steps
    pruned: tuple[Apart, ...]  # what sets pruned trials apart from complete ones
    failed: tuple[Apart, ...]  # what sets failed and infeasible ones apart from those that ended well
    spending: Spending

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not finite is a text, as in the ledger."""
        plain: dict[str, Any] = plain_json(self)
        return plain


def analyse(
    study: Study,
    parameters: Sequence[Parameter],
    metrics: Sequence[Objective],
    *,
    sampler: str = "auto",
    resamples: int = 100,
    running: Mapping[int, float] | None = None,
    brief: bool = False,
) -> Analysis:
    """What the trials of a study say.

    Args:
        study: The folded ledger.
        parameters: Of the study file.
        metrics: The objectives in its order.
        sampler: Its name: of one whose trials learn from each other, only the later half stands for further ones.
        resamples: Of the bootstrap for the gain of further trials; 0 leaves its interval out.
        running: Trial → seconds that its open attempt has trained so far.
        brief: Leave out what takes long: correlations, who is pruned or fails, the expected best, the gain's interval.
    """
    dimensions = dimensions_of(parameters, study.trials.values())
    complete = [trial for trial in study.in_state(TrialState.COMPLETE) if trial.feasible]
    pruned = study.in_state(TrialState.PRUNED)
    failed = [
        trial for trial in study.in_state(TrialState.FAILED, TrialState.INFEASIBLE)
        if trial.cause not in (Cause.SPACE_CHANGED, Cause.CONSTRAINT)
    ]  # fmt: skip
    params = [trial.params for trial in complete]
    well, compared = [*params, *(trial.params for trial in pruned)], () if brief else dimensions
    how = _How(sampler, 0 if brief else resamples, brief)
    return Analysis(
        tuple(_objective(at, dimensions, complete, pruned, metrics, how) for at in range(len(metrics))),
        steps_of([_given_up_at(trial) for trial in pruned]),
        tuple(set_apart(compared, [trial.params for trial in pruned], params)),
        tuple(set_apart(compared, [trial.params for trial in failed], well)),
        spending(study, running),
    )


class _How(Struct, frozen=True):
    sampler: str
    resamples: int
    brief: bool


def _objective(
    at: int, dimensions: Sequence[Dimension], complete: Sequence[Trial], pruned: Sequence[Trial],
    metrics: Sequence[Objective], how: _How,
) -> ObjectiveAnalysis:  # fmt: skip
    metric = metrics[at]
    sign = -1.0 if metric.goal == "maximize" else 1.0
    trials = [t for t in complete if t.values is not None and at < len(t.values) and math.isfinite(t.values[at])]
    values = [trial.values[at] for trial in trials if trial.values is not None]
    costs = [sign * value for value in values]
    best = best_part(costs)
    params = [trial.params for trial in trials]
    reported = [(trial.number, table_value(trial, metrics, at)) for trial in pruned]
    tried = sorted([*zip((t.number for t in trials), values, strict=True), *reported])
    known = [value for _, value in tried if value is not None and math.isfinite(value)]
    numeric = [dimension for dimension in dimensions if dimension.numeric]
    chance = _CHANCE / max(1, sum(one.values or 2 for one in dimensions if not one.numeric))
    wins = {one.name: tuple(_wins(one, params, best, costs, sign, chance)) for one in dimensions}
    ranked = [] if how.brief else [each for one in numeric for each in _correlations(one, params, values)]
    return ObjectiveAnalysis(
        metric.name,
        metric.goal,
        len(trials),
        tuple(trials[index].number for index in best),
        {name: shares for name, shares in wins.items() if shares},
        tuple(Correlated(name, where, found, found.p < _CHANCE / len(ranked)) for name, where, found in ranked),
        tuple(AtBorder(one.name, end) for one, end in at_borders(numeric, params, best)),
        () if how.brief else tuple(expected_best(known, metric.goal)),
        tuple(_further(known, metric.goal, how.sampler, how.resamples)),
    )


def _wins(
    dimension: Dimension, params: Sequence[Mapping[str, Any]], best: Sequence[int], costs: Sequence[float], sign: float,
    chance: float,
) -> list[CategoryShare]:  # fmt: skip
    having = [at for at, each in enumerate(params) if dimension.name in each]
    if dimension.numeric or not having:
        return []
    place = {at: index for index, at in enumerate(having)}
    values = [params[at][dimension.name] for at in having]
    return category_shares(
        values, [place[at] for at in best if at in place], [costs[at] for at in having], sign, chance=chance
    )


def _correlations(
    dimension: Dimension, params: Sequence[Mapping[str, Any]], values: Sequence[float]
) -> list[tuple[str, tuple[str, Any] | None, Correlation]]:
    """Over all trials that have the parameter, and under each value of the one that it hangs on, where there are several."""
    pairs = of_numbers(dimension, params)
    groups: list[tuple[tuple[str, Any] | None, list[tuple[int, float]]]] = [(None, pairs)]
    for parent, allowed in (dimension.when or {}).items():
        if len(allowed) > 1:
            groups += [
                ((parent, each), [(at, x) for at, x in pairs if category(params[at].get(parent)) == category(each)])
                for each in allowed
            ]
    found = []
    for where, chosen in groups:
        correlation = spearman([x for _, x in chosen], [values[at] for at, _ in chosen])
        if correlation is not None:
            found.append((dimension.name, where, correlation))
    return found


def _further(values: Sequence[float], goal: str, sampler: str, resamples: int) -> list[Gain]:
    """Of a tenth, a half and once more as many trials as there are."""
    if not values:
        return []
    like = list(values) if sampler in _INDEPENDENT else list(values)[len(values) // 2 :]
    best = max(values) if goal == "maximize" else min(values)
    more = sorted({max(1, round(share * len(values))) for share in (0.1, 0.5, 1.0)})
    return gains(like, goal, more, best=best, of=len(values), resamples=resamples)


def _given_up_at(trial: Trial) -> int | None:
    last = trial.last
    if last is not None and last.pruned_at is not None:
        return last.pruned_at
    return trial.last_step()
