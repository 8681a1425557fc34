"""Searches of several users of one machine, as processes that are really theirs."""

from __future__ import annotations

import pytest

from lab.box import Box
from lab.waiting import until
from outlast._system.card_locks import holders_of

pytestmark = pytest.mark.slow
ANNA, BERT = 61001, 61002  # nobody has an account of these numbers


@pytest.mark.alone  # a card that a search held up by others does not come for goes to whoever does
def test_who_starts_more_searches_gets_no_larger_share_of_the_cards(open_box: Box) -> None:
    box = open_box
    cards = box.driver.cards(4)
    go = box.place / "go"
    settings = {"parallel": 4, "arguments": ("--seconds", "0.6", "--until", str(go))}
    hers = [box.start(f"anna-{n}", trials=9, user=ANNA, **settings) for n in range(3)]
    until(lambda: len(box.audit) == 4, "she has all cards")
    his = box.start("bert", trials=18, user=BERT, **settings)
    until(lambda: "waiting for a GPU" in box.said("bert"), "he waits, however long he took to begin")
    go.touch()
    box.finish(*hers, his)
    assert box.most_at_once() == dict.fromkeys(cards, 1)
    spans = {ANNA: [span for n in range(3) for span in box.spans(f"anna-{n}")], BERT: box.spans("bert")}
    begins = {user: sorted(begin for begin, _ in theirs) for user, theirs in spans.items()}
    first, last = begins[BERT][2], min(begins[ANNA][-1], begins[BERT][-1])  # both wait for cards in between
    had = {
        user: sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in theirs)
        for user, theirs in spans.items()
    }
    share = had[BERT] / (had[ANNA] + had[BERT])
    assert 0.4 < share < 0.6, f"a search against three: {share:.0%} of the cards' time; by searches it would be 25%"


def test_cards_of_a_search_that_was_killed_are_free_for_another_user(open_box: Box) -> None:
    box = open_box
    [card] = box.driver.cards(1)
    gone = box.start("anna", trials=1, parallel=1, user=ANNA, arguments=("--until", str(box.place / "never")))
    until(lambda: box.audit, "her training runs")
    waits = box.start("bert", trials=1, parallel=1, user=BERT)
    until(lambda: "waiting for a GPU" in box.said("bert"), "he waits")
    assert len(box.audit) == 1 and len(holders_of(str(box.driver.locks), card)) == 1
    box.kill_all_of(ANNA)
    gone.wait()
    box.finish(waits)
    assert [line["uid"] for line in box.audit] == [ANNA, BERT, BERT]
    assert holders_of(str(box.driver.locks), card) == []
