"""Where something is worth most among the configurations that there can be: many at random, then the best ones climb."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from outlast.optimizer.gaussian.unit_rows import Array, UnitRows

#: Drawn at random, and around each of the best ones that are known.
AT_RANDOM, AROUND = 500, 20
CLIMBERS = 4
#: How far a step goes at first, in shares of a parameter, and where it is too small to go on.
FIRST_STEP, LAST_STEP, SHORTER = 0.2, 0.02, 0.6


class RowSearch:
    """A search over rows that nobody has tried.

    Args:
        worth: Of many rows at once.
        tried: Rows that are not to be suggested.
    """

    def __init__(
        self,
        rows: UnitRows,
        worth: Callable[[Array], Array],
        tried: Collection[bytes],
        chance: np.random.Generator,
    ) -> None:
        self._rows, self._worth, self._tried, self._chance = rows, worth, tried, chance

    def best(self, known: Array) -> Array | None:
        """The row that is worth most; `known` are good ones, around which is looked as well. None: all were tried."""
        drawn = self._rows.of_uniform(self._chance.random((AT_RANDOM, len(self._rows))))
        rows = np.vstack([drawn, *[self._around(row) for row in known]])
        climbers = self._choose(rows, self._value(rows), CLIMBERS, -np.inf)
        step = FIRST_STEP
        while step >= LAST_STEP:
            self._climb(climbers, step)
            step *= SHORTER
        return max(climbers, key=lambda each: each[0])[1] if climbers else None

    def _climb(self, climbers: list[tuple[float, Array]], step: float) -> None:
        """Each moves to the best row that differs from its own in one parameter, if that is worth more."""
        if not climbers:
            return
        near = [self._neighbours(row, step) for _, row in climbers]
        rows = self._rows.snapped(np.vstack(near))
        values, begin = self._value(rows), 0
        for at, count in enumerate(map(len, near)):
            those = slice(begin, begin + count)
            climbers[at : at + 1] = self._choose(rows[those], values[those], 1, climbers[at][0]) or [climbers[at]]
            begin += count

    def _value(self, rows: Array) -> Array:
        values = self._worth(rows)
        values[[key in self._tried for key in keys_of(rows)]] = -np.inf
        return values

    def _choose(self, rows: Array, values: Array, most: int, above: float) -> list[tuple[float, Array]]:
        """The best rows that satisfy the constraints, with their values."""
        chosen: list[tuple[float, Array]] = []
        for at in np.argsort(-values, kind="stable"):
            if len(chosen) == most or not values[at] > above:
                break
            if self._rows.satisfies(rows[at]):
                chosen.append((float(values[at]), rows[at]))
        return chosen

    def _around(self, row: Array) -> Array:
        """Rows that differ in one or more parameters."""
        count, d = AROUND, len(row)
        moved = self._chance.random((count, d)) < max(1.5 / d, 0.2)
        moved[np.arange(count), self._chance.integers(d, size=count)] = True
        fresh = self._rows.of_uniform(self._chance.random((count, d)))
        steps = np.clip(row + FIRST_STEP * self._chance.normal(size=(count, d)), 0.0, 1.0)
        choices = self._rows.choices[None]
        return self._rows.snapped(
            np.where(choices, np.where(moved | (row < 0), fresh, row), np.where(moved, steps, row))
        )

    def _neighbours(self, row: Array, step: float) -> Array:
        found = []
        for at, column in enumerate(self._rows.columns):
            if column.levels is not None:
                places = column.levels
            else:
                places = np.clip(row[at] + step * np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]), 0.0, 1.0)
            several = np.repeat(row[None], len(places), axis=0)
            several[:, at] = places
            found.append(several[places != row[at]])
        return np.vstack(found)


def keys_of(rows: Array) -> list[bytes]:
    """The same for the same row."""
    return [bytes(row.tobytes()) for row in np.round(rows, 9) + 0.0]


def spread(dimensions: int, begin: int, count: int, seed: int) -> Array:
    """Points `begin` and on of a sequence that fills the unit cube evenly: multiples of powers of a generalised golden ratio.

    (Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018.) The seed moves all of them.
    """
    ratio = 2.0
    for _ in range(60):
        ratio = (1.0 + ratio) ** (1.0 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    shift = np.random.default_rng(seed).random(dimensions)
    return (shift + np.arange(begin, begin + count)[:, None] * steps) % 1.0
