"""Shares of slot time over random workloads, decided as in a run, by values."""

from __future__ import annotations

import random

import pytest
from _sharing_simulated import Work, apart, simulate
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_nobody_gets_ahead_by_more_than_a_few_trials(seed: int, slots: int) -> None:
    chance = random.Random(seed)
    works = [
        Work(mean=chance.choice([1, 5, 20]), sigma=chance.uniform(0, 1), comes=chance.choice([0.0, 50.0]))
        for _ in range(chance.randint(2, 4))
    ]
    came = simulate(works, slots=slots, until=400, seed=seed)
    longest = sorted(came.longest)
    assert max(came.served) - min(came.served) <= 3 * (longest[-1] + longest[-2])


@pytest.mark.parametrize("seed", range(4))
def test_equal_studies_get_shares_within_five_percent_and_weighted_ones_theirs(seed: int) -> None:
    works = [Work(mean=mean) for mean in (1, 4, 10)]
    assert apart(simulate(works, slots=4, until=3000, seed=seed).served, works) <= 0.05
    works = [Work(mean=5, weight=1), Work(mean=3, weight=2)]
    assert apart(simulate(works, slots=4, until=3000, seed=seed).served, works) <= 0.05


def test_a_late_study_gets_its_share_from_then_on_and_no_more() -> None:
    works = [Work(mean=5), Work(mean=5, comes=2000)]
    assert apart(simulate(works, slots=4, until=5000).served, works) <= 0.05


def test_a_higher_priority_gets_all_that_it_can_use() -> None:
    works = [Work(mean=5, priority=0), Work(mean=5, priority=1, comes=100)]
    low, high = simulate(works, slots=4, until=1000, share="priority").served
    assert low < 4 * 30 and high > 4 * 870


def test_together_ends_at_the_same_time_what_takes_very_different_work() -> None:
    works = [Work(mean=2, trials=1200), Work(mean=10, trials=100), Work(mean=4, trials=50)]
    ends = simulate(works, slots=4, until=1e9, share="together").ends
    assert max(ends) - min(ends) <= 0.1 * max(ends)
    ends = simulate(works, slots=4, until=1e9, share="weight").ends
    assert max(ends) - min(ends) > 0.5 * max(ends), "by weight they do not"
