"""How a search got better."""

from __future__ import annotations

import math

from outlast.core.states import TrialState
from outlast.monitor.overview import Sight


def so_far(sight: Sight) -> list[float]:
    """The best value after each complete trial that keeps to its constraints, in the order in which they ended."""
    if sight.study is None or sight.settings is None:
        return []
    better = max if sight.settings.metrics[0].goal == "maximize" else min
    ended = sorted(
        (
            trial
            for trial in sight.study.in_state(TrialState.COMPLETE)
            if trial.feasible and trial.values and math.isfinite(trial.values[0])
        ),
        key=lambda trial: (trial.finished_at or "", trial.number),
    )
    found: list[float] = []
    for trial in ended:
        value = trial.values[0] if trial.values else math.nan
        found.append(better(found[-1], value) if found else value)
    return found
