"""The inbox by itself: which requests become what, who is answered when, and who is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outlast._system.processes import identity_of, my_identity
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.inbox import Inbox
from outlast.engine.coordinator.instructions import EndWanted, RestWanted, RetryWanted, Wanted, Worker, WorkersAsk
from outlast.study import requests
from outlast.study.layout import StudyPaths
from outlast.testing.manual_clock import FakeClock


class Desk:
    """An inbox, and the attempts that run."""

    def __init__(self, place: Path) -> None:
        self.paths, self.slots, self.running = StudyPaths.at(place), Slots(()), {}
        self.clock = FakeClock()
        watch: Any = SimpleNamespace(running=self.running)
        self.inbox = Inbox(self.paths, self.slots, watch, self.clock)

    def asks(self, who: Any = None) -> tuple[requests.Request, str]:
        """A worker's request, and what its slot is called."""
        request = requests.drop(self.paths, "trial", worker=(who or my_identity()).to_json())
        return request, Slots.name_of(request)

    def runs(self, slot: str, *, claimed: bool = False, laid_out: bool = False) -> None:
        """An attempt was opened in this slot."""
        self.running["0003.1"] = SimpleNamespace(name="0003.1", trial=3, number=1, slot=slot, claimed=claimed)
        if laid_out:
            marker = self.paths.open_marker(3, 1)
            marker.parent.mkdir(parents=True)
            marker.touch()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize(
    ("kind", "content", "wanted"),
    [
        ("stop", {}, RestWanted()),
        ("stop", {"drain": True}, RestWanted(drain=True)),
        ("stop", {"now": True}, RestWanted(now=True)),
        ("stop", {"trial": 0, "now": True}, EndWanted(0)),
        ("retry", {"trials": [3, 4]}, RetryWanted((3, 4), False, FakeClock().now())),
        ("retry", {"trials": [3], "from_scratch": True}, RetryWanted((3,), True, FakeClock().now())),
    ],
)
def test_a_person_s_request_is_answered_once_what_follows_is_durable(
    desk: Desk, kind: str, content: dict[str, Any], wanted: Wanted
) -> None:
    request = requests.drop(desk.paths, kind, **content)
    assert list(desk.inbox.read()) == [wanted]
    assert requests.read_answer(desk.paths, request) is None, "not yet"
    desk.inbox.answer()
    assert requests.read_answer(desk.paths, request) == {"done": True}
    assert list(desk.inbox.read()) == []


def test_what_was_not_decided_about_is_read_again_and_what_is_read_again_is_answered_once(desk: Desk) -> None:
    sent = [requests.drop(desk.paths, "retry", trials=[at]) for at in range(3)]
    reading = desk.inbox.read()
    for _ in range(2):  # the second one's decision is refused by the disk
        next(reading)
    desk.inbox.answer()
    assert len(requests.pending(desk.paths)) == 2, "decided about: one"
    for _ in range(2):  # the ledger refuses between these
        assert len(list(desk.inbox.read())) == 2
    desk.inbox.answer()
    assert [requests.read_answer(desk.paths, request) for request in sent] == [{"done": True}] * 3
    desk.inbox.answer()
    assert [requests.read_answer(desk.paths, request) for request in sent] == [None] * 3


def test_what_a_later_version_asks_for_is_left_to_it(desk: Desk) -> None:
    request = requests.drop(desk.paths, "of_the_future")
    assert list(desk.inbox.read()) == []
    desk.inbox.answer()
    assert [left.key for left in requests.pending(desk.paths)] == [request.key]


def test_all_workers_are_told_of_at_once_and_keep_waiting_for_a_slot(desk: Desk) -> None:
    slots = {desk.asks()[1] for _ in range(3)}
    (asked,) = desk.inbox.read()
    assert isinstance(asked, WorkersAsk) and {worker.slot for worker in asked.workers} == slots
    assert set(desk.slots.available(3)) == slots


@pytest.mark.parametrize("claimed", [True, False])
@pytest.mark.parametrize("laid_out", [True, False])
def test_a_worker_that_asks_again_is_told_of_with_its_attempt(desk: Desk, claimed: bool, laid_out: bool) -> None:
    _, slot = desk.asks()
    desk.runs(slot, claimed=claimed, laid_out=laid_out)
    assert list(desk.inbox.read()) == [WorkersAsk((Worker(slot, "0003.1", claimed, laid_out),))]


def test_a_request_that_is_done_with_gets_no_slot(desk: Desk) -> None:
    _, slot = desk.asks()
    list(desk.inbox.read())
    desk.inbox.turn_away(slot)
    desk.inbox.turn_away(slot)
    assert desk.slots.available(1) == [] and requests.pending(desk.paths) == []


def test_who_is_gone_asks_no_more(desk: Desk) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        who = identity_of(process.pid)
        process.communicate(b"\n")
    desk.asks(who)
    assert list(desk.inbox.read()) == [] and requests.pending(desk.paths) == []
