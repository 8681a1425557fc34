"""Who may decide, where two hosts see a folder at different times: the fence holds without listings, the lease without clocks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.hosts import Host, Share

_LEDGER = """
import os, sys
from pathlib import Path
from outlast.core.records import Warned
from outlast.errors import OutlastError
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger, newest_segment, read_ledger
root = Path(sys.argv[1], "study")
folder = root / "ledger"
ledger = reading = lease = None
for line in sys.stdin:
    what, _, word = line.strip().partition(" ")
    try:
        answer = "done"
        if what == "claim":
            ledger, found = Ledger.claim(folder, known=reading)
            answer = f"{ledger.number}: " + " ".join(event.text for event in found.events)
        elif what == "append":
            ledger.append([Warned("", word, word)])
        elif what == "read":
            reading = read_ledger(folder)
            answer = " ".join(event.text for event in reading.events)
        elif what == "newest":
            answer = str(newest_segment(folder))
        elif what == "acquire":
            lease = Lease(root / "lease")
            lease.acquire(wait=float(word or 0))
        elif what == "pause":
            lease._lock._stop_heartbeat()
    except OutlastError as error:
        answer = type(error).__name__
    print(answer)
"""

Ask = Callable[[str], str]


@pytest.fixture
def coordinator(share: Share, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Host], Ask]]:
    """Starts one on a host; it does what it is asked and says what came of it."""
    monkeypatch.setenv("OUTLAST_LEASE_SECONDS", "2")
    (share.folder / "study").mkdir()
    started: list[subprocess.Popen[str]] = []

    def start(host: Host) -> Ask:
        process = host.start_python(_LEDGER, str(share.folder))
        started.append(process)

        def ask(what: str) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(what + "\n")
            process.stdin.flush()
            return process.stdout.readline().rstrip("\n")

        def kill() -> None:
            process.kill()
            process.wait()  # it holds what it holds until the kernel has ended it

        ask.kill = kill  # type: ignore[attr-defined]
        return ask

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _two(share: Share, coordinator: Callable[[Host], Ask], **clock: Any) -> tuple[Ask, Ask]:
    return coordinator(share.host("a")), coordinator(share.host("b", **clock))


def test_a_holder_that_is_superseded_by_another_host_finds_out_with_its_next_line(
    share: Share, coordinator: Callable[[Host], Ask]
) -> None:
    a, b = _two(share, coordinator)
    share.be(late=60)
    assert a("claim") == "1: "
    assert a("append first") == "done"
    assert b("claim") == "2: first"
    assert a("newest") == "1"  # it sees nothing of it for a minute
    assert a("append void") == "LeaseLost"
    assert b("append second") == "done"
    share.let_pass(61)
    assert a("read") == "first second"


def test_a_claim_goes_past_segments_that_this_host_does_not_see_yet(
    share: Share, coordinator: Callable[[Host], Ask]
) -> None:
    a, b = _two(share, coordinator)
    assert a("claim") == "1: "
    share.be(late=60)
    assert b("read") == ""  # from here on it believes in segment 1 only
    assert a("append one") == "done"
    assert a("claim") == "2: one"
    assert a("append two") == "done"
    assert a("claim") == "3: one two"
    assert a("append three") == "done"
    assert b("newest") == "1"
    assert b("claim") == "4: one two three"
    assert a("append void") == "LeaseLost"


def test_what_was_appended_after_it_was_read_counts_although_its_length_was_in_the_cache(
    share: Share, coordinator: Callable[[Host], Ask]
) -> None:
    a, b = _two(share, coordinator)
    assert a("claim") == "1: "
    share.be(late=60)
    assert b("read") == ""
    assert a("append late") == "done"
    assert b("claim") == "2: late"


@pytest.mark.parametrize("clock", [-90, 90])
def test_a_live_holder_keeps_the_lease_whatever_the_clock_of_the_other_says(
    share: Share, coordinator: Callable[[Host], Ask], clock: int
) -> None:
    a, b = _two(share, coordinator, clock=clock)
    share.be(late=3)
    assert a("acquire") == "done"
    assert a("claim") == "1: "
    assert b("acquire") == "StudyBusy"
    assert b("acquire 5") == "StudyBusy"  # longer than the lease lasts without a sign of life
    assert a("append mine") == "done"


@pytest.mark.parametrize("clock", [-90, 90])
def test_a_holder_that_gives_no_sign_for_as_long_as_the_lease_lasts_is_superseded(
    share: Share, coordinator: Callable[[Host], Ask], clock: int
) -> None:
    a, b = _two(share, coordinator, clock=clock)
    share.be(late=3)
    assert a("acquire") == "done"
    assert a("claim") == "1: "
    assert a("append mine") == "done"
    assert a("pause") == "done"
    answers = [b("acquire") for _ in range(2)]
    if answers[0] == "StudyBusy" == answers[1]:  # it was alive until a moment ago
        answers.append(b("acquire 2"))
    assert "done" in answers
    assert b("claim") == "2: mine"
    assert a("append void") == "LeaseLost"


def test_a_holder_that_died_on_this_host_is_superseded_at_once_without_an_exchange_of_names(
    share: Share, coordinator: Callable[[Host], Ask]
) -> None:
    host = share.host("a")
    first, second = coordinator(host), coordinator(host)
    assert first("acquire") == "done"
    assert first("claim") == "1: "
    first.kill()  # type: ignore[attr-defined]
    assert second("acquire") == "done"
