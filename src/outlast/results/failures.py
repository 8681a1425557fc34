"""Failures grouped by what they have in common. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import comb
from typing import Any

from msgspec import Struct

from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Trial
from outlast.core.states import Cause, TrialState

_CHANCE = 20


class FailureGroup(Struct, frozen=True):
    """Trials that failed alike."""

    signature: str
    cause: Cause
    reason: str  # the first trial's, one line
    trials: tuple[int, ...]  # by number; the first one is the one to look at
    shared: tuple[tuple[str, Any], ...]  # parameter values that all of them have and some other trial has not
    ranges: tuple[tuple[str, str, float], ...] = ()  # (lr, >, 0.5): all of them lie there, and no trial that ended well

    @property
    def first(self) -> int:
        """The lowest number among them."""
        return self.trials[0]


def group_failures(study: Study) -> list[FailureGroup]:
    """Failed and infeasible trials by the signature of their last outcome, largest group first; last what a new version of
    the study file left out, which is no failure.

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
            ranges=_ranges([trial for trial, _ in members], everyone),
        )
        for (cause, _), members in groups.items()
    ]
    return sorted(found, key=lambda g: (g.cause is Cause.SPACE_CHANGED, -len(g.trials), g.first))


def _shared(members: Sequence[Trial], everyone: Sequence[Trial]) -> tuple[tuple[str, Any], ...]:
    if len(members) < 2:
        return ()

    def have(trials: Sequence[Trial], name: str, value: Any) -> bool:
        return all(name in trial.params and trial.params[name] == value for trial in trials)

    first = members[0].params.items()
    return tuple(
        (name, value) for name, value in first if have(members[1:], name, value) and not have(everyone, name, value)
    )


def _ranges(members: Sequence[Trial], everyone: Sequence[Trial]) -> tuple[tuple[str, str, float], ...]:
    """On which side of all trials that ended well the members lie: parameters that are numbers, one by one.

    Told only where chance is no explanation: were the values of a parameter dealt out at random, the members would have to be
    the largest ones in one of at least `_CHANCE` ways for each parameter that is looked at.
    """
    well = [trial for trial in everyone if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    found = []
    for name in members[0].params:
        ours = [trial.params[name] for trial in members if _is_number(trial.params.get(name))]
        theirs = [trial.params[name] for trial in well if name in trial.params]
        if len(ours) < len(members) or not theirs or not all(map(_is_number, theirs)):
            continue
        if comb(len(ours) + len(theirs), len(ours)) < _CHANCE * len(members[0].params):
            continue
        if min(ours) > max(theirs):
            found.append((name, ">", float(max(theirs))))
        elif max(ours) < min(theirs):
            found.append((name, "<", float(min(theirs))))
    return tuple(found)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
