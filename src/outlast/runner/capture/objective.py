"""What is looked for, and what was seen of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

_MOST_NAMES = 1000


def writable(name: str) -> str:
    """A metric's name as UTF-8 can hold it. JSON can escape half a character: what Python makes of a file's name in another
    encoding (PEP 383)."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode()


class Objective(Struct, frozen=True):
    """One metric that the study optimises."""

    name: str
    goal: str = "maximize"  # or minimize
    take: str = "last"  # or best
    file: str | None = None  # glob of the files that hold it
    pattern: str | None = None  # regular expression whose first group is its value

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Objective:
        """Made from a plain object; unknown keys are ignored."""
        return cls(**{key: value for key, value in obj.items() if key in cls.__struct_fields__})

    def better(self, value: float, than: float) -> bool:
        """Whether the first value is the better one. NaN is never better, and anything is better than NaN."""
        if math.isnan(value) or math.isnan(than):
            return math.isnan(than) and not math.isnan(value)
        return value > than if self.goal == "maximize" else value < than


class Tally(Struct):
    """What was seen of one name. ``low`` and ``high`` leave NaN out while there is anything else."""

    last: float
    low: float
    high: float

    def add(self, value: float) -> None:
        """One more value."""
        self.last = value
        if not value >= self.low:  # also true while low is NaN
            self.low = self.low if math.isnan(value) else value
        if not value <= self.high:
            self.high = self.high if math.isnan(value) else value

    def take(self, objective: Objective) -> float:
        """The value that counts for this objective."""
        if objective.take == "best":
            return self.high if objective.goal == "maximize" else self.low
        return self.last


class Sightings:
    """Name → what was seen of it, for at most a thousand names; names seen later than that are not kept."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._doubts: dict[str, tuple[str, bool]] = {}  # name → a text that may be a number, whether it came last

    def doubt(self, name: str, text: str) -> None:
        """Take in that something stood under this name which cannot be read for certain."""
        if name in self._doubts or len(self._doubts) < _MOST_NAMES:
            self._doubts[name] = (text[:80], True)

    def doubt_of(self, name: str, objective: Objective) -> str:
        """The text that keeps a name's value from being known: the last one, for the best value any. Else empty."""
        text, last = self._doubts.get(name, ("", False))
        return text if last or objective.take == "best" else ""

    def names(self) -> list[str]:
        """Of everything that was seen, the doubtful included."""
        return [*self._tallies, *(name for name in self._doubts if name not in self._tallies)]

    def add(self, name: str, value: float) -> bool:
        """Take a value in. Returns whether the name is new."""
        if name in self._doubts:
            self._doubts[name] = (self._doubts[name][0], False)
        tally = self._tallies.get(name)
        if tally is not None:
            tally.add(value)
            return False
        if len(self._tallies) >= _MOST_NAMES:
            return False
        self._tallies[name] = Tally(value, value, value)
        return True

    def __getitem__(self, name: str) -> Tally:
        return self._tallies[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tallies

    def __iter__(self) -> Iterator[str]:
        return iter(self._tallies)

    def __len__(self) -> int:
        return len(self._tallies)

    def last_values(self) -> dict[str, float]:
        """Name → last value."""
        return {name: tally.last for name, tally in self._tallies.items()}
