"""The server of objectives that draw their parameters as they go: each answer is durable before it is given."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.plan import Verdict
from outlast.core.records import AttributeSet, ParamDrawn, StudyAttributeSet
from outlast.core.states import StudyState
from outlast.engine.attempts.kept_attempts import told_first
from outlast.engine.attempts.outcome import points
from outlast.engine.attempts.prepare import draws_as_it_goes
from outlast.engine.coordinator.coming_to_rest import ComingToRest
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.watch import Watch
from outlast.errors import StudyFileError
from outlast.executors.base import Executor
from outlast.executors.kept_workers import KeptExecutor
from outlast.optimizer.index.index_rows import Teller


class AskServer:
    """One conversation for each running attempt whose objective asks."""

    def __init__(
        self,
        settings: Settings,
        decisions: Decisions,
        watch: Watch,
        executor: Executor,
        rest: ComingToRest,
        *,
        enqueue: Callable[[Mapping[str, Any]], bool],
    ) -> None:
        self._conversations: dict[str, Conversation] = {}
        self._asks = draws_as_it_goes(settings)
        self._objective, self._rest = settings.metrics[0].name, rest
        self._teller = Teller(settings, decisions.study)
        self._decisions, self._watch, self._executor, self._enqueue = decisions, watch, executor, enqueue

    def __contains__(self, name: str) -> bool:
        """Whether the attempt's objective asks by itself whether to go on."""
        running = self._watch.running.get(name)
        return name in self._conversations or (self._asks and running is not None and running.kept)

    def open(self, name: str) -> int:
        """Begin one. Returns the descriptor that the runner inherits; the caller closes its copy."""
        conversation, theirs = open_pair()
        self._conversations[name] = conversation
        self._executor.watch_fd(conversation.fd)
        return theirs

    def serve(self) -> None:
        """Answer everything that was asked. What kept workers asked is durable together, before any of them is answered."""
        if isinstance(self._executor, KeptExecutor):
            asked = [(name, question) for name, question in self._executor.questions() if name in self._watch.running]
            answers = [(name, self._answer(name, question)) for name, question in asked]
            self._decisions.commit()
            for name, answer in answers:
                self._executor.answer(name, answer)
        for name, conversation in list(self._conversations.items()):
            if not conversation.serve(partial(self._answer_durably, name)):
                self.end(name)

    def end(self, name: str) -> None:
        """The attempt is over, or hung up."""
        conversation = self._conversations.pop(name, None)
        if conversation is not None:
            self._executor.unwatch_fd(conversation.fd)
            conversation.close()

    def _answer_durably(self, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self._answer(name, question)
        self._decisions.commit()
        return answer

    def _answer(self, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        attempt = self._watch.running[name]
        match question.get("op"):
            case "suggest":
                return self._suggest(attempt.trial, str(question["name"]), str(question["distribution"]))
            case "should_prune":
                attempt.read_reports(at_once=True)  # what it has just reported is what it asks about
                self._watch.judge(attempt)
                return {"value": attempt.stop_reason == "pruned"}
            case "note":
                name, value = str(question["name"]), str(question["value"])
                self._decisions.take(AttributeSet(attempt.trial, name, value, bool(question["system"])))
                return {}
            case "begin":
                return told_first(self._decisions.study.trials[attempt.trial])
            case _:
                return self.answer(question, f"trial {attempt.trial}")

    def answer(self, question: Mapping[str, Any], who: str) -> Mapping[str, Any]:
        """What anybody may ask about the study, and ask for; `who` is named where people hear of it."""
        match question.get("op"):
            case "about":
                return self._teller.about()
            case "rows":
                return self._teller.rows(int(question["seen"]), self._curves())
            case "note of study":
                self._decisions.take(StudyAttributeSet(str(question["name"]), str(question["value"])))
                self._decisions.commit()
            case "enqueue":
                return self._enqueued(question["params"], question.get("user_attrs", {}), who)
            case "stop":
                self._decisions.say(f"{who} asks the search to stop: running trials finish")
                self._rest.ask("user", drain=True)
            case "end":  # at once, for a reason that the caller knows
                self._rest.ask("halted")
                self._rest.halt = self._rest.halt or Verdict(StudyState.HALTED, str(question["why"]))
            case unknown:
                return {"error": f"nobody here knows what {unknown!r} asks for"}
        return {}

    def _enqueued(self, params: Mapping[str, Any], noted: Mapping[str, str], who: str) -> Mapping[str, Any]:
        number = self._decisions.study.next_number
        try:
            taken = self._enqueue(params)
        except StudyFileError as error:
            return {"error": f"enqueue_trial: {error.fact}"}
        for name, value in noted.items() if taken else ():
            self._decisions.take(AttributeSet(number, name, value))
        self._decisions.commit()
        if not taken:
            self._decisions.say(f"what {who} enqueued is left out: the search has no room for another trial")
        return {}

    def _curves(self) -> dict[int, dict[int, float]]:
        for attempt in self._watch.running.values():
            attempt.read_reports()
        return {a.trial: dict(points(a.reports, self._objective)) for a in self._watch.running.values()}

    def _suggest(self, trial: int, name: str, distribution: str) -> Mapping[str, Any]:
        drawn = name in self._decisions.study.trials[trial].params
        try:
            value = self._decisions.optimizer.suggest(trial, name, distribution)
        except ValueError as error:
            return {"error": str(error)}
        if not drawn:
            self._decisions.take(ParamDrawn(trial, name, value, distribution))
        return {"value": value}


_PIECE_BYTES = 1 << 16


class Conversation(Struct):
    """The coordinator's end of one attempt's socket.

    Each line is a question and gets one answer, in pieces if it is long (``more`` asks for the next).
    """

    connection: socket.socket
    _buffer: bytes = b""
    _unsent: bytes = b""  # of a long answer, that was not asked for yet

    @property
    def fd(self) -> int:
        """To wait on."""
        return self.connection.fileno()

    def serve(self, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> bool:
        """Answer every question that has arrived. Returns whether the other end is still there."""
        while True:
            try:
                chunk = self.connection.recv(1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not chunk:
                return False
            self._buffer += chunk
            while b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                if line != b"more":
                    self._unsent = json.dumps(answer(json.loads(line))).encode()
                try:
                    self.connection.sendall(self._piece())
                except OSError:
                    return False

    def _piece(self) -> bytes:
        """What fits into the socket of a reader that is slow; a piece with more behind it begins with a plus sign."""
        piece, self._unsent = self._unsent[:_PIECE_BYTES], self._unsent[_PIECE_BYTES:]
        return (b"+" if self._unsent else b"") + piece + b"\n"

    def close(self) -> None:
        """Close our end."""
        self.connection.close()


def open_pair() -> tuple[Conversation, int]:
    """A conversation, and the descriptor that its objective inherits (the caller closes its copy once it is started)."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.set_inheritable(True)
    return Conversation(ours), theirs.detach()
