"""The expected end of searches of very different kinds, in short: what `benchmarks/eta.py` shows at length."""

from __future__ import annotations

import statistics

import pytest
from _eta_recordings import WORLDS, recorded, simulate
from eta import Look, looks

KINDS = [kind for kind, world in WORLDS.items() if world.trials <= 200][::2]


@pytest.fixture(scope="module")
def every() -> list[Look]:
    return [look for kind in KINDS for look in looks(simulate(kind, 1000))]


def test_half_of_what_is_said_is_within_a_fifth_and_closer_than_the_plain_rule(every: list[Look]) -> None:
    error = statistics.median(look.error for look in every)
    assert error < 0.2
    assert error < statistics.median(look.plain_error for look in every)


def test_the_range_holds_as_often_as_it_says(every: list[Look]) -> None:
    assert 0.7 <= sum(look.held for look in every) / len(every) <= 0.95


def test_there_are_many_kinds_and_real_ones_among_them() -> None:
    assert len(WORLDS) >= 20
    assert len(recorded()) >= 5
    assert all(looks(recording) for recording in recorded())
