"""How long a study still takes: what running trials, slots, failures and changes of speed do to it, and how wide the range is."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from outlast.monitor.forecast import Ended, Forecast, Running, forecast


def said(ended: Sequence[Ended], running: Sequence[Running] = (), **given: float) -> Forecast:
    whole = {name: int(value) for name, value in given.items() if name in ("left", "slots")}
    found = forecast(ended, running, **{"left": 10, "slots": 1, **whole}, gap=given.get("gap", 0.0))
    assert found is not None
    assert found.low <= found.seconds <= found.high
    return found


def alike(seconds: float, number: int = 20, *, counts: bool = True, steps: int | None = None) -> list[Ended]:
    return [Ended(seconds, counts, steps) for _ in range(number)]


@pytest.mark.parametrize(
    ("left", "slots", "gap", "expected"),
    [(10, 1, 0, 1000), (10, 2, 0, 500), (10, 4, 0, 300), (3, 8, 0, 100), (10, 1, 20, 1200), (2000, 1, 0, 200_000)],
)
def test_slots_are_filled_until_enough_have_counted(left: int, slots: int, gap: float, expected: float) -> None:
    assert said(alike(100), left=left, slots=slots, gap=gap).seconds == pytest.approx(expected, rel=0.01)


def test_what_has_run_for_long_is_soon_through() -> None:
    assert said(alike(100), [Running(90)], left=2).seconds == pytest.approx(110, rel=0.01)


def test_its_steps_tell_more_than_its_seconds() -> None:
    slow = [Running(90, 3)]  # three of ten steps after 90 seconds
    assert said(alike(100, steps=10), slow, left=1).seconds == pytest.approx(210, rel=0.01)


def test_what_runs_for_longer_than_any_did_is_no_error() -> None:
    assert 0 < said(alike(100), [Running(5000)], left=1).seconds <= 5000


def test_what_does_not_count_costs_its_time() -> None:
    mixed = alike(100, 10) + alike(50, 10, counts=False)
    random.Random(1).shuffle(mixed)
    assert said(mixed, left=200).seconds == pytest.approx(200 * 150, rel=0.05)


def test_trials_that_still_run_are_missing_from_what_ended() -> None:
    """Four slots have just begun: two short ones have ended, the long ones have not."""
    biased = said(alike(10, 4), slots=4, left=100).seconds
    assert said(alike(10, 4), [Running(300), Running(300)], slots=4, left=100).seconds > 5 * biased


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_change_of_speed_shows_after_a_few_trials(factor: float) -> None:
    drawn = random.Random(3)
    before = [Ended(100 * drawn.uniform(0.8, 1.2), True) for _ in range(60)]
    after = [Ended(factor * 100 * drawn.uniform(0.8, 1.2), True) for _ in range(12)]
    assert said(before + after, left=50).seconds == pytest.approx(50 * 100 * factor, rel=0.15)


def test_the_range_is_wide_where_little_is_known_or_much_changed() -> None:
    def width(found: Forecast) -> float:
        return (found.high - found.low) / found.seconds

    drawn = random.Random(3)
    even = [Ended(drawn.uniform(90, 110), True) for _ in range(100)]
    uneven = [Ended(drawn.expovariate(1 / 100), True) for _ in range(100)]
    waves = [Ended(100 * (1 + (at // 12) % 2) * drawn.uniform(0.5, 1.5), True) for at in range(100)]
    assert width(said(even, left=20)) < 0.3 < width(said(uneven, left=20)) < width(said(uneven[:8], left=20))
    assert width(said(even, left=20)) < width(said(waves, left=20))


def test_it_says_the_same_of_the_same() -> None:
    drawn = random.Random(3)
    some = [Ended(drawn.expovariate(1 / 100), True) for _ in range(50)]
    assert said(some, [Running(10)], slots=2) == said(some, [Running(10)], slots=2)


@pytest.mark.parametrize("ended", [[], alike(10, 5, counts=False)])
def test_nothing_is_said_before_a_trial_has_counted(ended: list[Ended]) -> None:
    assert forecast(ended, [Running(5)], left=10, slots=2) is None


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
def test_odd_durations_are_no_error(seconds: float) -> None:
    assert said(alike(seconds), [Running(0.0), Running(seconds)], slots=3).seconds >= 0
