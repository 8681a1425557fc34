"""What is said at a terminal that a search is run from, and where it is said once that is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.engine.coordinator.coming_to_rest import ComingToRest
from outlast.engine.hold import terminal


def test_what_waits_to_be_said_when_the_terminal_closes_is_said_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(os, "isatty", lambda _fd: True)
    monkeypatch.setattr(terminal, "words_to_run_log", lambda _paths: order.append("moved"))
    theirs, ours = os.pipe()
    soon: list[Callable[[], object]] = []
    coordinator: Any = SimpleNamespace(
        coming_to_rest=ComingToRest(), running=[], soon=soon, paths=None, nobody_watches=lambda: None
    )
    executor: Any = SimpleNamespace(wake_fd=ours)
    with terminal.stopping_at_signals(coordinator, executor, order.append):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
    for fd in (theirs, ours):
        os.close(fd)
    assert order == [], "a handler says nothing itself"
    for each in soon:
        each()
    assert (order[0], order[-1]) == ("moved", "stopping")
