"""What follows from an attempt that ran out of GPU memory: cards that its trial avoids, and a smaller configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from outlast.config.settings import Settings
from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState

_HALF = 0.5


def cards_to_avoid(trial: Trial) -> frozenset[str]:
    """Cards on which the trial ran out of memory beside others."""
    return frozenset(
        gpu
        for attempt in trial.attempts
        if (end := attempt.outcome) is not None
        and (end.state, end.cause) == (TrialState.INTERRUPTED, Cause.GPU_OUT_OF_MEMORY)
        and not end.instead
        for gpu in attempt.gpus
    )


def smaller_values(trial: Trial, settings: Settings) -> Mapping[str, Any]:
    """What a trial that is too large for its card may run with instead (`trial.oom.shrink`), once for each retry of a person.

    Returns:
        Name → value; empty where that is not asked for, was done already, or would change nothing.
    """
    oom = settings.trial.oom
    standing = [attempt.outcome for attempt in trial.attempts if attempt.number > trial.retried_at_attempt]
    if oom == "infeasible" or any(outcome is not None and outcome.instead for outcome in standing):
        return {}
    names = oom["shrink"] if isinstance(oom["shrink"], (list, tuple)) else [oom["shrink"]]
    values = {**settings.space.complete(trial.params), **trial.derived, **trial.instead}
    found = {name: _smaller(values.get(name), float(oom.get("factor", _HALF))) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _smaller(value: Any, factor: float) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        return None
    if isinstance(value, float):
        return value * factor
    less = math.floor(value * factor)
    return less if less >= 1 else None
