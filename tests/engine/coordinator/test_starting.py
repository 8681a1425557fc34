"""Opening attempts by itself: trials that wait and new ones, as many as the space has."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator.instructions import Open
from outlast.engine.coordinator.starting import Starting

WANTED = [Open("local:0", 0), Open("local:1"), Open("local:2")]


def drawn(number: int, *, ruled_out: bool = False) -> list[Any]:
    """What creation decides."""
    end = AttemptEnded(number, 1, "", TrialState.INFEASIBLE, Cause.CONSTRAINT)
    return [TrialCreated(number, ""), *([AttemptOpened(number, 1, "", "none"), end] if ruled_out else [])]


@pytest.mark.parametrize(
    ("draws", "opened", "more"),
    [
        ([drawn(1), drawn(2)], {0: "local:0", 1: "local:1", 2: "local:2"}, True),
        ([drawn(1), []], {0: "local:0", 1: "local:1"}, False),
        ([drawn(1, ruled_out=True)], {0: "local:0"}, True),  # the next round draws again
        ([[]], {0: "local:0"}, False),
    ],
    ids=["as many as wanted", "used up", "ruled out", "nothing left"],
)
def test_what_waits_and_what_is_drawn_is_opened_in_the_slots_in_order(
    draws: list[list[Any]], opened: dict[int, str], more: bool
) -> None:
    study, script = Study(), iter(draws)
    study.apply(TrialCreated(0, ""))

    def create() -> list[Any]:
        events = next(script)
        for event in events:
            study.apply(event)
        return events

    starting: Any = object.__new__(Starting)
    starting._decisions, starting._creation = SimpleNamespace(study=study), SimpleNamespace(create=create)
    starting.opened, starting._open = [], lambda trial, slot: (trial.number, slot)
    assert starting.open(WANTED) is more
    assert dict(starting.opened) == opened


@pytest.mark.parametrize("refused", [False, True], ids=["dropped", "refused, and the other dropped"])
def test_what_is_opened_and_not_started_keeps_no_pipe_open(refused: bool) -> None:
    starting: Any = object.__new__(Starting)
    pipes = [os.pipe() for _ in range(2)]
    starting.opened = [(None, SimpleNamespace(pipe_fd=theirs)) for _, theirs in pipes]
    starting._start = lambda attempt, prepared: os.stat("/nowhere/at/all")
    if refused:
        with pytest.raises(OSError):
            starting.start()
    starting.drop()
    assert [os.read(ours, 1) for ours, _ in pipes] == [b"", b""], "the objective's end is closed"
    for ours, _ in pipes:
        os.close(ours)
