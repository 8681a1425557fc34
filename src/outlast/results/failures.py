"""Failures grouped by what they have in common. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Trial
from outlast.core.states import Cause, TrialState

__all__ = ["FailureGroup", "group_failures"]


@dataclass(frozen=True)
class FailureGroup:
    """Trials that failed alike."""

    signature: str
    cause: Cause
    reason: str  # the first trial's, one line
    trials: tuple[int, ...]  # by number; the first one is the one to look at
    shared: tuple[tuple[str, Any], ...]  # parameter values that all of them have and some other trial has not

    @property
    def first(self) -> int:
        """The lowest number among them."""
        return self.trials[0]


def group_failures(study: Study) -> list[FailureGroup]:
    """Failed and infeasible trials by the signature of their last outcome, largest group first.

    Trials without a signature are grouped by cause and reason, numbers in the reason left aside. What a group shares is
    only told of groups of two and more: one trial shares everything with itself.
    """
    groups: dict[tuple[Cause, str], list[tuple[Trial, AttemptEnded | None]]] = {}
    for trial in study.in_state(TrialState.FAILED, TrialState.INFEASIBLE):
        last = trial.last
        signature = last.signature if last is not None else ""
        cause = trial.cause or Cause.CRASH
        groups.setdefault((cause, signature or re.sub(r"\d+", "N", trial.reason)), []).append((trial, last))
    everyone = list(study.trials.values())
    found = [
        FailureGroup(
            signature=members[0][1].signature if members[0][1] is not None else "",
            cause=cause,
            reason=members[0][0].reason,
            trials=tuple(trial.number for trial, _ in members),
            shared=_shared([trial for trial, _ in members], everyone),
        )
        for (cause, _), members in groups.items()
    ]
    return sorted(found, key=lambda group: (-len(group.trials), group.first))


def _shared(members: Sequence[Trial], everyone: Sequence[Trial]) -> tuple[tuple[str, Any], ...]:
    if len(members) < 2:
        return ()
    first = members[0].params
    common = [
        (name, value)
        for name, value in first.items()
        if all(name in trial.params and trial.params[name] == value for trial in members[1:])
    ]
    return tuple(
        (name, value)
        for name, value in common
        if any(name not in trial.params or trial.params[name] != value for trial in everyone)
    )
