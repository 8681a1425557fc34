"""The coordinator's ends of the sockets to runners that say themselves what happens (`outlast.executors.heard`).

Such a runner is told one attempt after the other: where the last one ended in order and its outcome is in the ledger, nothing has
to be forked for the next. It does nothing in between, and ends when its socket does.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from outlast._system.line_socket import LineSocket
from outlast._system.processes import Identity, identity_of
from outlast.core.evidence import Evidence
from outlast.executors.fork_request import ForkServerProcess
from outlast.executors.heard import EndRequest, Heard

_ATTEMPTS = 500  # by one runner; then another one starts with a clean slate


class Lane:
    """One runner, and its attempt if it has one.

    Attributes:
        origin: What it was forked from.
        name: The attempt; empty between two.
        over: The runner has said that this one's training is over.
        heard: What was said and not taken yet.
    """

    def __init__(self, origin: ForkServerProcess) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self.pid = origin.fork_lane(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        self.runner: Identity | None = identity_of(self.pid)
        self.lines, self.origin = LineSocket(ours), origin
        self.name, self.over, self.heard = "", False, Heard()
        self.attempts = 0
        self.fit = True  # for another attempt
        self.settled = self.forgotten = False

    def run(self, name: str, what: Mapping[str, Any], fds: tuple[int, ...]) -> bool:
        """Hand an attempt over. Returns whether the runner is there to take it."""
        self.name, self.over, self.heard = name, False, Heard()
        self.settled = self.forgotten = False
        self.attempts += 1
        return self.lines.say({"op": "run", "name": name, **what, "fds": fds}, fds)

    def listen(self) -> None:
        """Take in what has come."""
        self.lines.flush()
        for message in self.lines.heard():
            if message["name"] != self.name:
                continue
            match message["op"]:
                case "claimed":
                    self.heard.runner = Identity.from_json(message["claim"])
                case "points":
                    self.heard.reports += message["lines"].encode("latin-1")
                case "over":
                    self.heard.evidence, self.over = Evidence.from_json(message["evidence"]), True
                    self.fit = self.fit and not message["last"]


class Lanes:
    """All of them."""

    def __init__(self) -> None:
        self._busy: dict[str, Lane] = {}  # by attempt; until that is forgotten and, where it was over, settled
        self._idle: list[Lane] = []

    def submit(
        self, origin: ForkServerProcess, name: str, what: Mapping[str, Any], fds: tuple[int, ...]
    ) -> Identity | None:
        """Have a runner of this origin run an attempt. Returns which; ``None`` if it had ended before it could be looked at.

        Raises:
            OSError: There is none, and none could be forked.
        """
        lane = self._take(origin)
        if lane is None or not lane.run(name, what, fds):
            lane = Lane(origin)
            if not lane.run(name, what, fds):
                raise OSError(f"the runner {lane.pid} ended at once")
        self._busy[name] = lane
        return lane.runner

    def _take(self, origin: ForkServerProcess) -> Lane | None:
        """One that waits; those that nobody will need any more are let go."""
        found = None
        for lane in reversed(self._idle):
            if found is None and lane.origin is origin and lane.lines.open:
                found = lane  # one that has gone is found to be when it is told something
            elif lane.origin is origin:
                lane.listen()
            else:
                lane.lines.flush()
                lane.lines.close()
        self._idle = [lane for lane in self._idle if lane is not found and lane.lines.open]
        return found

    def __getitem__(self, name: str) -> Lane | None:
        return self._busy.get(name)

    @property
    def speaking(self) -> list[Lane]:
        """Those that something may be heard of."""
        return [lane for lane in self._busy.values() if lane.lines.open]

    def speaks(self, names: Iterable[str]) -> bool:
        """Whether something may be heard of each of these attempts."""
        lanes = map(self._busy.get, names)
        return all(lane is not None and lane.lines.open for lane in lanes)

    @property
    def waiting(self) -> list[Lane]:
        """Those that did not take yet all that they were told."""
        return [lane for lane in self._busy.values() if lane.lines.waiting]

    def send(self) -> None:
        """Send what was put off, to those that wait for their next attempt as well."""
        for lane in (*self._busy.values(), *self._idle):
            lane.lines.flush()

    def listen(self, ready: Collection[int] | None = None) -> list[Lane]:
        """Take in what was said. Returns the runners that are gone, whatever they said before that, until they are forgotten.

        `ready` are the sockets that have something to read, where somebody has looked just now.
        """
        for lane in self.waiting:  # before it has all of an order it says nothing
            lane.lines.flush()
        lanes = {lane.lines.fileno(): lane for lane in self.speaking}
        if ready is None and lanes:
            poller = select.poll()
            for fd in lanes:
                poller.register(fd, select.POLLIN)
            ready = {fd for fd, _ in poller.poll(0)}
        found = [lane for fd, lane in lanes.items() if fd in (ready or ())]
        for lane in found:
            lane.listen()
        return [lane for lane in self._busy.values() if not lane.lines.open]

    def heard(self) -> dict[str, Heard]:
        """What was said since the last call, by attempt."""
        found: dict[str, Heard] = {}
        for name, lane in self._busy.items():
            if lane.heard != _NOTHING:
                found[name], lane.heard = lane.heard, Heard()
        return found

    def ask_to_end(self, name: str, request: EndRequest) -> bool:
        """Pass a request on. Returns whether the runner is there to hear it."""
        lane, what = self._busy.get(name), request
        if lane is None or not lane.lines.open:
            return False
        step = {} if what.step is None else {"step": what.step}
        message = {"op": "stop", "name": name, "reason": what.reason, "grace": what.grace, "now": what.now, **step}
        return lane.lines.say(message)

    def settled(self, names: Iterable[str]) -> None:
        """Tell the runners of these, with what they are told next or `send`."""
        for name in names:
            lane = self._busy.get(name)
            if lane is not None:
                lane.lines.say({"op": "settled", "name": name}, soon=True)
                lane.settled = True
                self._perhaps_idle(lane)

    def forget(self, name: str, *, spoilt: bool) -> None:
        """The attempt is over, or given up: then its runner is left alone."""
        lane = self._busy.get(name)
        if lane is None:
            return
        if not lane.over:
            lane.listen()  # its files may have been quicker
        lane.forgotten = True
        lane.fit = lane.fit and not spoilt and lane.attempts < _ATTEMPTS
        if not lane.over:
            lane.settled = lane.fit = False
            lane.lines.close()
        self._perhaps_idle(lane)

    def _perhaps_idle(self, lane: Lane) -> None:
        if not lane.lines.open:
            if lane.forgotten:
                del self._busy[lane.name]
        elif lane.settled and lane.forgotten:
            del self._busy[lane.name]
            lane.name = ""
            if lane.fit:
                self._idle.append(lane)
            else:
                lane.lines.flush()
                lane.lines.close()

    def close(self) -> None:
        """Hang up on all: they go on by themselves."""
        self.send()
        for lane in (*self._busy.values(), *self._idle):
            lane.lines.close()
        self._busy, self._idle = {}, []


_NOTHING = Heard()
