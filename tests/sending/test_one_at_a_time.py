"""Of all processes that would send a study, one does: on a machine by a lock, among hosts that share the folder by a beat."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.sending.studies import searched
from tests.sending.test_a_bad_tracker import outlast, settings
from tests.sending.test_everything_once import arrived, expected

from outlast._system import process_behind
from outlast._system.process_behind import Shift
from outlast.core.file_names import StudyNames
from outlast.engine.hold.turn_taking import TurnTaking
from outlast.engine.record.health_facts import unsent_in
from outlast.engine.sending import sender
from outlast.engine.sending.sender import Sender
from outlast.engine.sending.sender_behind import SenderBehind
from outlast.engine.sending.unsent import Unsent, keep_unsent, read_unsent
from outlast.study.layout import StudyPaths


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A lock on a filesystem of several hosts; looks at other hosts take no time."""
    monkeypatch.setattr("outlast._system.locks.is_shared", lambda path: True)
    monkeypatch.setenv("OUTLAST_LOCK_DIR", str(tmp_path / "locks"))
    monkeypatch.setattr(process_behind, "_LOOK", 0.0)
    return tmp_path / "lock"


def of_another_host(monkeypatch: pytest.MonkeyPatch, path: Path, alone: bool = True) -> Shift:
    """As another host sees it, whose locks are its own."""
    monkeypatch.setenv("OUTLAST_LOCK_DIR", str(path.parent / "locks of another host"))
    shift = Shift(path, None if alone else os.open("/dev/null", os.O_RDONLY), everywhere=True)
    shift._name = "another:1"
    return shift


def resting(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> list[float]:
    """Time passes by resting only, and something happens in it."""
    passed = [0.0]

    def rest(_self: Shift, seconds: float) -> None:
        passed[0] += max(1.0, seconds)
        meanwhile()

    monkeypatch.setattr(Shift, "rest", rest)
    monkeypatch.setattr(process_behind.time, "monotonic", lambda: passed[0])
    return passed


def test_on_one_machine_the_lock_says_who(tmp_path: Path) -> None:
    first, second = Shift(tmp_path / "lock", None), Shift(tmp_path / "lock", None)
    assert first.begin() and not second.begin()
    first.end()
    assert second.begin()
    second.end()


def test_who_insists_takes_over_from_one_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, asks = Shift(tmp_path / "lock", None), Shift(tmp_path / "lock", None)
    asks._sign = b"         1\n"  # another process's
    assert left.begin() and not left.succeeded
    resting(monkeypatch, lambda: left.end() if left.succeeded else None)
    assert asks.begin(insist=10.0)
    asks.end()


def test_who_insists_in_vain_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    runs, asks = Shift(tmp_path / "lock", read), Shift(tmp_path / "lock", None)
    asks._sign = b"         1\n"
    assert runs.begin()
    resting(monkeypatch, lambda: None)
    assert not asks.begin(insist=10.0)
    runs.alone = True  # its run is over: it sends the rest
    assert not runs.succeeded
    for each in (runs, asks):
        each.end()
    os.close(read)
    os.close(write)


def test_who_is_interrupted_while_it_insists_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    runs, asks = Shift(tmp_path / "lock", read), Shift(tmp_path / "lock", None)
    asks._sign = b"         1\n"
    assert runs.begin()

    def interrupted(_shift: Shift, _seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Shift, "rest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asks.begin(insist=10.0)
    runs.alone = True
    assert not runs.succeeded
    for each in (runs, asks):
        each.end()
    os.close(read)
    os.close(write)


def test_nobody_is_left_to_who_is_not_there_any_more(tmp_path: Path) -> None:
    left = Shift(tmp_path / "lock", None)
    assert left.begin()
    for sign, succeeded in ((b"         1\n", True), (b"%10d\n" % 2**30, False), (b"garbage   \n", False)):
        os.pwrite(left._lock.content, sign, 0)  # type: ignore[union-attr]
        assert left.succeeded is succeeded
    left.end()


def test_a_file_that_was_moved_or_deleted_is_nobodys_any_more(tmp_path: Path) -> None:
    shift = Shift(tmp_path / "lock", None)
    assert shift.begin() and not shift.is_deleted
    os.rename(tmp_path / "lock", tmp_path / "aside")
    assert shift.is_deleted
    (tmp_path / "lock").touch()
    assert shift.is_deleted
    shift.end()


def test_another_host_that_works_is_left_to_work(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Shift(shared, None, everywhere=True)
    assert first.begin()
    second = of_another_host(monkeypatch, shared)
    resting(monkeypatch, first.beat)
    assert not second.begin()
    first.end()
    second.end()


def test_after_one_that_has_left_nobody_waits(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Shift(shared, None, everywhere=True)
    assert first.begin()
    first.end()
    second = of_another_host(monkeypatch, shared)
    passed = resting(monkeypatch, lambda: None)
    assert second.begin() and passed == [0.0]
    second.end()


def test_one_that_has_died_is_waited_for_as_long_as_it_may_be_silent(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Shift(shared, None, everywhere=True)
    assert first.begin()
    first._lock.close()  # type: ignore[union-attr]
    first._lock = None
    second = of_another_host(monkeypatch, shared)
    passed = resting(monkeypatch, lambda: None)
    assert second.begin() and passed[0] > process_behind._SILENT
    second.end()


def test_of_two_that_begin_at_the_same_moment_one_does(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Shift(shared, None, everywhere=True)
    second = of_another_host(monkeypatch, shared)
    second._lock = process_behind.FileLock(str(shared))
    monkeypatch.setattr(process_behind.time, "sleep", lambda _seconds: second.beat())  # it wrote after us
    assert not first.begin()
    first.end()
    assert second._last_beat(), "the one that works is still seen to work"
    second.end()
    assert not second._last_beat()


def test_nobody_is_missed_where_another_host_sends(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = StudyPaths.at(shared.parent / "digits")
    paths.tracking.mkdir(parents=True)
    keep_unsent(paths.unsent, {"mine": Unsent(3)})
    monkeypatch.setenv("OUTLAST_LOCK_DIR", str(shared.parent / "locks of another host"))
    sends = Shift(paths.sending, None, everywhere=True)
    assert sends.begin()
    monkeypatch.setenv("OUTLAST_LOCK_DIR", str(shared.parent / "locks"))
    assert unsent_in(paths) == ""
    os.utime(paths.sending, (0, 0))
    assert unsent_in(paths) == "mine: 3 trials that nobody sends", "it was killed long ago"
    sends.beat()
    sends.end()
    assert unsent_in(paths) == "mine: 3 trials that nobody sends"


def test_other_hosts_see_it_work_however_long_a_look_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_TRACK_SECONDS", "1000")
    read, write = os.pipe()
    rests, beats = list[float](), list[float]()

    def rest(shift: Shift, seconds: float) -> None:
        rests.append(seconds)
        now[0] += seconds
        shift.alone = now[0] > 100

    now = [0.0]
    monkeypatch.setattr(sender.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Shift, "rest", rest)
    monkeypatch.setattr(Shift, "beat", lambda _shift: beats.append(now[0]))
    Sender(searched(tmp_path / "digits", 1), settings({"sinks": ["tests.sending.trackers.Lacks"]}).tracking, read).run()
    assert max(rests) <= 10 and max(after - before for before, after in pairwise(beats)) <= 10
    os.close(read)
    os.close(write)


def test_a_task_of_an_array_has_sent_what_is_to_be_sent_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(process_behind, "started", lambda root, words, env, stdin: begun.append((root, words)))
    paths = StudyPaths.at(tmp_path)
    task = SimpleNamespace(_at=SimpleNamespace(paths=paths))
    for text in ("", "name: digits\nenv: {tracking: no}\n", "name: digits\ntracking:\n  mlflow: {}\n"):
        paths.study_file.write_text(text)
        TurnTaking._have_sent(task)  # type: ignore[arg-type]
    assert begun == [(tmp_path, ["send", ".", "--once"])]


@pytest.mark.slow
def test_what_is_on_record_is_sent_once(tmp_path: Path) -> None:
    lines = {"name": "tests.sending.trackers.Lines", "path": str(tmp_path / "file")}
    folder = searched(tmp_path / "digits", 2, tracking={"sinks": [lines]})
    for _ in range(2):
        assert outlast("send", folder, "--once", cwd=tmp_path).wait(60) == 0
    assert sorted(arrived(tmp_path / "file")) == sorted(expected(folder))


def test_what_a_tracker_lacked_is_forgotten_with_it(tmp_path: Path) -> None:
    names = StudyNames(tmp_path)
    names.tracking.mkdir()
    keep_unsent(names.unsent, {"mine": Unsent(3, "no answer")})
    SenderBehind(tmp_path, settings(None), print).start()
    assert read_unsent(names.unsent) == {} and unsent_in(StudyPaths.at(tmp_path)) == ""
