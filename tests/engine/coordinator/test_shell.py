"""The shell around the round: what is durable before what, with its parts only written down."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import Warned
from outlast.core.states import StudyState
from outlast.engine.coordinator import instructions as do
from outlast.engine.coordinator.coming_to_rest import ComingToRest
from outlast.engine.coordinator.decisions import Decisions
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
    made._round = SimpleNamespace(rest=ComingToRest())
    made._watch = SimpleNamespace(running=running, prune=noted.prune)
    made.paths, made._to_do = None, []
    return made


def test_nothing_is_done_before_the_decisions_are_durable() -> None:
    order: list[str] = []
    made = shell(order)
    made._carry_out(ASKED)
    assert order == ["take", "say", "prune", "ask"], (
        "it is taken in, and said; who is asked to end is decided about then"
    )
    assert made._act() == END
    durable, answered, *done, last = order[4:]
    assert (durable, answered, last) == ("commit", "answer", "retain")
    assert done == ["let_wait", "send_away", "put_away", "put_away_left"]


def test_what_is_put_away_as_the_last_thing_does_not_wait_for_another_round() -> None:
    order: list[str] = []
    made = shell(order)
    made._ledger, made._began = Noted(order), 0.0
    made._gather = made._start = made._tell = lambda: None
    made._clock = SimpleNamespace(now=lambda: "", monotonic=lambda: 0.0)
    made._watch = SimpleNamespace(running={})
    made._round = SimpleNamespace(rest=ComingToRest(), nothing_runs=lambda *_: [do.PutAway(3, 1)])
    assert made.round() is None
    assert order.index("put_away") < order.index("round_over")


def test_what_cannot_be_made_durable_is_not_done() -> None:
    order: list[str] = []
    made = shell(order)

    def lost(**_: bool) -> None:
        raise LeaseLost("somebody else runs it")

    made._decisions = SimpleNamespace(take=Noted(order).take, say=Noted(order).say, commit=lost)
    made._carry_out(ASKED)
    with pytest.raises(LeaseLost):
        made._act()
    assert order == ["take", "say", "prune", "ask"]


class Refusing(Noted):
    """A part whose first deed meets a full disk."""

    def __init__(self, order: list[str]) -> None:
        super().__init__(order)
        self._refuses = True

    def __getattr__(self, name: str) -> Any:
        if self._refuses:
            self._refuses = False
            return self._refuse
        return super().__getattr__(name)

    def _refuse(self, *_args: Any, **_how: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "stop.json")


def test_who_was_not_asked_to_end_as_the_disk_was_full_does_not_count_as_told() -> None:
    made = shell([])
    made._ending = Refusing([])
    asked = [do.AskToEnd(0, 1, "user"), do.AskToEnd(1, 1, "user")]
    with pytest.raises(OSError):
        made._carry_out(asked)
    assert made._round.rest.told == set()
    made._carry_out(asked)
    assert made._round.rest.told == {(0, 1, False), (1, 1, False)}


def test_a_slot_does_not_wait_until_everyone_has_heard_what_left_it() -> None:
    order: list[str] = []
    made = shell(order)
    made._decisions = Decisions(
        Study(),
        Noted(order),
        Noted([]),
        Noted([]),
        Noted(order),
        Noted(order),
        SimpleNamespace(),  # type: ignore[arg-type]
    )
    made._executor = SimpleNamespace(take_submissions=list)
    made._starting = SimpleNamespace(opened=[], drop=Noted(order).start)
    made._decisions.take(Warned("", "text"))
    made._act()
    made._start()
    assert order == ["append", "answer", "retain", "start", "append", "decided", "decided"]


def test_what_a_disk_refused_is_done_in_the_next_round() -> None:
    order: list[str] = []
    made = shell(order)
    made._ending = Refusing(order)
    made._carry_out([do.PutAway(3, 1), do.PutAwayLeft()])
    with pytest.raises(OSError):
        made._act()
    made._act()
    assert order == ["commit", "answer", "commit", "answer", "put_away", "put_away_left", "retain"]


def test_a_request_to_end_that_a_disk_refused_is_written_in_the_next_round() -> None:
    order: list[str] = []
    made = shell(order)
    untold, told = (SimpleNamespace(name=name, to_be_told=name == "untold") for name in ("untold", "told"))
    made._watch = SimpleNamespace(
        running={"untold": untold, "told": told}, hear=lambda: None, gather=lambda now: [], judge=lambda attempt: False,
        end_if_diverged=lambda attempt: None, gpu_seconds=lambda: 0.0, tell=lambda attempt: order.append(attempt.name),
    )  # fmt: skip
    made._executor = made._disk_guard = made._ledger = Noted([])
    made._inbox, made._slots = SimpleNamespace(read=list), SimpleNamespace(most=0)
    made._clock, made._began, made._in_parts = SimpleNamespace(monotonic=lambda: 0.0), 0.0, False
    made._round, made._ask_server = _NothingFollows(), _NobodyAsks()
    made._gather()
    assert order == ["let_steer", "untold"], "what ended is durable before anything else is decided"


class _NothingFollows:
    """A round that asks for nothing, whatever happens."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_args: []


class _NobodyAsks(tuple[()]):
    """No objective draws its parameters as it goes."""

    def serve(self) -> None:
        """Nobody."""
