"""What there is to tell, from look to look: once a finding, again when it is over, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.engine.telling.message import Message, signed
from outlast.engine.telling.told_before import ToldBefore, keep_told, read_told
from outlast.monitor.health import HealthWarning

DISK = HealthWarning("disk", "the disk is nearly full", level="error")
NOTE = HealthWarning("at_border", "lr is at its end", level="note")
WHAT = ("error", "warning", "end")


def told(news: list[Message]) -> list[tuple[str, str]]:
    return [(each.event, each.title) for each in news]


def looks(*seen: list[HealthWarning], every: float = 15.0) -> list[list[tuple[str, str]]]:
    before = ToldBefore()
    return [told(before.see("digits", found, WHAT, every * number)) for number, found in enumerate(seen)]


def test_a_finding_is_told_once_and_when_it_is_over() -> None:
    began, over = [("finding", "digits: error: disk")], [("over", "digits: over: disk")]
    assert looks([DISK], [DISK], [DISK], [], [], []) == [began, [], [], [], over, []]


def test_one_look_without_it_is_not_the_end_of_it() -> None:
    assert looks([DISK], [], [DISK], [], [DISK])[1:] == [[], [], [], []]


def test_what_comes_and_goes_within_the_hour_is_told_once_in_all() -> None:
    news = looks([DISK], [], [], [DISK], [], [], [DISK], [], [])
    assert [each for look in news for each in look] == [
        ("finding", "digits: error: disk"),
        ("over", "digits: over: disk"),
    ]


def test_what_comes_back_within_the_hour_and_stays_is_told_again_and_when_it_is_over() -> None:
    news = looks([DISK], [], [], *[[DISK]] * 42, [], [])
    assert [(number, title) for number, look in enumerate(news) for _, title in look] == [
        (0, "digits: error: disk"), (2, "digits: over: disk"), (44, "digits: error: disk"), (46, "digits: over: disk"),
    ]  # fmt: skip


def test_what_has_come_back_when_nobody_looks_again_is_told() -> None:
    before = ToldBefore()
    for at, found in enumerate([[DISK], [], [], [DISK]]):
        before.see("digits", found, WHAT, float(at))
    assert told(before.see("digits", [DISK], WHAT, 4.0, last=True)) == [("finding", "digits: error: disk")]
    assert told(before.see("digits", [DISK], WHAT, 5.0, last=True)) == []


def test_what_is_wrong_with_the_next_run_is_news_of_that() -> None:
    before = ToldBefore()
    before.see("digits", [DISK], WHAT, 0.0)
    before.forget()
    assert told(before.see("digits", [DISK], WHAT, 10.0)) == [("finding", "digits: error: disk")]


def test_what_comes_again_after_an_hour_is_news() -> None:
    news = looks([DISK], [], [], [DISK], every=2000.0)
    assert news[3] == []
    news = looks([DISK], [], [], [], [], [DISK], every=2000.0)
    assert news[5] == [("finding", "digits: error: disk")]


def test_trifles_are_told_to_whoever_asks_for_them_only() -> None:
    assert looks([NOTE]) == [[]]
    assert told(ToldBefore().see("digits", [NOTE], ("note",), 0.0)) == [("finding", "digits: note: at border")]


def test_two_studies_of_a_campaign_have_their_findings_each() -> None:
    found = [HealthWarning("disk", "full", level="error", study=name) for name in ("a", "b")]
    news = ToldBefore().see("both", found, WHAT, 0.0)
    assert [each.title for each in news] == ["a: error: disk", "b: error: disk"]


def test_a_search_that_has_come_to_rest_is_not_told_to_be_well_again() -> None:
    before = ToldBefore()
    before.see("digits", [DISK], WHAT, 0.0)
    before.forget()
    assert [before.see("digits", [], WHAT, at) for at in (20.0, 30.0)] == [[], []]


def test_each_address_has_a_message_once_and_in_order_however_often_it_is_tried() -> None:
    before = ToldBefore()
    before.post([Message("finding", "one", ""), Message("over", "two", "")], ["slow", "quick"], 0.0)
    first = before.letters[0]
    before.delivered(first, "quick")
    assert [letter.message.title for letter in before.due("quick", 0.0)] == ["two"]
    before.failed(first, "slow", "refused", 0.0)
    assert before.due("slow", 4.0) == [], "the second waits behind the first"
    assert before.due("slow", 5.0)[0] is first
    before.failed(first, "slow", "refused", 5.0)
    assert (before.due("slow", 14.0), before.trouble) == ([], {"slow": "refused"})
    before.delivered(first, "slow")
    assert [letter.message.title for letter in before.letters] == ["two"]
    assert before.trouble == {}


def test_the_waits_grow_to_ten_minutes_and_after_a_day_nobody_wants_it_any_more() -> None:
    before = ToldBefore()
    before.post([Message("finding", "one", "")], ["mail"], 0.0)
    (letter,) = before.letters
    for _ in range(20):
        before.failed(letter, "mail", "refused", 100.0)
    assert letter.due["mail"] == 700.0
    before.post([], ["mail"], 86_401.0)
    assert before.letters == []


def test_what_was_to_go_to_an_address_that_is_gone_is_dropped() -> None:
    before = ToldBefore()
    before.post([Message("finding", "one", "")], ["old"], 0.0)
    before.post([], ["new"], 1.0)
    assert before.letters == []


def test_it_is_read_back_as_it_was_kept_and_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    before, path = ToldBefore(), tmp_path / "told.json"
    news = before.see("digits", [DISK], WHAT, 5.0)
    before.post(news, ["mail"], 5.0)
    keep_told(path, before)
    assert read_told(path) == before
    path.write_text(path.read_text()[:-5])
    assert read_told(path) == ToldBefore()


def test_a_folder_whose_name_is_in_no_encoding_is_told_of_as_well(tmp_path: Path) -> None:
    before, folder = ToldBefore(), "/data/caf\udce9"
    found = HealthWarning("left_alone", f"{folder} is left", f"outlast run {folder}", level="error", study="caf\udce9")
    news = [signed(each, folder) for each in before.see("caf\udce9", [found], WHAT, 0.0)]
    before.post(news, ["mail"], 0.0)
    keep_told(tmp_path / "told.json", before)
    assert read_told(tmp_path / "told.json") == before
    assert news[0].data["folder"] == "/data/caf\ufffd" and news[0].title == "caf\ufffd: error: left alone"


@pytest.mark.parametrize("again", [False, True])
def test_whoever_takes_it_over_tells_nothing_twice(tmp_path: Path, again: bool) -> None:
    path = tmp_path / "told.json"
    before = ToldBefore()
    before.see("digits", [DISK], WHAT, 0.0)
    keep_told(path, before)
    assert told(read_told(path).see("digits", [DISK], WHAT, 60.0 + 7200.0 * again)) == []
