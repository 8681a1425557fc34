"""How long the trainings of a study are, where that is certain, and for how long one is worth its while. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState

_LEAST = 2  # trials that must agree: one may have stopped early, by a rule of its script's own
#: Parameters that may set how many steps there are: trials are alike where these are equal.
_SETS_LENGTH = re.compile(
    r"epoch|step|iter|round|estimator|batch|length|duration|budget|resource|time|fold|data|sampl", re.I
)


def usual_length(study: Study, trial: Trial, part: int | None = None) -> int | None:
    """The last step of every completed trial like this one; ``None`` where too few tell, or where they differ.

    Alike are trials of the same revision with equal values of whatever may set the length, run as they were drawn. Each part of
    a trial in parts counts its own steps.
    """
    own, peers = _of(trial), 0
    found: set[int | None] = set()
    for other in study.in_state(TrialState.COMPLETE):
        if other.number != trial.number and other.source != "imported" and _of(other) == own:
            peers += 1
            found.add(other.last_step(part))
            if len(found) > 1:
                return None
    return next(iter(found)) if peers >= _LEAST else None


def _of(trial: Trial) -> tuple[object, ...]:
    named = sorted((name, repr(value)) for name, value in trial.params.items() if _SETS_LENGTH.search(name))
    return (trial.revision, named, dict(trial.instead))


class BestReport(Struct, frozen=True):
    """How far trainings had come when they were best."""

    step: int  # as the training numbers its reports
    epochs: int  # how many it had done by then: the step, counted from 1


def best_report(trials: Sequence[Trial], goal: str) -> BestReport | None:
    """The best report of a training in the first objective; of several trainings the median of theirs.

    Of equally good reports the first counts. Each part (seed, fold) of a trial is a training of its own. The trials are of one
    configuration. ``None`` where nothing was reported with a number that can be compared.
    """
    found = [best for trial in trials for curve in _curves(trial) if (best := _best(curve, goal)) is not None]
    if not found:
        return None
    from statistics import median  # loaded where there is something to count: no run waits for it

    return BestReport(round(median(each.step for each in found)), round(median(each.epochs for each in found)))


def _curves(trial: Trial) -> list[dict[int, float]]:
    """The first objective's reports of each part, without what came after a decision to give the trial up."""
    curves: dict[int | None, dict[int, float]] = {}
    for outcome in trial.kept:
        curves.setdefault(outcome.part, {}).update(outcome.judged_curve())
    return list(curves.values())


def _best(curve: Mapping[int, float], goal: str) -> BestReport | None:
    finite = sorted((step, value) for step, value in curve.items() if math.isfinite(value))
    if not finite:
        return None
    sign = -1 if goal == "maximize" else 1
    step = min(finite, key=lambda report: (sign * report[1], report[0]))[0]
    return BestReport(step, step + _counts_from_zero(sorted(curve)))


def _counts_from_zero(steps: Sequence[int]) -> bool:
    """Whether the first epoch is called 0: it is reported so, or every fifth is and the first of these is called 4.

    Reports of 0, 5, 10 … are of a training that is scored before it has begun: it counts what it has done.
    """
    stride = min((after - before for before, after in pairwise(steps)), default=1)
    return steps[0] == 0 if stride == 1 else (steps[0] + 1) % stride == 0
