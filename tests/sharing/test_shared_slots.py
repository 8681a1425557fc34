"""One pool of slots for several studies: real locks in real files, a clock that the test moves."""

from __future__ import annotations

import os
import select
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.shared import Study, Time
from outlast._system import locks
from outlast.executors.shared_slots import PATIENCE, SharedSlots, Sharing

Studies = Callable[..., Study]


@pytest.mark.parametrize("parts", [2, 3, 4, 7, 48, 100])
def test_there_are_exactly_as_many_slots_as_there_should_be(study: Studies, parts: int) -> None:
    a, b = study("a", parts), study("b", parts)
    assert a.want(parts - 1) == parts - 1
    assert b.want(5) == 1
    a.end()
    assert a.want(0) == 0  # every round of a coordinator says what it wants
    assert b.want(5) == 1


def test_attempts_of_different_size_fill_the_machine_and_no_more(study: Studies) -> None:
    half, third, sixth = study("half", 2), study("third", 3), study("sixth", 6)
    assert (half.want(1), third.want(1), sixth.want(9)) == (1, 1, 1)
    third.end()
    assert sixth.want(9) == 2, "in what is left between others"
    sixth.end(2)
    sixth.want(0)
    assert third.want(1) == 1


def test_equals_take_turns_and_who_came_late_is_not_owed_the_time_before(study: Studies, time: Time) -> None:
    a = study("a")
    assert a.want(4) == 4
    time.pass_(10)
    b = study("b")
    assert b.want(4) == 0
    for _ in range(2):
        a.end()
        assert a.want(4) == 0, "it is b's turn"
        assert b.want(4) == 1
        time.pass_(1)
    for _ in range(20):  # from here on nobody runs away
        for each, other in ((a, b), (b, a)):
            each.end()
            other.want(4)
            each.want(4)
            time.pass_(10)
    assert {len(a.running), len(b.running)} <= {1, 2, 3}


def test_a_study_that_does_not_come_holds_up_nobody_for_longer_than_the_patience(study: Studies, time: Time) -> None:
    a, stopped = study("a"), study("stopped")
    assert a.want(4) == 4
    time.pass_(10)
    assert stopped.want(4) == 0
    a.end(2)
    assert a.want(2) == 0
    time.pass_(PATIENCE + 0.1)
    assert a.want(2) == 2, "both: it is not waited for a second time"
    time.pass_(1000)
    a.end(2)
    assert a.want(2) == 2
    a.end()
    assert stopped.want(4) == 1, "it wakes up"
    time.pass_(1)
    a.end(3)
    assert a.want(1) == 1, "and is not owed the time that it slept"


def test_who_wants_nothing_or_is_gone_is_not_waited_for(study: Studies, time: Time) -> None:
    a, b, c = study("a"), study("b"), study("c")
    assert a.want(4) == 4
    time.pass_(10)
    assert (b.want(1), c.want(1)) == (0, 0)
    a.end()
    b.want(0)
    c.die()
    assert a.want(1) == 1


def test_a_restarted_coordinator_goes_on_with_its_account(study: Studies, time: Time) -> None:
    a, b = study("a"), study("b")
    assert (a.want(2), b.want(2)) == (2, 2)
    time.pass_(10)
    assert (a.want(2), b.want(2)) == (0, 0)  # the next round
    running = a.die()
    time.pass_(1)
    again = study("a")
    again.adopt(running)
    assert (again.want(2), b.want(2)) == (0, 0)
    now = time()
    assert again.slots._claim.tag(now) == pytest.approx(b.slots._claim.tag(now)), "what went on without it is its own"


def test_attempts_that_ended_while_nobody_held_the_study_are_charged_as_others_of_it(
    study: Studies, time: Time
) -> None:
    a, b = study("a"), study("b")
    a.want(2)
    time.pass_(8)
    a.end(2)
    a.want(2)
    time.pass_(4)
    a.want(0)
    for lock in a.die().values():
        os.close(lock)
    time.pass_(500)
    again = study("a")
    again.want(1)
    assert again.slots._claim.charged == pytest.approx((2 * 8 + 2 * 8) / 4)
    assert b.want(1) == 1


def test_a_lost_folder_is_made_again_and_gives_nobody_an_advantage(study: Studies, time: Time, tmp_path: Path) -> None:
    a, b = study("a"), study("b")
    assert a.want(4) == 4
    time.pass_(50)
    a.end()
    assert b.want(4) == 1
    os.unlink(tmp_path / "slots" / "study.b")
    b.die()
    assert study("b").want(4) == 0
    assert a.want(0) == 0


def test_a_folder_that_is_removed_meanwhile_is_made_anew_and_what_runs_keeps_its_slots(
    study: Studies, tmp_path: Path
) -> None:
    a, b = study("a"), study("b")
    assert a.want(3) == 3
    assert b.want(0) == 0
    shutil.rmtree(tmp_path / "slots")
    assert b.want(4) == 1, "the three still count"
    assert (a.want(1), b.want(3)) == (0, 0)
    assert {"machine", "study.a", "study.b"} == set(os.listdir(tmp_path / "slots"))
    a.end()
    assert a.want(1) == 1
    a.end(3)
    assert a.want(0) == 0
    assert b.want(3) == 3
    assert a.want(0) == 0
    assert a.slots._removed == b.slots._removed == [], "nobody holds anything of it any more"


def test_any_number_of_running_attempts_is_seen_by_the_others(study: Studies, time: Time) -> None:
    time.now = 1234567.123456789  # as many digits as a clock has
    a, b = study("a", 300), study("b", 300)
    assert (a.want(250), a.want(0)) == (250, 0)
    assert [len(place.claim.since) for place in b.slots._others()] == [250]
    a.end(240)
    assert [len(place.claim.since) for place in b.slots._others()] == [10]


def test_after_a_reboot_a_study_that_waits_is_seen_although_its_clock_began_anew(study: Studies, time: Time) -> None:
    a, b = study("a", 1), study("b", 1)
    assert (a.want(1), b.want(1)) == (1, 0)
    b.die()
    time.now = 5.0
    assert study("b", 1).want(1) == 0
    assert [place.claim.wants for place in a.slots._others()] == [1]


def test_who_never_asked_for_a_slot_changes_nothing_of_what_its_study_said(study: Studies, tmp_path: Path) -> None:
    a = study("a")
    a.want(2)
    before = (tmp_path / "slots" / "study.a").read_bytes()
    SharedSlots(Sharing(str(tmp_path / "slots"), "a"), 4).close()
    assert (tmp_path / "slots" / "study.a").read_bytes() == before


def test_a_slot_is_busy_while_anybody_has_its_descriptor(study: Studies) -> None:
    a, b = study("a", 1), study("b", 1)
    assert a.want(1) == 1
    inherited = os.dup(next(iter(a.running.values())))
    a.end()
    assert a.want(0) == 0
    assert b.want(1) == 0
    os.close(inherited)
    assert b.want(1) == 1


def test_the_kernel_wakes_whoever_waits_and_nobody_else(study: Studies) -> None:
    a, b, c = study("a", 1), study("b", 1), study("c", 1)
    a.want(1)
    b.want(1)
    assert c.want(0) == 0
    a.end()
    assert a.want(0) == 0
    assert select.select([b.slots.wake_fd], [], [], 60)[0]
    assert not select.select([c.slots.wake_fd], [], [], 0)[0]
    assert b.want(1) == 1
    assert not select.select([b.slots.wake_fd], [], [], 0)[0], "nothing more to wait for"


def test_who_left_a_slot_to_another_is_woken_when_that_has_what_it_wants(study: Studies, time: Time) -> None:
    a, b = study("a"), study("b")
    a.want(4)
    time.pass_(10)
    b.want(1)
    a.end(2)
    assert a.want(2) == 0
    assert b.want(1) == 1
    assert select.select([a.slots.wake_fd], [], [], 60)[0]
    assert a.want(2) == 1


def test_a_slot_is_left_to_who_goes_first_although_that_has_not_noticed_its_end_yet(study: Studies, time: Time) -> None:
    high, low = study("high", share="priority", priority=1), study("low", share="priority")
    assert high.want(4) == 4
    assert high.want(0) == 0  # it has all that it can use
    assert low.want(4) == 0
    os.close(high.running.pop("local:0"))
    assert low.want(4) == 0
    high.slots.ended("local:0")
    assert low.want(4) == 0, "between its last trial and its next one it wants a slot as well"
    assert high.want(1) == 1
    assert select.select([low.slots.wake_fd], [], [], 60)[0]
    assert low.want(4) == 0
    os.close(high.running.pop("local:1"))
    assert low.want(4) == 0
    time.pass_(PATIENCE + 0.1)
    assert low.want(4) == 1, "it does not come"


def test_who_has_nothing_more_to_begin_is_not_waited_for(study: Studies) -> None:
    high, low = study("high", share="priority", priority=1), study("low", share="priority")
    assert high.want(4) == 4
    high.slots.still_to_begin(0)
    assert high.want(0) == 0
    os.close(high.running.pop("local:0"))
    assert low.want(4) == 1
    high.end()
    assert low.want(4) == 1


def test_a_campaign_on_a_network_filesystem_has_its_locks_on_this_host(
    study: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "is_shared", lambda path: True)
    monkeypatch.setenv(locks.DIRECTORY_VARIABLE, str(tmp_path / "host"))
    a, b = study("a"), study("b")
    assert (a.want(3), b.want(3)) == (3, 1)
    assert os.listdir(tmp_path / "slots") == []
    (place,) = (tmp_path / "host").iterdir()
    assert {"machine", "study.a", "study.b"} == set(os.listdir(place)) and place.stat().st_mode & 0o777 == 0o700
    locks.clear_locks()
    assert a.want(1) == 0
