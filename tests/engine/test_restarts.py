"""When a coordinator that is gone gets a successor, and when one that is there is at work."""

from __future__ import annotations

import signal

import pytest

from outlast.engine.campaign.restarts import Ending, Misfortunes, follow, manner
from outlast.engine.campaign.supervisor import exit_code
from outlast.engine.campaign.vital_signs import Signs, judge
from outlast.study.supervision import Charge


@pytest.mark.parametrize(
    ("ending", "what", "code"),
    [
        (Ending(0, "done"), "over", 0),
        (Ending(2), "over", 2),
        (Ending(3, "halted"), "over", 3),
        (Ending(4, "stopped"), "over", 4),
        (Ending(None, "done"), "over", 0),
        (Ending(None, "halted"), "over", 3),
        (Ending(None, "stopped"), "over", 4),
        (Ending(-9, "done", asked=True), "over", 0),
        (Ending(-15, asked=True), "over", 4),
        (Ending(1, asked=True), "over", 4),
        (Ending(1), "again", 4),
        (Ending(4), "again", 4),
        (Ending(4, "paused"), "again", 4),
        (Ending(None), "again", 4),
        (Ending(-9), "again", 4),
        (Ending(-11, "stopped"), "again", 4),
        (Ending(1, "done"), "again", 4),
        (Ending(137), "again", 4),
    ],
)
def test_an_end_is_an_end_and_all_else_is_a_death(ending: Ending, what: str, code: int) -> None:
    after = follow(ending, Misfortunes())
    assert (after.what, after.code) == (what, code)


def test_each_death_in_a_row_is_waited_for_longer_up_to_ten_minutes() -> None:
    delays, misfortunes = [], Misfortunes()
    while (after := follow(Ending(-9, lived=3.0), misfortunes)).what == "again":
        delays.append(after.after)
        misfortunes = after.misfortunes
    assert delays[:7] == [1.0, 5.0, 15.0, 60.0, 300.0, 600.0, 600.0]
    assert after.what == "give up"
    assert len(delays) == 30


@pytest.mark.parametrize(("lived", "delay"), [(599.0, 60.0), (600.0, 1.0)])
def test_after_a_long_life_a_death_is_the_first(lived: float, delay: float) -> None:
    assert follow(Ending(-9, lived=lived), Misfortunes(3)).after == delay


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(-signal.SIGKILL), "was ended by SIGKILL"),
        (Ending(1), "left with exit code 1"),
        (Ending(4), "left with exit code 4 without having come to rest"),
        (Ending(None), "is gone"),
    ],
)
def test_how_it_ended_is_said(ending: Ending, words: str) -> None:
    assert manner(ending) == words


@pytest.mark.parametrize(
    ("signs", "what"),
    [
        (Signs(), "well"),
        (Signs(stopped=19), "well"),
        (Signs(stopped=20), "say"),
        (Signs(stopped=179), "say"),
        (Signs(stopped=180), "replace"),
        (Signs(silent=44), "well"),
        (Signs(silent=45), "say"),
        (Signs(silent=300), "replace"),
        (Signs(idle=599), "well"),
        (Signs(idle=600), "say"),
        (Signs(idle=7200), "replace"),
        (Signs(stopped=25, silent=300), "replace"),
        (Signs(absent=119), "well"),
        (Signs(absent=120), "say"),
        (Signs(absent=3600), "replace"),
    ],
)
def test_one_that_stands_still_is_said_within_a_minute_and_replaced_after_some(signs: Signs, what: str) -> None:
    assert judge(signs, lease=30.0).what == what


@pytest.mark.parametrize(
    ("codes", "code"), [((0, 0), 0), ((0, 4), 4), ((4, 3, 0), 3), ((3, 2, 4), 2), ((0, None), 4), ((0, 1), 1)]
)
def test_the_worst_of_the_studies_is_the_exit_code(codes: tuple[int | None, ...], code: int) -> None:
    assert exit_code([Charge(str(at), "", code=each) for at, each in enumerate(codes)]) == code
