"""The runner's end of the socket to its coordinator; what is said over it stands in `outlast.executors.heard`."""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from outlast._system.line_socket import LineSocket
from outlast._system.mounts import is_shared
from outlast.runner.spec import RunnerSpec

#: What a runner is told instead of a marker, before the number of the socket over which it is told its attempts.
LANE = "--lane"


class Order:
    """An attempt that the coordinator has for this runner."""

    def __init__(self, told: dict[str, Any], fds: list[int]) -> None:
        self.name, self.marker, self.log = str(told["name"]), str(told["marker"]), str(told["log"])
        self.told = str(told["told"]).encode()
        self._fds = dict(zip(told["fds"], fds, strict=True))  # the coordinator's number → ours
        self.asked: dict[str, Any] | None = None  # to stop, before it was begun

    def with_own_numbers(self, spec: RunnerSpec) -> RunnerSpec:
        """The attempt, with this process's numbers of the descriptors that came with it.

        The conversation of an objective that draws as it goes is the training's affair: it is not let go here.
        """
        if not self._fds:
            return spec
        locks = tuple((self._fds[fd], start, units) for fd, start, units in spec.gpu_locks)
        slot = None if spec.slot_fd is None else self._fds[spec.slot_fd]
        if spec.pipe_fd is None:
            return replace(spec, gpu_locks=locks, slot_fd=slot)
        pipe = self._fds.pop(spec.pipe_fd)
        argv = (*spec.argv[:-1], str(pipe)) if spec.argv[-1:] == (str(spec.pipe_fd),) else spec.argv
        return replace(spec, gpu_locks=locks, slot_fd=slot, pipe_fd=pipe, argv=argv)

    def let_go(self) -> None:
        """Close what came with it: who trains has it, or nobody needs it any more."""
        while self._fds:
            os.close(self._fds.popitem()[1])


class Lane:
    """What the coordinator says, and what it is told. Once it is gone, nothing is said and nobody answers.

    Attributes:
        asked: What ``stop.json`` says, where the coordinator said so; ``None`` before.
        settled: The outcome of the attempt is in the ledger.
    """

    def __init__(self, fd: int) -> None:
        self._lines = LineSocket(socket.socket(fileno=fd))
        self._orders: deque[Order] = deque()
        self._name = ""
        self.asked: dict[str, Any] | None = None
        self.settled = False
        self._shared: dict[int, bool] = {}

    def is_shared(self, path: str, device: int) -> bool:
        """As `outlast._system.mounts.is_shared`, looked at once for each device: all attempts are of one study."""
        if device not in self._shared:
            self._shared[device] = is_shared(path)
        return self._shared[device]

    @property
    def open(self) -> bool:
        """Whether the coordinator is there, as far as is known."""
        return self._lines.open

    def fileno(self) -> int:
        """To wait on while it is open."""
        return self._lines.fileno()

    def next(self) -> Order | None:
        """The next attempt, which is waited for; ``None`` if there will be none."""
        while not self._orders and self.open:
            self._wait(None)
            self.look()
        if not self._orders or not self.open:
            return None
        order = self._orders.popleft()
        self._name, self.asked, self.settled = order.name, order.asked, False
        return order

    def look(self) -> None:
        """Take in what has come, and send what waits."""
        self._lines.flush()
        for message in self._lines.heard():
            if message["op"] == "run":
                if not self.open:  # whoever decides next opens another attempt: nobody has claimed this one
                    continue
                self._orders.append(Order(message, self._lines.take_fds(len(message["fds"]))))
            elif message["op"] == "stop":
                self._ask(message["name"], {key: value for key, value in message.items() if key not in ("op", "name")})
            elif message["op"] == "settled" and message["name"] == self._name:
                self.settled = True

    def send(self) -> None:
        """Send what waits, and take in nothing: what has come is still there to be waited for."""
        self._lines.flush()

    def _ask(self, name: str, request: dict[str, Any]) -> None:
        if name == self._name:
            self.asked = request
        for order in self._orders:
            if order.name == name:  # both came in one piece
                order.asked = request

    def say(self, op: str, *, soon: bool = False, **what: Any) -> None:
        """Tell the coordinator something of the attempt; `soon`: with what is said next, or the next `look` or `send`."""
        self._lines.say({"op": op, "name": self._name, **what}, soon=soon)

    def say_over(self, evidence: str, *, last: bool) -> None:
        """Tell it that the training is over: `evidence` as in ``exit.json``; `last`: this runner takes no other attempt."""
        self.say("over", evidence=Raw(evidence.encode()), last=last)

    def wait_settled(self, seconds: float) -> bool:
        """Wait until the outcome is in the ledger. Returns whether that was said in so many seconds."""
        deadline = time.monotonic() + seconds
        while not self.settled and self.open and (left := deadline - time.monotonic()) > 0:
            self._wait(left)
            self.look()
        return self.settled

    def _wait(self, seconds: float | None) -> None:
        poller = select.poll()
        poller.register(self._lines, select.POLLIN | (select.POLLOUT if self._lines.waiting else 0))
        poller.poll(None if seconds is None else 1000 * seconds)
