"""Ending attempts by itself: files that a full disk has no room for wait for it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from outlast.core.evidence import Evidence
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator import ending_attempts, putting_behind
from outlast.engine.coordinator.instructions import PutAway
from outlast.errors import LeaseLost
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import put_away

AT = "2026-01-05T10:00:00.000+00:00"


def test_what_waits_for_room_does_so_before_anybody_is_told_of_the_disk() -> None:
    def put(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "trial.json")

    ending: Any = object.__new__(ending_attempts.Ending)
    waiting: list[Any] = []
    ending._heard, ending._behind = {}, SimpleNamespace(runs=False, put=put)
    ending._executor = SimpleNamespace(send=lambda: None)
    ending._left, ending._refused = [], lambda why: waiting.extend(ending._left)
    ending._study = SimpleNamespace(trials={3: SimpleNamespace(state=TrialState.FAILED, attempts=[])})
    ending.put_away(PutAway(3, 1))
    assert waiting == [PutAway(3, 1)]


class _Study:
    """Trial 0 of a study, whose only attempt has just ended, with its files; and who ends attempts there.

    Attributes:
        settled: Attempts whose runners are to be told that their outcomes are on record.
        told: Those of them that were told.
        refused: What the disk lacks, as often as it was said.
    """

    def __init__(self, root: Path, fence: Callable[[], object] = lambda: None) -> None:
        self.paths, self.study = StudyPaths.at(root), Study()
        self.settled: list[str] = []
        self.told: list[str] = []
        self.refused: list[str] = []
        for event in (TrialCreated(0, AT, {"lr": 0.5}), AttemptOpened(0, 1, AT, "local:0")):
            self.study.apply(event)
        open_attempt(self.paths, 0, 1, "{}", {})
        self.paths.attempt(0, 1).log.write_text("printed\n")
        self.ending = ending_attempts.Ending(
            self.paths, cast(Any, None), self.study,
            cast(Any, SimpleNamespace(settled=self.settled.extend, send=self._send)),
            cast(Any, SimpleNamespace(tidied=lambda: None, retain=lambda study: None)),
            self.refused.append, fence=fence, look=fence,
        )  # fmt: skip
        self.ending.work_behind()

    def _send(self) -> None:
        self.told = list(self.settled)

    def end(self, state: TrialState, cause: Cause, evidence: Evidence | None = None) -> None:
        self.study.apply(AttemptEnded(0, 1, AT, state, cause, "why", values=(0.5,)))
        self.ending.over(cast(Any, SimpleNamespace(name="0000.1", evidence=evidence)))
        self.ending.put_away(PutAway(0, 1))
        self.ending.round_over()


@pytest.fixture
def made() -> Iterator[Callable[..., _Study]]:
    found: list[_Study] = []

    def make(*how: Any) -> _Study:
        found.append(_Study(*how))
        return found[-1]

    yield make
    for each in found:
        each.ending.abandon()


def test_files_are_put_away_behind_the_decider_and_the_marker_goes_last(
    tmp_path: Path, made: Callable[..., _Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def waits(*how: Any, **more: Any) -> None:
        begun.set()
        assert may_go_on.wait(60)
        put_away(*how, **more)

    monkeypatch.setattr(putting_behind, "put_away", waits)
    one = made(tmp_path)
    one.end(TrialState.COMPLETE, Cause.COMPLETED)
    assert begun.wait(60)
    assert one.settled == ["0000.1"], "its runner need not wait for that"
    assert one.paths.open_marker(0, 1).exists() and not one.paths.trial(0).record.exists()
    may_go_on.set()
    one.ending.drain()
    assert one.paths.trial(0).log.read_text() == "printed\n" and one.paths.trial(0).record.exists()
    assert not one.paths.open_marker(0, 1).exists() and not one.paths.trial(0).attempts.exists()


@pytest.mark.parametrize("last", ["drain", "close"])
def test_what_a_trial_failed_of_is_in_its_files_before_its_runner_is_told_to_keep_it_to_itself(
    tmp_path: Path, made: Callable[..., _Study], last: str
) -> None:
    one = made(tmp_path)
    one.end(TrialState.FAILED, Cause.CRASH, Evidence(exit_code=1, tail=("ValueError: three",)))
    assert one.settled == []
    getattr(one.ending, last)()
    assert one.told == one.settled == ["0000.1"], "it does not wait for what else is done at an end"
    assert "ValueError: three" in one.paths.trial(0).error_log.read_text()


def test_a_disk_that_refuses_behind_is_told_to_the_next_round_and_tried_again(
    tmp_path: Path, made: Callable[..., _Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "trial.json")

    one = made(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(putting_behind, "put_away", full)
        one.end(TrialState.COMPLETE, Cause.COMPLETED)
        one.ending.drain()
    assert len(one.refused) == 1 and one.paths.open_marker(0, 1).exists()
    one.ending.put_away_left()
    one.ending.drain()
    assert one.paths.trial(0).record.exists() and not one.paths.open_marker(0, 1).exists()


def _refuses(*_: Any, **__: Any) -> None:
    raise OSError(errno.EIO, "Input/output error", "trial.json")


def test_what_is_not_put_away_at_the_end_is_said(
    tmp_path: Path, made: Callable[..., _Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(putting_behind, "put_away", _refuses)
    one = made(tmp_path)
    one.end(TrialState.COMPLETE, Cause.COMPLETED)
    assert "trial.json: Input/output error" in one.ending.close()
    assert one.paths.open_marker(0, 1).exists()


def test_a_run_that_ends_is_told_that_somebody_else_holds_the_study(
    tmp_path: Path, made: Callable[..., _Study]
) -> None:
    def superseded() -> None:
        raise LeaseLost("somebody else runs it")

    one = made(tmp_path, superseded)
    one.end(TrialState.COMPLETE, Cause.COMPLETED)
    with pytest.raises(LeaseLost):
        one.ending.close()


def test_what_was_put_away_behind_one_that_was_refused_is_taken_in(tmp_path: Path, made: Callable[..., _Study]) -> None:
    one = made(tmp_path)
    for put in (putting_behind.Put(PutAway(1, 1), OSError(errno.EIO, "no")), putting_behind.Put(PutAway(2, 1))):
        one.ending._behind._done.put(put)
    with pytest.raises(OSError):
        one.ending.take_done()
    one.ending.take_done()
    assert one.settled == ["0002.1"]


def test_whoever_leaves_a_disk_that_hangs_does_not_wait_for_it(
    tmp_path: Path, made: Callable[..., _Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, begun = threading.Event(), threading.Event()

    def never(*_: Any, **__: Any) -> None:
        begun.set()
        hangs.wait(60)

    monkeypatch.setattr(putting_behind, "put_away", never)
    monkeypatch.setattr(putting_behind, "_ABANDON_WITHIN", 0.05)
    one = made(tmp_path)
    one.end(TrialState.COMPLETE, Cause.COMPLETED)
    assert begun.wait(60)
    behind = one.ending._behind
    while not behind._work.full():
        behind.add(PutAway(0, 1), one.study.trials[0], None)
    left = threading.Thread(target=one.ending.abandon, daemon=True)
    left.start()
    left.join(30)
    assert not left.is_alive()
    hangs.set()


def test_nothing_is_put_away_once_somebody_else_holds_the_study(tmp_path: Path, made: Callable[..., _Study]) -> None:
    def superseded() -> None:
        raise LeaseLost("somebody else runs it")

    one = made(tmp_path, superseded)
    one.end(TrialState.COMPLETE, Cause.COMPLETED)
    with pytest.raises(LeaseLost):
        one.ending.drain()
    assert one.paths.attempt(0, 1).log.exists() and one.paths.open_marker(0, 1).exists()
