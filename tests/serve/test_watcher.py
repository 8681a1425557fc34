"""One looker for all pages: however many ask, and whatever goes wrong while it looks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from lab.searched import a_search
from lab.waiting import until
from outlast.core.fold import Study
from outlast.core.records import TrialCreated
from outlast.errors import LedgerDamaged
from outlast.monitor.exposition import exposition
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.serve import watcher as watching
from outlast.serve.access import Secrets
from outlast.serve.boards import Boards, key_of, thinned
from outlast.serve.routes import application
from outlast.serve.study_view import mark_of_study
from outlast.serve.watcher import BOARD, METRICS, Watcher

NOW = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)


def overview_of(study: Study, settings, folder: str = "studies/digits") -> Overview:
    seen = snapshot(study, settings, now=NOW, live=LiveFacts("box", 1, study.created_at, 4), folder=folder)
    unread = Sight("gone", "studies/gone", error="the ledger is damaged")
    return Overview("all", "studies", (Sight("digits", folder, seen, "", study, settings), unread), NOW)


@pytest.fixture(scope="module")
def overview() -> Overview:
    return overview_of(*a_search(40))


@pytest.fixture
def watcher(overview: Overview) -> Iterator[Watcher]:
    found = Watcher(lambda: overview, exposition)
    found.start()
    yield found
    found.stop()


def test_twenty_pages_that_ask_at_once_are_one_look(watcher) -> None:
    async def pages() -> list[bytes]:
        answers = await asyncio.gather(*(watcher.ask(BOARD) for _ in range(20)))
        return [answer.body for answer in answers if answer is not None]

    bodies = asyncio.run(pages())
    assert len(bodies) == 20 and all(body is bodies[0] for body in bodies)
    assert watcher.looks == 1


def test_nobody_who_asks_is_nobody_who_looks(watcher) -> None:
    assert watcher.looks == 0


def test_a_study_is_found_by_its_key_and_by_nothing_else(watcher) -> None:
    async def asked(*keys: str) -> list[object]:
        await watcher.ask(BOARD)
        return [await watcher.ask(key) for key in keys]

    found, unread, *others = asyncio.run(
        asked(key_of("studies/digits"), key_of("studies/gone"), "studies/digits", "../digits", "", "digits")
    )
    assert len(json.loads(found.body)["trials"]["number"]) == 40
    assert json.loads(unread.body) == {"error": "the ledger is damaged"}
    assert others == [None] * 4


@pytest.mark.parametrize(
    "error", [LedgerDamaged("the ledger is damaged"), OSError(5, "input/output error"), KeyError("x")]
)
def test_a_look_that_fails_is_said_and_the_next_one_may_succeed(overview, error, capsys) -> None:
    looks = iter([error, overview])

    def look() -> Overview:
        found = next(looks)
        if isinstance(found, BaseException):
            raise found
        return found

    watcher = Watcher(look, exposition)
    watcher.start()
    try:
        first = json.loads(asyncio.run(watcher.ask(BOARD)).body)
        assert set(first) == {"trouble"} and str(error.args[-1]) in first["trouble"]
        asyncio.run(watcher.ask(key_of("studies/digits")))  # asked for anew: looked at once more
        assert json.loads(asyncio.run(watcher.ask(BOARD)).body)["name"] == "all"
        assert "outlast serve" in capsys.readouterr().err
    finally:
        watcher.stop()


def test_what_is_ready_is_answered_though_the_same_look_still_puts_other_things_together(overview) -> None:
    go_on = threading.Event()

    def slowly(_overview: Overview) -> str:
        go_on.wait(20)
        return "numbers"

    async def asked(watcher: Watcher) -> tuple[bytes, bool, bytes]:
        numbers = asyncio.ensure_future(watcher.ask(METRICS))
        await asyncio.sleep(0)  # it waits from now on
        before, later = await watcher.ask(BOARD), await watcher.ask(BOARD)
        assert before is not None and later is before
        waits = not numbers.done()
        go_on.set()
        told = await numbers
        assert told is not None
        return before.body, waits, told.body

    watcher = Watcher(lambda: overview, slowly)
    watcher.start()
    try:
        board, waits, numbers = asyncio.run(asked(watcher))
        assert (json.loads(board)["name"], waits, numbers) == ("all", True, b"numbers")
    finally:
        watcher.stop()


async def status_of(app, path: str) -> int:
    """What the server would say to somebody who may ask."""
    sent = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message) -> None:
        sent.append(message)

    await app(
        {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "root_path": ""},
        receive,
        send,
    )
    return int(sent[0]["status"])


def test_before_the_first_look_is_done_nobody_says_that_there_is_no_such_study(overview, monkeypatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE", 0.05)
    go_on = threading.Event()

    def look() -> Overview:
        go_on.wait(20)
        return overview

    watcher = Watcher(look, exposition)
    app = application(watcher, Secrets("a" * 43, 1), folder="studies", may_stop=False)
    places = ["/api/board", "/metrics", "/api/studies/abc", "/api/studies/abc/log", "/api/studies/abc/trials/1/log"]

    async def asked() -> list[int]:
        return [await status_of(app, path) for path in places]

    watcher.start()
    try:
        assert asyncio.run(asked()) == [503] * 5
        go_on.set()
        monkeypatch.setattr(watching, "_PATIENCE", 20.0)
        assert asyncio.run(asked()) == [200, 200, 404, 404, 404]
    finally:
        watcher.stop()


def test_after_a_look_that_failed_nothing_old_is_handed_out(overview) -> None:
    looks = iter([overview])

    def look() -> Overview:
        for found in looks:
            return found
        raise OSError(5, "input/output error")

    watcher = Watcher(look, exposition)
    watcher.start()
    try:
        assert asyncio.run(watcher.ask(METRICS)) is not None
        asyncio.run(watcher.ask(key_of("studies/digits")))  # asked for anew: looked at once more
        assert asyncio.run(watcher.ask(METRICS)) is None
        assert not watcher.lacks(key_of("studies/digits"))
    finally:
        watcher.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere niceness is a process's")
def test_the_first_look_is_as_urgent_as_anything_and_later_ones_are_not(overview, monkeypatch) -> None:
    monkeypatch.setattr(watching, "_EVERY", 0.05)
    seen = []

    def look() -> Overview:
        seen.append(os.getpriority(os.PRIO_PROCESS, 0))
        return overview

    before = os.getpriority(os.PRIO_PROCESS, 0)
    watcher = Watcher(look, exposition, nicer=1)
    watcher.want(BOARD)
    watcher.start()
    try:
        asyncio.run(watcher.ask(BOARD))
        until(lambda: len(seen) > 1, "it looks again", 20)
        assert seen[:2] == [before, min(19, before + 1)] and os.getpriority(os.PRIO_PROCESS, 0) == before
    finally:
        watcher.stop()


def test_a_board_says_what_status_says_and_draws_what_it_does_not(overview) -> None:
    board = Boards().board(overview, {})
    told = overview.to_json()
    assert {name: board[name] for name in told if name != "studies"} == {
        n: v for n, v in told.items() if n != "studies"
    }
    digits, gone = board["studies"]
    values = [value for _, value, _ in digits["line"]]
    assert values == sorted(values) and values[-1] == pytest.approx(digits["best"]["value"], rel=1e-8)
    assert {each["cause"] for each in digits["failures"]} <= {"crash", "gpu_out_of_memory"}
    assert (gone["state"], gone["error"]) == ("unreadable", "the ledger is damaged")
    assert "not_started" in {each["key"] for each in board["findings"]}


def test_a_study_is_sent_again_when_its_ledger_has_grown(overview) -> None:
    study, _ = a_search(20)
    before = mark_of_study(study)
    assert mark_of_study(a_search(20)[0]) == before
    study.apply(TrialCreated(20, "2026-01-05T12:00:00+00:00", {"lr": 0.1}))
    assert mark_of_study(study) != before


def test_a_long_curve_is_thinned_and_what_is_no_number_left_out() -> None:
    found = thinned({step: step / 7 for step in range(5000)})
    assert (len(found), found[0], found[-1][0]) == (120, [0, 0.0], 4999)
    assert thinned({0: 1.0, 1: float("nan"), 2: float("inf")}) == [[0, 1.0]]
