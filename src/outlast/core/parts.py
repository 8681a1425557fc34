"""Trials in parts: one configuration run with several seeds, or on several folds, or both.

Every part is run by attempts of its own and its value is durable when it ends; the trial is complete when all parts are, and
its value is their mean. An interrupted trial repeats only its unfinished part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast.core.records import AttemptEnded, Trial
from outlast.core.states import Cause, TrialState


class Part(Struct, frozen=True):
    """One part of a trial. ``seed`` and ``fold`` are ``None`` where the study has none."""

    number: int
    seed: int | None = None
    fold: int | None = None

    @property
    def folder(self) -> str:
        """Its folder below ``checkpoints/``."""
        return f"part-{self.number}"


def parts(seeds: Sequence[int], folds: int | None) -> tuple[Part, ...]:
    """The parts of every trial of a study: each seed on each fold. Empty where a trial is whole."""
    pairs = [(seed, fold) for seed in (seeds or (None,)) for fold in (range(folds) if folds else (None,))]
    return () if pairs == [(None, None)] else tuple(Part(i, seed, fold) for i, (seed, fold) in enumerate(pairs))


def part_results(trial: Trial) -> dict[int, tuple[float, ...]]:
    """Part → its values (none, where no score was asked for), for every part that has ended well since the trial was last begun
    from scratch."""
    return {
        outcome.part: outcome.part_values
        for outcome in trial.kept
        if outcome.part is not None and outcome.part_values is not None
    }


def next_part(trial: Trial, whole: Sequence[Part]) -> Part | None:
    """The first part without a result; ``None`` where trials are whole or every part has one."""
    done = part_results(trial)
    return next((part for part in whole if part.number not in done), None)


def with_part(
    event: AttemptEnded, trial: Trial, part: Part, whole: Sequence[Part], names: Sequence[str]
) -> AttemptEnded:
    """What one part's outcome means for its trial.

    A part that ended well leaves the trial waiting for the next part, and with the last one it is complete by the mean; where
    one has no score, as none was asked for, the trial has none. The curve of such a trial is its parts' values. Any other
    outcome is the trial's. The `event` is the attempt's outcome as if the trial were whole, which comes with its earlier ones;
    `whole` are all parts, `names` those of the objectives.
    """
    event = replace(event, part=part.number, curves=tuple(() for _ in names))
    if event.state is not TrialState.COMPLETE:
        return event
    own = event.values or ()
    results = {**part_results(trial), part.number: own}
    event = replace(event, part_values=own, curves=tuple(((part.number, value),) for value in own) or event.curves)
    if len(results) < len(whole):
        reason = f"part {len(results)} of {len(whole)} done"
        return replace(event, state=TrialState.INTERRUPTED, cause=Cause.PART, values=None, reason=reason)
    if not all(results.values()):
        return replace(event, values=None)
    columns = list(zip(*(results[i] for i in sorted(results)), strict=True))
    means = tuple(math.fsum(column) / len(column) for column in columns)
    spread = {f"{name}.std": _std(column) for name, column in zip(names, columns, strict=True)}
    return replace(event, values=means, metrics={**event.metrics, **spread})


def _std(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for one value."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def draw_folds(
    rows: Sequence[Mapping[str, Any]],
    n: int,
    *,
    seed: int,
    stratify: str | None = None,
    group: str | None = None,
    shuffle: bool = True,
) -> list[list[Any]]:
    """Divide ids into `n` validation folds.

    Args:
        rows: One mapping per example, with its ``id`` and the columns that are named below.
        n: How many folds.
        seed: Of the shuffle.
        stratify: Column whose values are spread evenly over the folds.
        group: Column whose equal values stay together in one fold.
        shuffle: Whether to shuffle first.

    Raises:
        ValueError: Fewer examples, or groups, than folds.
    """
    units: dict[Any, list[Mapping[str, Any]]] = {}
    for at, row in enumerate(rows):
        units.setdefault(row[group] if group else at, []).append(row)
    order = list(units.values())
    if len(order) < n:
        raise ValueError(f"{len(order)} {'groups' if group else 'examples'} cannot make {n} folds")
    if shuffle:
        import random  # seldom needed, and slow to load

        random.Random(seed).shuffle(order)
    if stratify:
        order.sort(key=lambda unit: str(unit[0][stratify]))  # stable: shuffled within a stratum
    elif group:
        order.sort(key=len, reverse=True)
    folds: list[list[Any]] = [[] for _ in range(n)]
    for at, unit in enumerate(order):
        smallest = min(range(n), key=lambda i: (len(folds[i]), i)) if group else at % n
        folds[smallest].extend(row["id"] for row in unit)
    return folds
