"""The shell around the round: what is durable before what, with its parts only written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from outlast.core.plan import Verdict
from outlast.core.records import Warned
from outlast.core.states import StudyState
from outlast.engine.coordinator import instructions as do
from outlast.engine.coordinator.shell import Shell
from outlast.errors import LeaseLost

END = Verdict(StudyState.DONE, "all of it")
ASKED = [
    do.Record(Warned("", "text")), do.Say("text"), do.Prune(1, 1), do.AskToEnd(0, 1, "user"), do.LetWait(soon=True),
    do.SendAway(), do.PutAway(3, 1), do.PutAwayLeft(), do.Leave(END),
]  # fmt: skip


class Noted:
    """Any object of the coordinator's: it writes down what it is told to do."""

    def __init__(self, order: list[str], name: str = "") -> None:
        self._order, self._name = order, name

    def __getattr__(self, name: str) -> Noted:
        return Noted(self._order, name)

    def __call__(self, *_args: Any, **_how: Any) -> None:
        self._order.append(self._name)


def shell(order: list[str]) -> Any:
    """One whose round asks for everything, whatever happens."""
    made: Any = object.__new__(Shell)
    noted, running = Noted(order), {f"000{at}.1": SimpleNamespace(stop_reason="") for at in (0, 1)}
    made._decisions = made._inbox = made._ending = made._slots = noted
    made._round = SimpleNamespace(handle=lambda _: ASKED)
    made._watch = SimpleNamespace(running=running, prune=noted.prune)
    made.paths, made._to_do = None, []
    return made


def test_nothing_is_done_before_the_decisions_are_durable() -> None:
    order: list[str] = []
    made = shell(order)
    made._decide(None)
    assert order == ["take", "say", "prune", "ask"], (
        "it is taken in, and said; who is asked to end is decided about then"
    )
    assert made._act() == END
    durable, answered, *done, last = order[4:]
    assert (durable, answered, last) == ("commit", "answer", "retain")
    assert done == ["let_wait", "send_away", "put_away", "put_away_left"]


def test_what_cannot_be_made_durable_is_not_done() -> None:
    order: list[str] = []
    made = shell(order)

    def lost() -> None:
        raise LeaseLost("somebody else runs it")

    made._decisions = SimpleNamespace(take=Noted(order).take, say=Noted(order).say, commit=lost)
    made._decide(None)
    with pytest.raises(LeaseLost):
        made._act()
    assert order == ["take", "say", "prune", "ask"]
