"""What a trial in a kept worker finds: `outlast.current_trial()`, what an objective asks, and the line to the coordinator."""

from __future__ import annotations

import contextlib
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
from outlast.core.kept_words import Answer, FromWorker, Over, Points, Question, Stop, Train, Unpacker, packed

_POINTS_EVERY = 0.05  # seconds; most of what a shorter trial reports goes with its end
_AT_ONCE = 1  # messages with points that a trial says at once, and as many more in each second
_AT_ONCE_A_SECOND = 20


class Line:
    """The worker's end of its conversation with the coordinator. The end of it is the end of this process."""

    def __init__(self, connection: socket.socket, drawn: int) -> None:
        """`drawn`: a pipe that nobody looks into unless this process dies."""
        self._connection, self._drawn, self._unpacker = connection, drawn, Unpacker(of_worker=False)
        self._talking = threading.Lock()  # a framework may report from a thread of its own
        self._waiting: list[Any] = []
        self.training = ""  # the name of the attempt that runs
        self.stop_reason = ""  # of the request to end it

    def next_trial(self) -> Train | None:
        """Wait for one; ``None`` where nobody is there any more."""
        with self._talking:
            while (message := self._next()) is not None:
                if isinstance(message, Train):
                    self.training, self.stop_reason = message.name, ""
                    return message
        return None

    def look(self, name: str) -> str:
        """Whether the trial was asked to end meanwhile: why. Waits for nothing."""
        if self.training != name:  # a thread that outlived its trial: what comes now is another's
            return ""
        with self._talking:
            if self.training != name:
                return ""
            while not self._waiting and select.select([self._connection], [], [], 0)[0] and self._receive():
                pass
            self._waiting = [message for message in self._waiting if not self._is_stop(message)]
        return self.stop_reason

    def ask(self, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the coordinator, and wait for the answer.

        Raises:
            RuntimeError: The trial is over.
        """
        self._refuse_late(name)
        with self._talking:
            self._refuse_late(name)
            self._connection.sendall(packed(Question(name, question)))
            while (message := self._next()) is not None:
                if isinstance(message, Answer):
                    return message.answer
        os._exit(1)

    def _refuse_late(self, name: str) -> None:
        if self.training != name:
            raise RuntimeError(f"trial {int(name.partition('.')[0])} is over: nothing can be asked for it any more")

    def tell(self, message: FromWorker) -> None:
        """Say something that nobody answers. Points of a trial that is over are dropped."""
        if isinstance(message, Points) and message.name != self.training:
            return
        with self._talking:
            if isinstance(message, Points) and message.name != self.training:
                return
            if isinstance(message, Over):
                self.training = ""
            self._connection.sendall(packed(message))

    def took(self, name: str, parameter: str) -> None:
        """Leave word of what a trial takes of what was offered: it is the trial's, however this process ends."""
        line = f"{json.dumps([name, parameter])}\n".encode()
        with contextlib.suppress(OSError):  # of thousands of them the pipe has no room for the last
            os.write(self._drawn, line if len(line) <= select.PIPE_BUF else b"")

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
        # Whether this process is its training's first rank, once somebody has reported.
        self._speaks: bool | None = None
        self._began = self._told_at = time.monotonic()
        self._told, self._messages, self._telling = 0, 0, threading.Lock()

    @property
    def dir(self) -> Path:
        """Made where somebody wants it: a kept worker's trials have no folder of their own."""
        folder = super().dir
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def ask(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Answer what an objective asks: here, where that is known here, or by the coordinator."""
        if os.getpid() != self._process:
            raise RuntimeError("a trial of a kept worker is asked for in its own process only")
        match question["op"]:
            case "begin" if self._train.begin is not None:
                return self._train.begin
            case "suggest" if (offered := self._train.offered.get(question["name"])) is not None:
                if question["name"] in self.drawn:  # it stays, whatever the range is now
                    return {"value": offered[1]}
                if offered[0] == question["distribution"]:
                    self.drawn.append(question["name"])
                    self._line.took(self._train.name, question["name"])
                    return {"value": offered[1]}
            case "should_prune" if not self._train.prunes:
                return {"value": self._read_stop() == "pruned"}
        self._tell_points()
        found = self._line.ask(self._train.name, question)
        if "error" in found:
            raise ValueError(found["error"])
        return found

    def _append(self, line: dict[str, Any], from_any_rank: bool = False) -> None:
        if not (from_any_rank or self._is_first_rank()):
            return
        if os.getpid() != self._process:
            if not self._complained:
                self._complained = True
                client._say("a trial of a kept worker reports from its own process only; this report is lost")
            return
        self.lines.append(line)
        metrics = line.get("metrics")
        if metrics is None or "nan" in metrics.values() or self._may_tell():  # NaN: it is ended for that
            self._tell_points()

    def _is_first_rank(self) -> bool:
        """As a process of its own would ask for each report; here only what is forked may come to be another one."""
        if self._speaks is None or os.getpid() != self._process:
            self._speaks = client._is_first_rank()
        return self._speaks

    def _may_tell(self) -> bool:
        """Whether what waits is said now. Nobody knows when the next line comes: only what comes in crowds waits for it."""
        now = time.monotonic()
        return (
            now - self._told_at > _POINTS_EVERY or self._messages < _AT_ONCE + (now - self._began) * _AT_ONCE_A_SECOND
        )

    def _tell_points(self) -> None:
        with self._telling:
            fresh = self.lines[self._told :]
            if not fresh:
                return
            self._told_at, self._told = time.monotonic(), self._told + len(fresh)
            self._messages += 1
            text = "".join(f"{json.dumps(line, separators=(',', ':'), allow_nan=False)}\n" for line in fresh)
            self._line.tell(Points(self._train.name, text.encode(), self._listens))

    def _read_stop(self) -> str:
        if os.getpid() != self._process:  # its parent is told
            return ""
        if self._told < len(self.lines) and self._may_tell():
            self._tell_points()
        return self._line.look(self._train.name)
