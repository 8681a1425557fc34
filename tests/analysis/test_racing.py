"""Who leaves a race, how often that is a mistake, and what is run next."""

from __future__ import annotations

import math
import random

import pytest

from outlast.analysis.racing import ALPHA, Scores, next_block, race

SEEDS = list(range(10))


def simulated(
    chance: random.Random, means: list[float], *, noise: float = 1.0, grain: float = 0.0
) -> dict[int, Scores]:
    """Scores with an effect of the seed that all share, and a noise of each."""
    shared = {seed: chance.gauss(0, 2) for seed in SEEDS}
    found = {c: {s: mean + shared[s] + chance.gauss(0, noise) for s in SEEDS} for c, mean in enumerate(means)}
    return {c: {s: round(v / grain) * grain if grain else v for s, v in row.items()} for c, row in found.items()}


@pytest.mark.parametrize("grain", [0.0, 0.5])
def test_the_best_is_dropped_as_seldom_as_is_said(grain: float) -> None:
    """The hardest case: all are as good as the best. Coarse scores, such as an accuracy on few examples, included."""
    chance, races = random.Random(7), 600
    lost = sum(0 in race(simulated(chance, [0.0] * 5, grain=grain), SEEDS).dropped for _ in range(races))
    assert lost <= races * ALPHA / 2 + 2 * math.sqrt(races * ALPHA / 2), f"{lost} of {races}, seed 7"


def test_those_that_are_far_behind_leave_early() -> None:
    chance, spared = random.Random(11), 0
    for _ in range(50):
        found = race(simulated(chance, [0.0, -1.0, -12.0], noise=0.5), SEEDS)
        assert found.dropped[2].after <= 5
        spared += sum(len(SEEDS) - each.after for each in found.dropped.values())
    assert spared > 50 * 6


def test_it_is_the_same_race_whenever_it_is_looked_at() -> None:
    results = simulated(random.Random(3), [0.0, -1.5, -3.0, -6.0])
    whole = race(results, SEEDS)
    for n in range(len(SEEDS)):
        part = race({c: {s: row[s] for s in SEEDS[:n]} for c, row in results.items()}, SEEDS)
        assert part.dropped == {c: each for c, each in whole.dropped.items() if each.after <= n}


def test_being_behind_by_less_than_the_tolerance_is_no_reason() -> None:
    one = {seed: 10.0 + 0.01 * (seed % 3) for seed in SEEDS}
    other = {seed: value - 0.5 + 0.01 * (seed % 2) for seed, value in one.items()}
    assert 1 in race({0: one, 1: other}, SEEDS).dropped
    assert 1 not in race({0: one, 1: other}, SEEDS, within=0.1).dropped
    assert 1 in race({0: one, 1: other}, SEEDS, within=0.1, relative=False).dropped


def test_two_failures_more_than_the_leader_are_enough_and_no_spread_is_no_evidence() -> None:
    good, failing = dict.fromkeys(SEEDS, 1.0), {**dict.fromkeys(SEEDS, 2.0), 0: None, 1: None}
    found = race({0: good, 1: failing, 2: dict.fromkeys(SEEDS, 0.5), 3: {**good, 0: None}}, SEEDS)
    assert list(found.dropped) == [1]
    assert found.alive == (0, 2, 3)


def test_a_block_keeps_the_slots_busy_and_ends_with_the_race() -> None:
    nothing: dict[int, Scores] = {0: {}, 1: {}}
    assert next_block(nothing, SEEDS, [0, 1], slots=1) == [(c, s) for s in (0, 1, 2) for c in (0, 1)]
    assert len(next_block(nothing, SEEDS, [0, 1], slots=9)) == 10
    assert len(next_block(nothing, SEEDS, [0, 1], slots=1, racing=False)) == 20
    three: dict[int, Scores] = {c: {seed: 0.5 + 0.1 * seed for seed in (0, 1, 2)} for c in (0, 1)}
    alike: dict[int, Scores] = {c: dict.fromkeys((0, 1, 2), 0.5) for c in (0, 1)}
    assert next_block(alike, SEEDS, [0, 1], slots=2) == []
    assert len(next_block({**alike, 2: three[0]}, SEEDS, [0, 1, 2], slots=1)) == 3
    assert next_block(three, SEEDS, [0, 1], slots=2) == [(0, 3), (1, 3)]
    assert next_block(three, SEEDS, [0, 1], slots=3) == [(0, 3), (1, 3), (0, 4), (1, 4)]
    assert next_block(three, SEEDS, [0], slots=2) == []
    assert next_block(three, SEEDS[:3], [0, 1], slots=2) == []
    assert next_block({0: {}}, SEEDS[:4], [0], slots=1) == [(0, 0), (0, 1), (0, 2)]
    assert next_block({**three, 2: {}}, SEEDS[:4], [0, 1, 2], slots=1) == [(2, 0), (2, 1), (2, 2)]
