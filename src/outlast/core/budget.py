"""The budget: one function says what counts, another how much is left. It is a total for the study and it is exact."""

from __future__ import annotations

from collections.abc import Sequence

from outlast.core.fold import Study
from outlast.core.states import TrialState


def counted(study: Study, count: Sequence[str]) -> int:
    """Finished trials whose state is one of `count`."""
    counts = study.counts()
    return sum(counts[TrialState(word)] for word in set(count)) - sum(t.state.value in count for t in study.misfits)


def in_flight(study: Study) -> int:
    """Trials that have a number and no outcome yet: created, running or interrupted."""
    return sum(number for state, number in study.counts().items() if not state.finished)


def remaining(study: Study, target: int | None, count: Sequence[str]) -> int | None:
    """Trials still to be finished, those in flight included; ``None`` without a target."""
    return None if target is None else max(0, target - counted(study, count))


def room_for_new(study: Study, target: int | None, count: Sequence[str]) -> int | None:
    """How many new trials may be created now: what the target lacks beyond those in flight; ``None`` without a target."""
    return None if target is None else max(0, target - counted(study, count) - in_flight(study))


def startable(study: Study, target: int | None, count: Sequence[str]) -> int | None:
    """How many trials somebody could start now, waiting or to be created; ``None`` without a target."""
    new = room_for_new(study, target, count)
    return None if new is None else new + len(study.in_state(TrialState.CREATED, TrialState.INTERRUPTED))
