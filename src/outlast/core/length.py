"""How long the trainings of a study are, where that is certain. Pure."""

from __future__ import annotations

import re

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

    Alike are trials of the same revision with equal values of whatever may set the length, run as they were drawn.

    Args:
        study: The folded ledger.
        trial: That is asked about.
        part: Of a trial in parts: each counts its own steps.
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
