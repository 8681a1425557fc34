"""Who comes first, and what is said of the distance to the others."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from outlast.analysis.racing import ALPHA, Scores
from outlast.analysis.ranking import rank

SEEDS = [3, 1, 4, 15, 9]


def test_it_is_by_means_with_paired_differences_to_the_winner() -> None:
    results: dict[int, Scores] = {
        7: dict(zip(SEEDS, (0.90, 0.92, 0.91, 0.95, 0.93), strict=True)),
        2: dict(zip(SEEDS, (0.91, 0.91, 0.92, 0.93, 0.92), strict=True)),
    }
    found = rank(results, SEEDS)
    first, second = found.rows
    assert (first.configuration, first.behind, second.configuration) == (7, None, 2)
    theirs = stats.ttest_rel(list(results[7].values()), list(results[2].values()), alternative="greater")  # type: ignore[arg-type]
    assert second.p == pytest.approx(theirs.pvalue)
    assert not found.beyond_noise
    assert found.seeds_that_would_tell is not None and found.seeds_that_would_tell > 5


def test_fewer_failures_come_before_a_better_mean_and_the_race_before_both() -> None:
    good, better = dict.fromkeys(SEEDS, 0.5), {**dict.fromkeys(SEEDS, 0.9), 3: None}
    far = {seed: 0.1 + seed / 1000 for seed in SEEDS}
    found = rank({0: better, 1: good, 2: far}, SEEDS)
    assert [(row.configuration, row.failed) for row in found.rows] == [(1, 0), (0, 1), (2, 0)]
    assert found.rows[2].dropped is not None and found.rows[2].told_apart
    assert found.rows[1].behind is not None and found.rows[1].behind.mean == pytest.approx(-0.4)


def test_differences_that_are_all_alike_tell_no_more_than_their_signs() -> None:
    def lead(n: int) -> bool:
        first = {seed: 0.82 + 0.02 * (seed % 2) for seed in range(n)}
        return rank({0: first, 1: {seed: value - 0.02 for seed, value in first.items()}}, range(n)).beyond_noise

    assert [lead(n) for n in (2, 5, 6)] == [False, False, True]


def test_having_left_for_failures_is_not_being_worse() -> None:
    steady = {seed: 0.903 + 0.01 * (seed % 3) for seed in SEEDS}
    failing = {**{seed: 0.973 + 0.01 * (seed % 2) for seed in SEEDS}, 3: None, 1: None}
    found = rank({0: steady, 1: failing}, SEEDS)
    assert found.rows[1].dropped is not None and found.rows[1].configuration == 1
    assert not found.rows[1].told_apart and not found.beyond_noise


def test_being_beyond_noise_is_claimed_as_seldom_of_equals_as_is_said() -> None:
    chance, claims = random.Random(5), 0
    for _ in range(400):
        results = {c: {seed: chance.gauss(0, 1) for seed in SEEDS} for c in range(4)}
        claims += rank(results, SEEDS, racing=False).beyond_noise
    assert claims <= 400 * ALPHA + 2 * math.sqrt(400 * ALPHA)


def test_race_and_last_test_together_say_as_seldom_that_one_of_two_equals_is_worse_as_is_said() -> None:
    chance, said, studies = random.Random(1), 0, 3000
    for _ in range(studies):
        results = {c: {seed: chance.gauss(0, 1) for seed in SEEDS} for c in range(2)}
        said += any(row.configuration == 0 and row.told_apart for row in rank(results, SEEDS).rows)
    assert said <= studies * ALPHA + 2 * math.sqrt(studies * ALPHA), f"{said} of {studies}, seed 1"


def test_a_clear_winner_is_beyond_noise() -> None:
    chance = random.Random(1)
    results = {c: {seed: -c + chance.gauss(0, 0.05) for seed in SEEDS} for c in range(3)}
    found = rank(results, SEEDS)
    assert found.beyond_noise and found.seeds_that_would_tell is None


def test_scores_that_are_exactly_alike_say_that_the_seed_does_nothing() -> None:
    same: dict[int, Scores] = {0: dict.fromkeys(SEEDS, 0.7), 1: dict.fromkeys(SEEDS, 0.1)}
    assert rank(same, SEEDS).seed_unused
    assert not rank({**same, 2: {seed: 0.01 * seed for seed in SEEDS}}, SEEDS).seed_unused
    assert not rank({0: {3: 0.7}, 1: {}}, SEEDS).seed_unused


def test_nothing_is_known_of_what_never_ended_well() -> None:
    found = rank({0: dict.fromkeys(SEEDS), 1: {}}, SEEDS)
    assert [(row.configuration, row.interval) for row in found.rows] == [(1, None), (0, None)]
    assert not found.beyond_noise
