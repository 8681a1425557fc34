"""Which sampler finds most where two goals are wanted at once: a good value, and a short training.

    python benchmarks/quality.py build tables      # once
    python benchmarks/two_goals.py [--seeds 4] [--set-aside]

On the tables of `quality.py`, asked one by one. What counts is the area that the true value and the logarithm of the true
seconds of what was tried dominate, up to the median of all configurations in both: 0 is all that the best ones dominate, 1 none.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from msgspec.structs import replace
from quality_lab import tables
from quality_lab.ours import settings_of
from quality_lab.places import Places, default_folder
from quality_lab.simulated_clock import word
from quality_lab.tasks import Task, all_tasks, drawn_by

from outlast.config.settings import MetricSettings, SamplerSettings
from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, StudyCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.sampling import Optimizer

SAMPLERS = ("auto", "tpe", "nsga2", "random")
BUDGETS = (50, 100)
GOALS = (MetricSettings(name="loss", goal="minimize"), MetricSettings(name="seconds", goal="minimize"))


def area(points: Iterable[tuple[float, float]], corner: tuple[float, float]) -> float:
    """What points dominate below a corner; smaller is better in both."""
    covered, lowest = 0.0, corner[1]
    for x, y in sorted(points):
        if x < corner[0] and y < lowest:
            covered += (corner[0] - x) * (lowest - y)
            lowest = y
    return covered


def missed(task: Task, environments: Path, sampler: str, seed: int) -> dict[int, float]:
    """The share of the area that a search has not reached, by the number of its trials."""
    family, data = task.data.split()
    table = tables.load(environments, family, data)
    truth = np.column_stack([table.truth, np.log(np.nanmean(table.seconds, axis=1))])
    corner = tuple(np.median(truth, axis=0).tolist())
    whole = area(map(tuple, truth.tolist()), corner)
    settings = settings_of(task.space, sampler=SamplerSettings(name=sampler), trials=max(BUDGETS), workers=1)
    optimizer = Optimizer(replace(settings, metrics=GOALS), fold([StudyCreated("goals", "", study_seed=seed)]))
    tried: list[tuple[float, float]] = []
    found: dict[int, float] = {}
    for number in range(max(BUDGETS)):
        draw = optimizer.ask(number)
        assert draw is not None
        optimizer.apply(draw.created(number, "", 1))
        row = table.rows[tables.row_key(family, draw.params)]
        at = drawn_by(task.name, seed, word(draw.params)) % int(np.isfinite(table.values[row]).sum())
        values = (float(table.values[row, at]), float(np.log(table.seconds[row, at])))
        optimizer.apply(AttemptEnded(number, 1, "", TrialState.COMPLETE, Cause.COMPLETED, values=values))
        tried.append(tuple(truth[row].tolist()))
        if number + 1 in BUDGETS:
            found[number + 1] = 1 - area(tried, corner) / whole
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default_folder())
    parser.add_argument("--seeds", type=int, default=4, help="two at least")
    parser.add_argument("--set-aside", action="store_true", help="the tasks that are set aside, instead")
    asked = parser.parse_args()
    if asked.seeds < 2:
        parser.error("--seeds: two at least, for what other seeds change")
    places = Places(asked.cache)
    chosen = [t for t in all_tasks().values() if t.kind == "tables" and t.set_aside is asked.set_aside]
    print(f"{len(chosen)} tables, {asked.seeds} seeds: the area that is missed, and what other seeds change")
    print("| | " + " | ".join(f"{n} trials" for n in BUDGETS) + " |\n|---|" + "--:|" * len(BUDGETS))
    for sampler in SAMPLERS:
        by_seed: list[dict[int, Any]] = []
        for seed in range(asked.seeds):
            each = [missed(task, places.environments, sampler, seed) for task in chosen]
            by_seed.append({n: mean(one[n] for one in each) for n in BUDGETS})
        cells = [[each[n] for each in by_seed] for n in BUDGETS]
        print(f"| `{sampler}` | " + " | ".join(f"{mean(c):.3f} ± {stdev(c):.3f}" for c in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
