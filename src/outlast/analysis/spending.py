"""What a search cost: by the state that its trials ended in."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from msgspec import Struct

from outlast.core.fold import Study
from outlast.core.hours import Hours, hours
from outlast.core.states import TrialState


class StateCost(Struct, frozen=True):
    """The trials of one state. Hours of training, and of GPUs where attempts had any."""

    state: str
    trials: int
    hours: float
    gpu_hours: float
    median_seconds: float  # of one trial, all its attempts


class Spending(Struct, frozen=True):
    """What the search took."""

    states: tuple[StateCost, ...]  # most hours first
    hours: Hours  # by what they went into: results, pruned trials, waste
    per_trial: (
        float | None
    )  # hours of `hours`' unit for one more complete or pruned trial, failures on the way included
    wall_seconds: float  # of runs, one after the other


def spending(study: Study, running: Mapping[int, float] | None = None) -> Spending:
    """Add up what a study's trials cost. Imported ones cost nothing here.

    Args:
        study: The folded ledger.
        running: Trial → seconds that its open attempt has trained so far.
    """
    total = hours(study, running)
    states = []
    for state in TrialState:
        trials = [trial for trial in study.in_state(state) if trial.source != "imported"]
        if trials:
            seconds = [trial.seconds for trial in trials]
            cards = sum(attempt.gpu_seconds for trial in trials for attempt in trial.attempts)
            states.append(StateCost(state.value, len(trials), sum(seconds) / 3600, cards / 3600, median(seconds)))
    results = sum(each.trials for each in states if each.state in ("complete", "pruned"))
    closed = total.used - total.open
    return Spending(
        tuple(sorted(states, key=lambda each: -each.hours)),
        total,
        closed / results if results else None,
        study.elapsed_before,
    )
