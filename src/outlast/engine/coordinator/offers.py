"""Parameters that are drawn ahead for an objective that asks as it goes: what most of the trials before it asked for."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from outlast.core.fold import Study

_TRIALS = 16  # that are looked back at
_NUMBERS = 1000  # the latest, among which these are found: those that run for hours hold nobody up
_OFTEN = 4  # what fewer of them asked for than one in so many is not offered


class Offers:
    """What is worth drawing ahead. What an objective does not ask for is nobody's, and was drawn in vain."""

    def __init__(self, study: Study) -> None:
        self._study = study

    def wanted(self) -> dict[str, str]:
        """Parameter → distribution, in the order in which they are asked for."""
        seen = self._seen()
        if seen and all(each == seen[0] for each in seen):  # most objectives ask for the same each time
            return dict(seen[0])
        asked = Counter(name for each in seen for name in each)
        latest = {name: text for each in seen for name, text in each.items()}
        return {name: text for name, text in latest.items() if asked[name] * _OFTEN >= len(seen)}

    def _seen(self) -> list[dict[str, str]]:
        """What the latest trials that have ended asked for, in the order of their numbers."""
        last = self._study.next_number
        latest = (self._study.trials.get(number) for number in range(last - 1, max(-1, last - 1 - _NUMBERS), -1))
        ended = (trial.distributions for trial in latest if trial is not None and trial.state.finished)
        return list(islice(ended, _TRIALS))[::-1]
