"""Two coordinators put the same trial away at once: one that was stopped, superseded and woken does not know that it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from lab.one_trial import OneTrial
from lab.turns import every_order
from outlast.core.evidence import Evidence
from outlast.core.states import TrialState
from outlast.study import putting_away
from outlast.study.putting_away import put_away


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
    for turns in every_order():
        shutil.rmtree(one.paths.folder)
        shutil.copytree(kept, one.paths.folder)
        with monkeypatch.context() as watched:
            for name in ("list_names", "read_bytes"):
                watched.setattr(putting_away, name, turns.watched(getattr(putting_away, name)))
            turns.run(partial(put_away, one.paths, one.trial))
        told = _told(one)
        assert not turns.errors, (turns.after, turns.errors)
        assert told == wanted, turns.after
    assert turns.after[0] > 3, "it was never interrupted"
