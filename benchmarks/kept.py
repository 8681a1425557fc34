"""Kept workers: trials a second of objectives that take no time, and what a trial costs the processors.

    python benchmarks/bench.py kept

The objective asks for 10 parameters and reports 20 values, with the random sampler and no pruner. The other side is plain
Optuna on its best durable storage, a journal file, with as many processes.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from _figures import Figure, Mark
from _shared import beyond, call

ABOUT = (
    "An objective with 10 `suggest_float` and 20 `report`, random sampler, `isolation: kept`; beside it plain Optuna with as "
    "many processes on a journal file. Of two runs that differ in their length only, so that starting does not count."
)
SIDE = str(Path(__file__).with_name("_kept_side.py"))


def run_side(place: Path, side: str, trials: int, at_once: int) -> tuple[float, float]:
    """Seconds by the clock and of the processors."""
    folder = place / f"{side}-{trials}-{at_once}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wall, used = call([sys.executable, SIDE, side, str(trials), str(at_once)], cwd=folder).split()[-2:]
    return float(wall), float(used)


def rate(place: Path, side: str, few: int, many: int, at_once: int) -> float:
    """Trials a second of a run that has begun."""
    walls = [run_side(place, side, trials, at_once)[0] for trials in (few, many)]
    return (many - few) / beyond(*walls)


def cost(place: Path, side: str, few: int, many: int, at_once: int) -> float:
    """Processor milliseconds of a trial, for everything that has a part in it."""
    used = [run_side(place, side, trials, at_once)[1] for trials in (few, many)]
    return 1000 * beyond(*used) / (many - few)


def figures(place: Path, quick: bool) -> list[Figure]:
    """What is measured."""
    ours, theirs = ((100, 700), (10, 50)) if quick else ((500, 6_000), (50, 400))
    found = [
        Figure(
            f"rate_{at_once}", f"trials, {at_once} at once", "trials/s",
            lambda _, n=at_once: rate(place, "kept", *ours, n), lambda _, n=at_once: rate(place, "journal", *theirs, n),
            "Optuna, journal file", Mark(10, of="ratio", at_least=True),
        )
        for at_once in (16, 64)
    ]  # fmt: skip
    return [
        *found,
        Figure(
            "cost", "processor time, 4 at once", "ms a trial", lambda _: cost(place, "kept", *ours, 4),
            lambda _: cost(place, "journal", *theirs, 4), "Optuna, journal file", Mark(5.7), quick=True,
        ),
        Figure(
            "function", "trials of a function of two parameters, 2 at once", "trials/s",
            lambda _: rate(place, "function", *ours, 2), mark=Mark(192, at_least=True),
        ),
        Figure(
            "worker", "the same with `isolation: worker`, a fork each", "trials/s",
            lambda _: rate(place, "worker", *((20, 120) if quick else (100, 1_000)), 2), mark=Mark(192, at_least=True),
        ),
    ]  # fmt: skip
