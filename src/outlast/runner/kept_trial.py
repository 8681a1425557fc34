"""What a trial in a kept worker finds: `outlast.current_trial()`, what an objective asks, and the line to the coordinator."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outlast import client
from outlast.core.kept_words import Answer, FromWorker, Points, Question, Stop, Train, Unpacker, packed

_POINTS_EVERY = 0.05  # seconds; what a shorter trial reports goes with its end


class Line:
    """The worker's end of its conversation with the coordinator. The end of it is the end of this process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._unpacker = connection, Unpacker(of_worker=False)
        self._talking = threading.Lock()  # a framework may report from a thread of its own
        self._waiting: list[Any] = []
        self.training = ""  # the name of the attempt that runs
        self.stop_reason = ""  # of the request to end it

    def next_trial(self) -> Train | None:
        """Wait for one; ``None`` where nobody is there any more."""
        while (message := self._next()) is not None:
            if isinstance(message, Train):
                self.training, self.stop_reason = message.name, ""
                return message
        return None

    def look(self) -> str:
        """Whether the trial was asked to end meanwhile: why. Waits for nothing."""
        with self._talking:
            while not self._waiting and select.select([self._connection], [], [], 0)[0] and self._receive():
                pass
            self._waiting = [message for message in self._waiting if not self._is_stop(message)]
        return self.stop_reason

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the coordinator, and wait for the answer."""
        with self._talking:
            self._connection.sendall(packed(Question(question)))
            while (message := self._next()) is not None:
                if isinstance(message, Answer):
                    return message.answer
        os._exit(1)

    def tell(self, message: FromWorker) -> None:
        """Say something that nobody answers."""
        with self._talking:
            self._connection.sendall(packed(message))

    def _next(self) -> Any:
        """The next message that is no request to stop; ``None`` at the end."""
        while True:
            while self._waiting:
                message = self._waiting.pop(0)
                if not self._is_stop(message):
                    return message
            if not self._receive():
                return None

    def _receive(self) -> bool:
        try:
            data = self._connection.recv(1 << 16)
        except OSError:
            return False
        self._waiting += self._unpacker.feed(data)
        return bool(data)

    def _is_stop(self, message: Any) -> bool:
        if not isinstance(message, Stop):
            return False
        if message.name == self.training:
            self.stop_reason = message.reason
        return True


class KeptTrial(client.Trial):
    """The trial that runs here. What it reports is kept until it ends, and said on the way where that takes a while."""

    def __init__(self, train: Train, line: Line) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []  # as ``reports.jsonl`` has them elsewhere
        self.drawn: list[str] = []  # what it took of what was offered
        self._train, self._line = train, line
        self._params = dict(train.params)
        self._process = os.getpid()
        self._told, self._told_at = 0, time.monotonic()

    @property
    def dir(self) -> Path:
        """Made where somebody wants it: a kept worker's trials have no folder of their own."""
        folder = super().dir
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def ask(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Answer what an objective asks: here, where that is known here, or by the coordinator."""
        match question["op"]:
            case "begin" if self._train.begin is not None:
                return self._train.begin
            case "suggest" if (offered := self._train.offered.get(question["name"])) is not None:
                if offered[0] == question["distribution"]:
                    if question["name"] not in self.drawn:
                        self.drawn.append(question["name"])
                    return {"value": offered[1]}
            case "should_prune" if not self._train.prunes:
                return {"value": self._line.look() == "pruned"}
        self._tell_points()
        found = self._line.ask(question)
        if "error" in found:
            raise ValueError(found["error"])
        return found

    def _append(self, line: dict[str, Any], from_any_rank: bool = False) -> None:
        if not (from_any_rank or client._is_first_rank()):
            return
        if os.getpid() != self._process:
            if not self._complained:
                self._complained = True
                client._say("a trial of a kept worker reports from its own process only; this report is lost")
            return
        self.lines.append(line)
        lost = "nan" in line.get("metrics", {}).values()  # what it trains: it is ended for that
        if lost or time.monotonic() - self._told_at > _POINTS_EVERY:
            self._tell_points()

    def _tell_points(self) -> None:
        self._told_at = time.monotonic()
        fresh = self.lines[self._told :]
        self._told += len(fresh)
        if fresh:
            text = "".join(f"{json.dumps(line, separators=(',', ':'), allow_nan=False)}\n" for line in fresh)
            self._line.tell(Points(text.encode(), self._listens))

    def _read_stop(self) -> str:
        return self._line.look()
