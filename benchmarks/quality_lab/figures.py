"""The arithmetic of the comparison: regret, intervals, ranks and tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def regret(value: float | None, best: float, middle: float) -> float:
    """How far a true value is from the best there is: 0 is the best, 1 a random configuration's median, or worse, or nothing."""
    if value is None or not math.isfinite(value):
        return 1.0
    return min(max((value - best) / (middle - best), 0.0), 1.0)


def interval(by_task: Mapping[str, Sequence[float]], *, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The central 95% of the mean over tasks, where the seeds of each task are drawn again.

    The tasks are what they are: it says what other seeds would have come to, and nothing of other tasks.
    """
    chance, means = np.random.default_rng(seed), np.zeros(draws)
    for values in by_task.values():
        means += np.asarray(values)[chance.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    low, high = np.quantile(means / len(by_task), [0.025, 0.975])
    return float(low), float(high)


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """Holm's correction of several tests' p-values (Scandinavian Journal of Statistics 6, 1979)."""
    found, highest = {}, 0.0
    for at, (name, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, chance * (len(chances) - at)))
        found[name] = highest
    return found


def signed_rank(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The two-sided p-value of Wilcoxon's signed rank test over pairs; 1 if no pair differs."""
    from scipy.stats import wilcoxon

    if all(a == b for a, b in zip(ours, theirs, strict=True)):
        return 1.0
    return float(wilcoxon(ours, theirs, zero_method="zsplit").pvalue)


def exchanged(
    ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]], *, draws: int = 20_000, seed: int = 0
) -> float:
    """The two-sided p-value of a permutation test: how often the means over tasks are as far apart where, within each task,
    chance says which searches are whose. The seeds of both need be neither the same nor as many."""
    chance, apart, seen = np.random.default_rng(seed), np.zeros(draws), 0.0
    for task, values in theirs.items():
        both = np.concatenate([ours[task], values])
        drawn = chance.permuted(np.tile(both, (draws, 1)), axis=1)
        few = len(values)
        apart += drawn[:, few:].mean(axis=1) - drawn[:, :few].mean(axis=1)
        seen += float(np.mean(ours[task]) - np.mean(values))
    return float((1 + np.count_nonzero(np.abs(apart) >= abs(seen) - 1e-12)) / (draws + 1))


def friedman(rows: Sequence[Sequence[float]]) -> float:
    """The p-value of Friedman's test that all columns are alike; a row is a task and seed, a column a method."""
    from scipy.stats import friedmanchisquare

    columns = list(zip(*rows, strict=True))
    if len(columns) < 3 or all(len(set(row)) == 1 for row in rows):
        return 1.0
    return float(friedmanchisquare(*columns).pvalue)
