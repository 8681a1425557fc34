"""Parameters that are drawn ahead for an objective that asks as it goes: what most of the trials before it asked for."""

from __future__ import annotations

from collections import Counter, deque

from outlast.core.fold import Study

_TRIALS = 16  # that are looked back at
_OFTEN = 4  # what fewer of them asked for than one in so many is not offered


class Offers:
    """What is worth drawing ahead. What an objective does not ask for is nobody's, and was drawn in vain."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._seen: deque[dict[str, str]] = deque(maxlen=_TRIALS)
        self._next = max(0, study.next_number - 4 * _TRIALS)

    def wanted(self) -> dict[str, str]:
        """Parameter → distribution, in the order in which they are asked for."""
        self._look()
        asked = Counter(name for each in self._seen for name in each)
        latest = {name: text for each in self._seen for name, text in each.items()}
        return {name: text for name, text in latest.items() if asked[name] * _OFTEN >= len(self._seen)}

    def _look(self) -> None:
        """Take in the trials that have ended since, in the order of their numbers as far as they have."""
        trials = self._study.trials
        while (trial := trials.get(self._next)) is not None and trial.state.finished:
            self._seen.append(trial.distributions)
            self._next += 1
