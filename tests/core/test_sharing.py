"""Whose turn a free slot is, as values."""

from __future__ import annotations

import pytest

from outlast.core.sharing import Claim, Share, goes_first, joining, unused
from outlast.core.sharing import given as granted

NOW = 100.0


def first(*claims: Claim, share: Share = "weight") -> list[str]:
    """Those that nobody goes before."""
    waiting = [claim for claim in claims if claim.wants]
    return [
        claim.study
        for claim in waiting
        if goes_first(claim, [other for other in claims if other is not claim], NOW, share)
    ]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([Claim("a", wants=1), Claim("b", wants=1)], "a"),  # equals: the name decides, the same for all
        ([Claim("a", wants=1, charged=5), Claim("b", wants=1, charged=4)], "b"),
        ([Claim("a", wants=1, charged=5), Claim("b", wants=0, charged=4)], "a"),  # who wants nothing is not waited for
        ([Claim("a", wants=1, since=(90.0,)), Claim("b", wants=1, charged=9)], "b"),  # what runs counts as it runs
        (
            [Claim("a", wants=1, since=(99.0,), expected=9.0), Claim("b", wants=1, charged=8)],
            "b",
        ),  # as it is expected to
        ([Claim("a", wants=1, since=(90.0,), size=0.5), Claim("b", wants=1, charged=6)], "a"),  # a smaller part of it
        ([Claim("a", wants=1, since=(90.0,), weight=2), Claim("b", wants=1, charged=6)], "a"),
    ],
)
def test_the_study_that_had_least_by_its_weight_goes_first(claims: list[Claim], expected: str) -> None:
    assert first(*claims) == [expected]


def test_a_higher_priority_goes_first_whatever_it_had() -> None:
    high, low = Claim("high", priority=2, wants=1, charged=1e6), Claim("low", priority=1, wants=1)
    assert first(high, low, share="priority") == ["high"]
    assert first(high, Claim("other", priority=2, wants=1), share="priority") == ["other"], "between equals time counts"


def test_together_the_one_that_would_end_last_goes_first() -> None:
    long = Claim("long", wants=1, trials=100, expected=10.0, since=(95.0,))
    short = Claim("short", wants=1, trials=40, expected=10.0)
    assert first(long, short, share="together") == ["long"]
    assert first(Claim("long", wants=1, trials=60, expected=10.0, since=(95.0,)), short, share="together") == ["short"]
    unknown = Claim("unknown", wants=1)
    assert first(unknown, Claim("b", wants=1, trials=9, since=(99.0,)), share="together") == ["unknown"]


def test_who_did_not_wait_is_owed_nothing() -> None:
    served = Claim("a", charged=500.0, start=480.0, since=(90.0,), wants=1)
    assert joining(Claim("late"), [served], NOW).tag(NOW) == 480.0
    assert joining(Claim("was here", charged=490.0), [served], NOW).tag(NOW) == 490.0, "and what it had stays"
    idle = Claim("done", charged=500.0, start=480.0)
    assert joining(Claim("late"), [idle], NOW).tag(NOW) == 500.0, (
        "the one that was done must not wait when it comes back"
    )
    assert joining(Claim("only"), [], NOW).tag(NOW) == 0.0


def test_a_slot_that_is_not_used_costs_nothing() -> None:
    taken = granted(Claim("a", wants=2, expected=7.0), NOW)
    assert (taken.wants, taken.since, taken.tag(NOW)) == (1, (NOW,), 7.0)
    assert unused(taken, NOW).tag(NOW) == 0.0
