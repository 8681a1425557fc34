"""The trials of a fold that somebody else goes on with: each is theirs until it is changed here, and is looked up when needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from outlast._system.cycles import no_look_for_cycles
from outlast.core.fold import Study
from outlast.core.kept_trials import KeptTrials
from outlast.core.records import Trial
from outlast.core.states import TrialState

_MANY = 1000


class TakenOver(Mapping[int, Trial]):
    """Number → trial. What the fold takes in later is not seen.

    Args:
        study: The fold. Trials that have not ended are copied, others once they are changed.
    """

    def __init__(self, study: Study) -> None:
        self._shared, self._there = study.trials, set(study.trials)
        #: Those that are ours to change.
        self.own: dict[int, Trial] = {}
        for trial in study.in_state(*(state for state in TrialState if not state.finished)):
            self.own[trial.number] = _copied(trial)

    def mine(self, number: int) -> Trial:
        """A trial, to be changed."""
        if number not in self.own:
            self.own[number] = _copied(self[number])
        return self.own[number]

    def expect(self, many: int) -> None:
        """So many of them will be looked up."""
        if many > _MANY and isinstance(self._shared, KeptTrials):
            with no_look_for_cycles():  # which takes as long again
                self._shared.expect(many)

    def __getitem__(self, number: int) -> Trial:
        found = self.own.get(number)
        if found is None:
            if number not in self._there:
                raise KeyError(number)
            found = self._shared[number]
        return found

    def __contains__(self, number: object) -> bool:
        return number in self.own or number in self._there

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._there.union(self.own)))

    def __len__(self) -> int:
        return len(self._there.union(self.own))


def _copied(trial: Trial) -> Trial:
    return replace(
        trial,
        params=dict(trial.params),
        distributions=dict(trial.distributions),
        attempts=[copy.copy(attempt) for attempt in trial.attempts],
    )
