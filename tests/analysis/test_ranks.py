from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from outlast.analysis.ranks import ranks, separation, spearman


def drawn(seed: int, n: int, ties: bool) -> tuple[list[float], list[float]]:
    chooser = random.Random(seed)
    first = [float(chooser.randrange(5)) if ties else chooser.random() for _ in range(n)]
    return first, [x + chooser.gauss(0, 1) for x in first]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_ranks_are_scipys(n, ties):
    first, _ = drawn(n, n, ties)
    assert ranks(first) == pytest.approx(list(stats.rankdata(first)))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [4, 10, 300])
def test_the_correlation_is_spearmans(n, ties):
    first, second = drawn(n, n, ties)
    found = spearman(first, second)
    assert found.rho == pytest.approx(stats.spearmanr(first, second).statistic)
    assert found.low < found.rho < found.high and found.pairs == n


def test_its_chance_is_near_scipys():
    for seed in range(20):
        first, second = drawn(seed, 60, False)
        second = [y + 2 * x for x, y in zip(second, first, strict=True)] if seed % 2 else second[::-1]
        known = stats.spearmanr(first, second).pvalue
        assert spearman(first, second).p == pytest.approx(known, rel=0.5 if known < 0.001 else 0.1, abs=1e-6)


def test_the_interval_is_bonett_and_wrights():
    first, second = drawn(1, 50, False)
    found = spearman(first, second)
    half = stats.norm.ppf(0.975) * math.sqrt((1 + found.rho**2 / 2) / 47)
    assert (found.low, found.high) == pytest.approx(
        (math.tanh(math.atanh(found.rho) - half), math.tanh(math.atanh(found.rho) + half))
    )


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held, truth = 0, 6 / math.pi * math.asin(0.5 / 2)  # of a normal pair with correlation 0.5 (Pearson 1907)
    chooser = random.Random(7)
    for _ in range(400):
        xs = [chooser.gauss(0, 1) for _ in range(40)]
        found = spearman(xs, [0.5 * x + math.sqrt(0.75) * chooser.gauss(0, 1) for x in xs])
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 1, 1, 1], [1, 2, 3, 4]),
        ([1, 2, 3, math.nan], [1, 2, 3, 4]),
    ],
)
def test_too_few_or_constant_is_no_correlation(first, second):
    assert spearman(first, second) is None


def test_a_perfect_one_is_certain():
    found = spearman([1, 2, 3, 4], [-1, -2, -4, -8])
    assert (found.rho, found.low, found.high, found.p) == (-1.0, -1.0, -1.0, 2 / 24)


@pytest.mark.parametrize("ties", [False, True])
def test_the_separation_is_mann_and_whitneys(ties):
    first, second = drawn(3, 60, ties)
    known = stats.mannwhitneyu(first[:20], second[:40], method="asymptotic", use_continuity=False)
    found = separation(first[:20], second[:40])
    assert (found.above, found.p) == pytest.approx((known.statistic / 800, known.pvalue))
    ours, scipys = (
        separation(first[:9], first[9:]),
        stats.mannwhitneyu(first[:9], first[9:], method="asymptotic", use_continuity=False),
    )
    assert ours.p == pytest.approx(scipys.pvalue)


@pytest.mark.parametrize(("some", "others"), [([], [1.0]), ([1.0], []), ([2.0, 2.0], [2.0])])
def test_nothing_is_separated_without_two_sides_and_a_difference(some, others):
    assert separation(some, others) is None
