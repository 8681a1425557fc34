"""Fixed parts of a number of slots: whole, by weight, none empty, none wasted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.core.parts_of_pool import parts_of

CASES = [
    (8, [1, 1, 1, 1], [], [2, 2, 2, 2]),
    (10, [1, 2, 1], [], [3, 5, 2]),
    (4, [100, 1, 1], [], [2, 1, 1]),
    (2, [1, 1, 1], [], [1, 1, 1]),
    (8, [1, 1], [1, None], [1, 7]),
    (5, [1, 1], [1, 1], [1, 1]),
    (3, [], [], []),
]


@pytest.mark.parametrize(("pool", "weights", "most", "parts"), CASES)
def test_slots_are_cut_by_weight(pool, weights, most, parts):
    assert parts_of(pool, weights, most) == parts


@given(pool=st.integers(1, 60), weights=st.lists(st.floats(0.1, 10), min_size=1, max_size=8))
def test_every_slot_has_a_study_and_every_study_a_slot(pool, weights):
    parts = parts_of(pool, weights)
    assert min(parts) >= 1
    assert sum(parts) == max(pool, len(weights))
    for part, weight in zip(parts, weights, strict=True):
        assert part <= max(1, pool * weight / sum(weights) + 1)
