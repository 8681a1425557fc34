"""The tasks: what is searched, what a training comes to, and what is true of a configuration.

A third of each kind is set aside, drawn by a fixed seed before anything was measured: nobody looks at those while choosing
what to do. Tasks over the same data are on the same side.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from quality_lab import tables
from quality_lab.axes import Space, drawn
from quality_lab.remembered import Trainings
from quality_lab.simulated_clock import Params, Training, word
from quality_lab.trained_spaces import BROKEN, TRAINED

KINDS = ("tables", "trained", "broken")
#: Of a trained configuration: searches see one of the first seeds, the truth is the mean over the others.
SEARCH_SEEDS, TRUE_SEEDS = range(5), range(1000, 1008)
#: Random configurations that say what is usual.
USUAL = 64
_SET_ASIDE_SEED = 20261130


@dataclass(frozen=True)
class Task:
    """One task. `data` says which tasks belong together."""

    name: str
    kind: str
    data: str
    space: Space
    #: Of a table: whether a configuration with such a value runs at all.
    runs: Callable[[Params, float], bool] = lambda params, value: True

    @property
    def set_aside(self) -> bool:
        """Whether it is one of those that are reported separately."""
        return self.data in set_aside()


def _memory_of_width(params: Params, value: float) -> bool:
    return not (params["width"] >= 6 and params["depth"] >= 1)


def _memory_of_batches(params: Params, value: float) -> bool:
    return bool(params["width"] + params["batch_size"] < 12)


def _converges(params: Params, value: float) -> bool:
    return value < 1.0


@lru_cache
def all_tasks() -> Mapping[str, Task]:
    """Every task by name."""
    found = [
        Task(f"{family}_{data}", "tables", f"{family} {data}", tables.space_of(family))
        for family, sets in tables.DATA_SETS.items()
        for data in sets
    ]
    found += [
        Task(name, "broken" if name in BROKEN else "trained", name, trained.space) for name, trained in TRAINED.items()
    ]
    for name, data, runs in (
        ("memory_segment", "hpobench segment", _memory_of_width),
        ("memory_phoneme", "hpobench phoneme", _memory_of_batches),
        ("memory_kc1", "hpobench kc1", _memory_of_width),
        ("diverging_slice", "hpolib slice_localization", _converges),
        ("diverging_naval", "hpolib naval_propulsion", _converges),
    ):
        found.append(Task(name, "broken", data, tables.space_of(data.split()[0]), runs))
    return {task.name: task for task in found}


@lru_cache
def set_aside() -> frozenset[str]:
    """The data of a third of the tasks: of each family of tables, and of those that train."""
    chance = random.Random(_SET_ASIDE_SEED)
    families = [[f"{family} {data}" for data in sets] for family, sets in tables.DATA_SETS.items()]
    trains = [[name for name in TRAINED if (name in BROKEN) is broken] for broken in (False, True)]
    return frozenset(
        data for each in families + trains for data in chance.sample(sorted(each), max(1, round(len(each) / 3)))
    )


class Bench:
    """Trains for searches, and knows the truth."""

    def __init__(self, environments: Path, trainings: Trainings) -> None:
        self._environments, self._trainings = environments, trainings
        self._usual: dict[str, float] = {}
        self._best: dict[str, float | None] = {}

    def train(self, task: Task, params: Params, seed: int) -> Training:
        """What a search with this seed sees of a configuration, always the same."""
        if task.data in TRAINED:
            curve = self.curve(task, params, self.seed_of(task, params, seed))
            seconds = TRAINED[task.data].seconds(params)
            return Training(curve[-1], seconds) if curve else Training(None, 0.05 * seconds)
        table, row = self._row(task, params)
        at = drawn_by(task.name, seed, word(params))
        repetitions = int(np.isfinite(table.values[row]).sum())
        value, seconds = (float(each[row, at % repetitions]) for each in (table.values, table.seconds))
        return Training(value, seconds) if task.runs(params, value) else Training(None, 0.05 * seconds)

    def seed_of(self, task: Task, params: Params, seed: int) -> int:
        """Which training a search with this seed sees of a configuration."""
        return SEARCH_SEEDS[drawn_by(task.name, seed, word(params)) % len(SEARCH_SEEDS)]

    def curve(self, task: Task, params: Params, seed: int) -> Sequence[float | None]:
        """The losses of a training epoch by epoch; one that diverged ends with None, one that cannot run has none."""
        return self._trainings.curve(task.data, params, seed)

    def truth(self, task: Task, params: Params) -> float | None:
        """The true value of a configuration; what fails now and then counts there as the usual one. None: it never runs."""
        if task.data not in TRAINED:
            table, row = self._row(task, params)
            value = float(table.truth[row])
            return value if task.runs(params, value) else None
        ends = [(self.curve(task, params, seed) or [None])[-1] for seed in TRUE_SEEDS]
        ran = [value for value in ends if value is not None]
        if not ran:
            return None
        middle = self.usual(task) if len(ran) < len(ends) else 0.0
        return sum(max(middle, ran[0]) if value is None else value for value in ends) / len(ends)

    def usual(self, task: Task) -> float:
        """The median true value of random configurations that run."""
        if task.name not in self._usual:
            values = self._usual_ends(task) if task.data in TRAINED else self._running_truths(task)
            self._usual[task.name] = float(np.median(values))
        return self._usual[task.name]

    def best(self, task: Task) -> float | None:
        """The best true value there is; None where only searches can tell."""
        if task.name not in self._best:
            self._best[task.name] = None if task.data in TRAINED else float(np.min(self._running_truths(task)))
        return self._best[task.name]

    def _usual_ends(self, task: Task) -> list[float]:
        chance, ends = random.Random(f"usual {task.name}"), []
        for at in range(USUAL):
            curve = self.curve(task, drawn(task.space, chance), TRUE_SEEDS[at % len(TRUE_SEEDS)])
            ends.append((curve or [None])[-1])
        return [value for value in ends if value is not None]

    def _running_truths(self, task: Task) -> Any:
        family, data = task.data.split()
        table = tables.load(self._environments, family, data)
        truth = table.truth
        runs = [task.runs(tables.params_of(family, key), truth[row]) for key, row in table.rows.items()]
        return truth[np.array(runs)]

    def _row(self, task: Task, params: Params) -> tuple[tables.Table, int]:
        family, data = task.data.split()
        table = tables.load(self._environments, family, data)
        return table, table.rows[tables.row_key(family, params)]


def drawn_by(*parts: object) -> int:
    """A number that is drawn by these parts, always the same."""
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:6], "big")
