from __future__ import annotations

import math

import pytest
from scipy import stats

from outlast.analysis.shares import at_least, best_part, category_shares, more_often, wilson_interval


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (3, 10), (0, 20), (20, 20), (500, 1000)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_interval_of_a_share_is_wilsons(hits, of, level):
    known = stats.binomtest(hits, of).proportion_ci(level, method="wilson")
    assert wilson_interval(hits, of, level) == pytest.approx((known.low, known.high), abs=1e-12)


def test_of_no_trials_nothing_is_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "of", "share"), [(1, 5, 0.05), (5, 10, 0.05), (10, 10, 0.9), (300, 1000, 0.25)])
def test_the_upper_tail_is_the_binomials(hits, of, share):
    assert at_least(hits, of, share) == pytest.approx(stats.binom.sf(hits - 1, of, share), rel=1e-9)


@pytest.mark.parametrize(
    ("hits", "part", "all_hits", "of"), [(0, 5, 3, 9), (3, 5, 3, 9), (2, 9, 4, 9), (40, 100, 300, 1000), (5, 5, 5, 60)]
)
def test_being_there_more_often_is_fishers_exact_test(hits, part, all_hits, of):
    assert more_often(hits, part, all_hits, of) == pytest.approx(stats.hypergeom.sf(hits - 1, of, all_hits, part))


@pytest.mark.parametrize(("hits", "share", "known"), [(0, 0.5, 1.0), (0, 0.0, 1.0), (3, 0.0, 0.0), (3, 1.0, 1.0)])
def test_certain_and_impossible_shares(hits, share, known):
    assert at_least(hits, 10, share) == known


@pytest.mark.parametrize(
    ("costs", "part"),
    [
        ([], []),
        ([1.0], []),
        ([3.0, 2.0, 1.0], []),
        ([4.0, 3.0, 2.0, 1.0], [2, 3]),
        ([1.0] * 50, []),  # constant: nothing is best
        ([1.0, 1.0, 1.0, 2.0, 3.0, 4.0], [0, 1, 2]),  # three of six
        ([1.0] * 4 + [2.0], []),  # ties that would make more than half
        ([math.nan, 4.0, 3.0, 2.0, 1.0, math.nan], [3, 4]),
        ([math.inf, 3.0, math.inf, 1.0, 2.0, math.inf], [1, 3, 4]),
        ([float(i) for i in range(100)], list(range(10))),
    ],
)
def test_the_best_part(costs, part):
    assert best_part(costs) == part


def test_the_winner_is_there_more_often_than_by_its_share():
    values = ["a"] * 10 + ["b"] * 90
    won, lost = category_shares(values, range(10), [float(i) for i in range(100)], -1.0)
    assert (won.value, won.trials, won.share, won.part, won.part_share, won.stands_out) == ("a", 10, 0.1, 10, 1.0, True)
    assert (won.best, won.median) == (0.0, -4.5)  # the metric's own sign
    assert (lost.value, lost.part, lost.stands_out) == ("b", 0, False)


def test_one_category_wins_nothing_and_lists_and_numbers_are_categories():
    assert [each.stands_out for each in category_shares([[1, 2]] * 10, range(3))] == [False]
    assert {str(each.value) for each in category_shares([1, True, None, "1x", [1]], [])} == {
        "1",
        "True",
        "None",
        "1x",
        "[1]",
    }


def test_without_values_there_is_no_best():
    (only,) = category_shares(["a"], [], [math.nan])
    assert (only.best, only.median, only.low, only.high) == (None, None, 0.0, 1.0)
