"""The trial of a kept worker, at its end of the conversation."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from outlast import client
from outlast.core.evidence import Evidence
from outlast.core.kept_words import Answer, Over, Points, Question, Train, Unpacker, packed
from outlast.objective.pipe_trial import PipeTrial
from outlast.runner.kept_trial import KeptTrial, Line

WIDE, NARROW = '{"low": 0, "high": 9}', '{"low": 0, "high": 1}'


@dataclass
class Ends:
    """Both ends of one conversation."""

    line: Line
    ours: socket.socket
    drawn: int

    def begun(self, number: int = 1, **more: Any) -> KeptTrial:
        self.ours.sendall(packed(Train(f"{number:04d}.1", number, 1, "/nowhere", "/nowhere/checkpoints", **more)))
        train = self.line.next_trial()
        assert train is not None
        return KeptTrial(train, self.line)

    def said(self) -> list[Any]:
        unpacker, found = Unpacker(of_worker=True), []
        try:
            while data := self.ours.recv(1 << 16):
                found += unpacker.feed(data)
        except BlockingIOError:
            return found
        return found


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", "/nowhere")
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(20)
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with ours, theirs:
        yield Ends(Line(theirs, writing), ours, reading)
    os.close(reading)
    os.close(writing)


def asked(distribution: str) -> dict[str, Any]:
    return {"op": "suggest", "name": "x", "distribution": distribution}


def test_what_is_taken_of_what_was_offered_stays_and_is_known_however_the_process_ends(ends: Ends) -> None:
    trial = ends.begun(offered={"x": (WIDE, 4.0)})
    assert trial.ask(asked(WIDE)) == {"value": 4.0}
    assert json.loads(os.read(ends.drawn, 100)) == ["0001.1", "x"]
    assert trial.ask(asked(NARROW)) == {"value": 4.0}, "a second value for one parameter"
    assert trial.drawn == ["x"] and ends.said() == []


def ask_late(trial: KeptTrial) -> None:
    with pytest.raises(RuntimeError, match="trial 1 is over"):
        trial.ask(asked(WIDE))


@pytest.mark.parametrize(
    "late",
    [
        lambda trial: trial.report(step=1, loss=0.5),
        lambda trial: trial.should_stop,
        ask_late,
    ],
)
def test_a_thread_that_outlives_its_trial_takes_no_part_in_the_next(late: Callable[[Any], Any], ends: Ends) -> None:
    trial = ends.begun(1)
    ends.line.tell(Over("0001.1", Evidence()))
    late(trial)
    ends.ours.sendall(packed(Train("0002.1", 2, 1, "/nowhere", "/nowhere")))
    late(trial)
    train = ends.line.next_trial()
    assert train is not None and train.name == "0002.1", "it has taken what the next trial was to hear"
    late(trial)
    assert [type(message) for message in ends.said()] == [Over]


def test_lines_are_told_while_nobody_knows_when_the_next_one_comes(ends: Ends) -> None:
    trial = ends.begun(prunes=True)
    for step in range(9):
        trial.report(step=step, loss=0.5)
    assert len(ends.said()) < 9
    assert not trial.should_stop
    listens = ends.said()
    assert [(message.name, message.listens) for message in listens] == [("0001.1", True)], (
        "that it listens is held back"
    )
    trial._began -= 10.0
    trial.report(step=0, loss=0.5)
    trial.report(step=0, score=0.25)  # in the same instant
    assert [json.loads(message.lines)["metrics"] for message in ends.said()] == [{"loss": 0.5}, {"score": 0.25}]


def test_what_was_held_back_of_a_crowd_of_reports_is_told_at_the_next_look(ends: Ends) -> None:
    trial = ends.begun()
    assert not trial.should_stop
    for step in range(100):
        trial.report(step=step, loss=0.5)
    crowd = ends.said()
    assert len(crowd) < 10
    trial._told_at -= 1.0
    assert not trial.should_stop
    told = b"".join(message.lines for message in [*crowd, *ends.said()] if isinstance(message, Points))
    assert sum(b'"step"' in line for line in told.splitlines()) == 100


class Environment(dict[str, str]):
    """That knows how often it was asked."""

    asked = 0

    def __getitem__(self, name: str) -> str:
        self.asked += 1
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked += 1
        return super().get(name, default)


def test_an_objectives_reports_ask_the_environment_for_the_first_only(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(os.environ, OUTLAST_METRICS="loss")
    monkeypatch.setattr(os, "environ", environment)
    kept = ends.begun(begin={"number": 1})
    monkeypatch.setattr(client, "_current", (("/nowhere", None), kept))
    trial = PipeTrial(kept.ask)
    trial.report(0.5, 0)
    first = environment.asked
    for step in range(1, 20):
        trial.report(0.5, step)
    assert environment.asked == first > 0  # looking there took a quarter of what a trial of twenty reports costs
    assert [line["step"] for line in kept.lines] == list(range(20))


def test_an_objective_that_outlives_its_trial_reports_nothing_of_the_next(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = []
    for number in (1, 2):
        kept = ends.begun(number, begin={"number": number})
        monkeypatch.setattr(client, "_current", (("/nowhere", None), kept))
        trials.append((kept, PipeTrial(kept.ask)))
    (_, early), (now, _) = trials
    early.report(0.5, 0)
    assert now.lines == []


@pytest.mark.parametrize("value", [1 << 64, -(1 << 70), (1 << 64) - 1, -(1 << 63), 5, True, None])
def test_whole_numbers_of_any_length_travel(value: Any) -> None:
    train = Train("0001.1", 1, 1, "", "", params={"seed": [value, {"x": value}]}, offered={"seed": ("{}", value)})
    assert Unpacker(of_worker=False).feed(packed(train)) == [train]
    assert Unpacker(of_worker=False).feed(packed(Answer({"value": value}))) == [Answer({"value": value})]
    assert Unpacker(of_worker=True).feed(packed(Question("0001.1", {"x": value}))) == [Question("0001.1", {"x": value})]
    points = Over("0001.1", Evidence(), (3, 4))
    assert Unpacker(of_worker=True).feed(packed(points)) == [points]
