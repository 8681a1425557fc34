"""Which configuration is taken, and the reason that is written down."""

from __future__ import annotations

from outlast.analysis.selection import Preference, choose

RANKING = [(7, 0.905), (3, 0.900), (9, 0.85)]
LATENCY = {7: 42.0, 3: 15.0, 9: 5.0}


def test_the_faster_one_is_taken_where_the_score_is_as_good() -> None:
    choice = choose(RANKING, LATENCY, Preference("latency_ms", within=0.015), name="f1")
    assert (choice.taken, choice.equal) == (3, (7, 3))
    assert choice.reason == (
        "the lowest latency_ms (15) of the 2 that are within 1.5% of the best mean f1: f1 0.9 instead of 0.905, "
        "latency_ms 15 instead of 42"
    )


def test_the_tolerance_is_a_share_of_the_best_unless_it_is_absolute() -> None:
    low = [(1, 0.5), (2, 0.49)]  # 2% of 0.5, and 0.01
    speeds = {1: 2.0, 2: 1.0}
    assert choose(low, speeds, Preference("s", within=0.015)).taken == 1
    assert choose(low, speeds, Preference("s", within=0.015, relative=False)).taken == 2


def test_without_a_preference_or_what_it_needs_the_score_decides() -> None:
    assert choose(RANKING, LATENCY, None).taken == 7
    assert "none that is" in choose(RANKING, {9: 5.0}, Preference("latency_ms")).reason
    assert "no other is" in choose(RANKING, LATENCY, Preference("latency_ms", within=0.001)).reason


def test_a_loss_is_minimized_and_a_throughput_maximized() -> None:
    losses = [(1, 0.20), (2, 0.201), (3, 0.4)]
    choice = choose(losses, {1: 5.0, 2: 9.0, 3: 99.0}, Preference("per_s", maximize=True), maximize=False)
    assert choice.taken == 2
