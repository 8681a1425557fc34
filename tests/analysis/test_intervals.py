"""Means with their intervals, paired differences, and how many seeds would tell, beside SciPy and published answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from outlast.analysis.intervals import differences, p_above, seeds_needed, t_interval

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).filter(lambda v: max(v) - min(v) > 1e-3)


@given(values, st.sampled_from([0.8, 0.95, 0.99]))
def test_an_interval_is_students(given_values: list[float], level: float) -> None:
    found = t_interval(given_values, level)
    low, high = stats.t.interval(level, len(given_values) - 1, stats.tmean(given_values), stats.sem(given_values))
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@given(values, st.floats(-10, 10))
def test_how_probable_a_mean_is_says_the_one_sided_t_test(given_values: list[float], margin: float) -> None:
    expected = stats.ttest_1samp(given_values, margin, alternative="greater").pvalue
    assert p_above(given_values, margin) == pytest.approx(expected, abs=1e-9)


def test_one_value_says_nothing_and_equal_values_what_their_signs_do() -> None:
    assert t_interval([0.5]).low == -math.inf
    assert (t_interval([0.1 + 0.2, 0.3]).low, t_interval([0.5] * 3).std) == (pytest.approx(0.3), 0.0)
    assert (p_above([0.5]), p_above([0.5, 0.5]), p_above([-0.5, -0.5]), p_above([0.0, 0.0])) == (1.0, 0.25, 1.0, 1.0)


def test_differences_are_of_the_same_seeds() -> None:
    assert differences({1: 0.5, 2: 0.7, 3: 0.9}, {2: 0.5, 3: 0.8, 4: 1.0}) == pytest.approx([0.2, 0.1])


# Two-sided 5% is one-sided 2.5%; the numbers are those of G*Power 3.1 for two dependent means.
@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_how_many_seeds_would_tell_is_what_published_tables_say(effect: float, n: int) -> None:
    assert seeds_needed(effect, 1.0, alpha=0.025) == n


def test_where_no_number_of_seeds_would_tell() -> None:
    assert seeds_needed(0.0, 1.0, alpha=0.05) is None
    assert seeds_needed(0.01, 1.0, alpha=0.05) is None
    assert seeds_needed(0.01, 0.0, alpha=0.05) == 5
    assert p_above([0.01] * 5) <= 0.05 < p_above([0.01] * 4)
