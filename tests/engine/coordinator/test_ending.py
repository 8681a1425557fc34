"""Ending attempts by itself: files that a full disk has no room for wait for it."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.engine.coordinator import ending_attempts
from outlast.engine.coordinator.instructions import PutAway


def test_what_waits_for_room_does_so_before_anybody_is_told_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def put_away(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "trial.json")

    monkeypatch.setattr(ending_attempts, "put_away", put_away)
    monkeypatch.setattr(ending_attempts, "set_bad_aside", lambda *_: None)
    ending: Any = object.__new__(ending_attempts.Ending)
    waiting: list[Any] = []
    ending._heard = {}
    ending._left, ending._refused = [], lambda why: waiting.extend(ending._left)
    ending._study = SimpleNamespace(trials={3: SimpleNamespace(state=SimpleNamespace(finished=True))})
    ending._paths = SimpleNamespace(trial=lambda number: None)
    ending._settings = SimpleNamespace(checkpoints=SimpleNamespace(pattern=()))
    ending.put_away(PutAway(3, 1))
    assert waiting == [PutAway(3, 1)]
