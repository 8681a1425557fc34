"""The random sampler: the numbers that Optuna's draws from the same seed, without loading it.

The order of the calculation is that of ``optuna._transform`` (5.0): another would change the last digit.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from outlast.optimizer.ranges import ChoiceRange, FloatRange, IntRange, Range

if TYPE_CHECKING:
    import numpy as np

#: The next number of a sequence, from 0 up to and without 1.
Next: TypeAlias = Callable[[], float]
_FEW = 200  # seeds that Python's twister takes before NumPy is loaded, which takes them faster


class RandomDraws:
    """Draws what `optuna.samplers.RandomSampler` draws from the same seed; may be seeded again instead of made anew."""

    def __init__(self, seed: int = 0) -> None:
        #: Nothing is noted about a trial.
        self.notes: dict[str, Any] = {}
        self._seeds = 0
        self._numpys: np.random.RandomState | None = None
        self._next: Next
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Go on as one that was made with this seed."""
        self._seeds += 1
        if self._numpys is None and (self._seeds > _FEW or "numpy" in sys.modules):
            from numpy.random import RandomState

            self._numpys = RandomState(seed)
        if self._numpys is None:
            self._next = twister(seed).random
        else:
            self._numpys.seed(seed)
            self._next = self._numpys.random_sample

    def together(self) -> dict[str, Any]:
        """Nothing is drawn together."""
        return {}

    def alone(self, name: str, range_: Range) -> Any:
        """A value from the range."""
        return drawn(self._next, range_)

    def begin(self, fixed: Mapping[str, Any]) -> None:
        """Nothing is to be done."""

    def took(self, name: str, value: Any, range_: Range) -> None:
        """What the trial has changes nothing."""

    def end(self) -> None:
        """Nothing is to be done."""


def twister(seed: int) -> Random:
    """Python's generator, which is NumPy's `RandomState` as well (MT19937), made to say the numbers that that one says."""
    state = [seed]
    for place in range(1, 624):
        seed = (1812433253 * (seed ^ seed >> 30) + place) & 0xFFFFFFFF
        state.append(seed)
    made = Random(0)
    made.setstate((3, (*state, 624), None))
    return made


def drawn(next_: Next, range_: Range) -> Any:
    """The next value of a range that a random sampler with these numbers would draw."""
    if isinstance(range_, ChoiceRange):
        parts = [next_() for _ in range_.choices]
        return range_.choices[parts.index(max(parts))]
    low, high = _ends(range_)
    return _rounded(low + (high - low) * next_(), range_)


@lru_cache(maxsize=4096)
def _ends(range_: FloatRange | IntRange) -> tuple[float, float]:
    """Between which numbers is drawn: a value that is stepped to is drawn as often at the ends as anywhere."""
    half = 0.5 * (range_.step or 0.0)
    low, high = range_.low - half, range_.high + half
    return (math.log(low), math.log(high)) if range_.log else (float(low), float(high))


def _rounded(number: float, range_: FloatRange | IntRange) -> Any:
    """The value of the range that is next to a number; where there is no step, it stays below the upper end."""
    low, high = range_.low, range_.high
    if isinstance(range_, IntRange):
        step = 0 if range_.log else math.floor((number - low) / range_.step + 0.5)
        return min(
            max(round(math.exp(number)) if range_.log else step * range_.step + range_.low, range_.low), range_.high
        )
    if range_.step is not None:
        return min(max(round((number - low) / range_.step) * range_.step + low, low), high)
    number = math.exp(number) if range_.log else number
    if low == high:
        return number
    below = math.nextafter(high, high - 1)
    return min(max(number, low), below) if range_.log else min(number, below)
