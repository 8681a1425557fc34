"""Which configurations of a discrete space are used, and which are left."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import teaches
from outlast.space.space import Space

#: Spaces up to this size are listed when proposals keep repeating; larger ones are never close to used up.
ENUMERABLE = 200_000
#: So many trials of one configuration that a machine spoilt are enough.
TRIES = 3


def key_of(params: Mapping[str, Any]) -> str:
    """Equal for equal configurations."""
    return json.dumps(params, sort_keys=True, default=str)


class Configurations:
    """The used and unused configurations of a space. A continuous space has no used ones: nothing repeats there.

    A configuration is used once a trial of it is on its way, counts, or failed for a reason of its own; one that
    failed because a machine did may be drawn again, but not for ever: what runs on no machine would never end.

    Args:
        space: What is drawn from.
        are_drawn: Whether values are as they would be drawn, all of them and no others; a quick test that may say no.
    """

    def __init__(self, space: Space, are_drawn: Callable[[Mapping[str, Any]], bool] = lambda params: False) -> None:
        self._space, self._are_drawn = space, are_drawn
        # Where every parameter is a constant there is one configuration; where none is declared, nobody can tell.
        self.discrete = bool(space.parameters) and all(p.choices is not None for p in space.sampled)
        self.enumerable = self.discrete and space.size is not None and space.size <= ENUMERABLE
        self._key_of_trial: dict[int, str] = {}
        self._uses: dict[str, int] = {}
        self._spoilt: dict[str, set[int]] = {}  # trials of it that a machine spoilt
        self._listed: dict[str, dict[str, Any]] | None = None

    def note(self, trial: Trial) -> None:
        """Take a trial's present state in."""
        if not self.discrete:
            return
        self.forget(trial.number)
        key = self._key(trial)
        spoilt = self._spoilt.setdefault(key, set())
        if trial.state is TrialState.FAILED and not teaches(trial):
            spoilt.add(trial.number)
            if len(spoilt) < TRIES:
                return
        else:
            spoilt.discard(trial.number)
        self._key_of_trial[trial.number] = key
        self._uses[key] = self._uses.get(key, 0) + 1

    def forget(self, number: int) -> None:
        """A trial is gone."""
        key = self._key_of_trial.pop(number, None)
        if key is not None:
            self._uses[key] -= 1
            if not self._uses[key]:
                del self._uses[key]

    def used(self, params: Mapping[str, Any]) -> bool:
        """Whether a trial of this configuration exists."""
        return self.discrete and key_of(params) in self._uses

    def used_up(self) -> bool:
        """Whether every configuration has its trial."""
        if not self.enumerable or len(self._uses) < (self._space.size or 0):
            return False
        return all(key in self._uses for key in self._all())

    def pick(self, seed: int) -> dict[str, Any] | None:
        """One unused configuration at random, or ``None`` when there is none (or no list of them)."""
        unused = [each for key, each in self._all().items() if key not in self._uses] if self.enumerable else []
        return random.Random(seed).choice(unused) if unused else None

    def next_of(self, order_seed: int) -> dict[str, Any] | None:
        """The first unused configuration in the order of a seed; those that a machine spoilt come last."""
        order = list(self._all())
        random.Random(order_seed).shuffle(order)
        left = [key for key in order if key not in self._uses]
        key = next((key for key in left if key not in self._spoilt), left[0] if left else None)
        return None if key is None else dict(self._all()[key])

    def _key(self, trial: Trial) -> str:
        """Of what would be drawn for the trial: without constants, and 1.0 where it says 1."""
        if self._are_drawn(trial.params):
            return key_of(trial.params)
        if self._listed is not None and (key := key_of(trial.params)) in self._listed:
            return key
        try:
            return key_of(self._space.decode(self._space.encode(trial.params)))
        except ValueError:  # of another revision: it is none of ours
            return key_of(trial.params)

    def _all(self) -> dict[str, dict[str, Any]]:
        if self._listed is None:
            self._listed = {key_of(params): params for params in self._space.grid()}
        return self._listed
