"""Two coordinators put the same trial away at once: one that was stopped, superseded and woken does not know that it was."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lab.one_trial import OneTrial
from outlast._system import observed
from outlast.core.evidence import Evidence
from outlast.core.states import TrialState
from outlast.study import putting_away
from outlast.study.putting_away import put_away

_MOST = 40  # operations of one that puts away


class Turns:
    """Two who take turns before each operation on the disk: the first does so many, then the second, then each the rest."""

    def __init__(self, first: int, second: int) -> None:
        self._stops = {0: first, 1: second}
        self._goes = {0: threading.Event(), 1: threading.Event()}
        self._done = {0: 0, 1: 0}
        self._over: set[int] = set()
        self.errors: dict[int, BaseException] = {}

    def see(self, _operation: str, _path: str, **_detail: object) -> None:
        me = int(threading.current_thread().name)
        if self._done[me] == self._stops[me]:
            self._hand_over(me)
        self._done[me] += 1

    def watched(self, read: Callable[[Path], object]) -> Callable[[Path], object]:
        """A function that reads: between two that do, the other may come, too."""

        def seen(path: Path) -> object:
            self.see("read", str(path))
            return read(path)

        return seen

    def _hand_over(self, me: int) -> None:
        if 1 - me in self._over:
            return
        self._goes[me].clear()
        self._goes[1 - me].set()
        assert self._goes[me].wait(30)

    def run(self, work: Callable[[], object]) -> None:
        """Have both do it, and wait for them."""

        def one(me: int) -> None:
            assert self._goes[me].wait(30)
            try:
                work()
            except BaseException as error:
                self.errors[me] = error
            self._over.add(me)
            self._goes[1 - me].set()

        threads = [threading.Thread(target=one, args=(me,), name=str(me)) for me in (0, 1)]
        for thread in threads:
            thread.start()
        self._goes[0].set()
        for thread in threads:
            thread.join()

    @property
    def over(self) -> bool:
        """Whether the first never came so far."""
        return self._done[0] <= self._stops[0]

    @property
    def second_over(self) -> bool:
        return self._done[1] <= self._stops[1]


def _completed(one: OneTrial) -> None:
    one.attempt(1, TrialState.COMPLETE)


def _failed(one: OneTrial) -> None:
    one.attempt(1, TrialState.FAILED, reason="its end", evidence=Evidence(traceback="what was raised"))


def _continued(one: OneTrial) -> None:
    one.attempt(1, TrialState.INTERRUPTED)
    one.attempt(2, TrialState.COMPLETE)


def _retried(one: OneTrial) -> None:
    one.attempt(1, TrialState.FAILED, reason="its first end")
    one.put_away()
    one.retry()
    one.open_again(2)
    one.attempt(2, TrialState.COMPLETE)


def _told(one: OneTrial) -> dict[str, str]:
    """What the trial's folder says in the end."""
    return {
        str(path.relative_to(one.paths.folder)): path.read_text()
        for path in one.paths.folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("story", [_completed, _failed, _continued, _retried])
def test_who_puts_away_what_another_is_putting_away_loses_nothing_and_does_not_fail(
    story: Callable[[OneTrial], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, kept = OneTrial(tmp_path / "study"), tmp_path / "kept"
    story(one)
    shutil.copytree(one.paths.folder, kept)
    one.put_away()
    wanted = _told(one)
    assert "trial.json" in wanted and "output.log" in wanted
    for first in range(_MOST):
        for second in range(_MOST):
            shutil.rmtree(one.paths.folder)
            shutil.copytree(kept, one.paths.folder)
            turns = Turns(first, second)
            with monkeypatch.context() as watched:
                watched.setattr(observed, "observer", turns.see)
                for name in ("list_names", "read_bytes"):
                    watched.setattr(putting_away, name, turns.watched(getattr(putting_away, name)))
                turns.run(partial(put_away, one.paths, one.trial))
            told = _told(one)
            assert not turns.errors, (first, second, turns.errors)
            assert told == wanted, (first, second)
            if turns.second_over:
                break
        if turns.over:
            break
    assert first > 3, "it was never interrupted"
