"""The asking end of fork servers of runners; what they answer is said in ``runner/fork_server.py``.

Warm workers are fork servers that have imported the study's function. Nothing ever waits for one: until it has imported, and
wherever it cannot be used, runners come from the plain fork server and import for themselves. One is replaced after a number of
trials, and at once when a trial of it ended badly.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

_LINUX = sys.platform.startswith("linux")
_KIND = socket.SOCK_SEQPACKET if _LINUX else socket.SOCK_DGRAM


#: Serves runners of any study.
PLAIN = "outlast.runner.fork_server"


class ForkServerProcess:
    """A fork server, and our end of the conversation with it.

    Args:
        module: That serves; its first argument is the number of the socket.
        arguments: The others.
        cwd: Where it works; ours by default.
        env: Its environment; ours by default.

    Raises:
        OSError: It cannot be started.

    Attributes:
        trials: That came from it so far, where somebody counts them.
    """

    trials = 0

    def __init__(
        self, module: str, *arguments: str, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.asking, theirs = socket.socketpair(socket.AF_UNIX, _KIND)
        with theirs, contextlib.ExitStack() as unless_it_starts:
            unless_it_starts.enter_context(self.asking)
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            unless_it_starts.pop_all()

    def fork_lane(self, lane: int) -> int:
        """The pid of a new runner, which is told its attempts over the socket whose descriptor is `lane`.

        Raises:
            OSError: As `request`.
        """
        return _asked(self.asking, {"lane": True, "log": os.devnull}, [lane])

    def close(self) -> None:
        """End it; its runners go on."""
        self.asking.close()
        self.process.kill()
        self.process.wait()


class _Ahead:
    """A fork server that was begun before anybody knew whether it is needed: it gets ready while others are imported."""

    server: ForkServerProcess | None = None


@contextlib.contextmanager
def begun_ahead() -> Iterator[None]:
    """For a block in which runners will probably be started: begin the fork server now. One that nobody took is ended with it."""
    with contextlib.suppress(OSError):
        _Ahead.server = ForkServerProcess(PLAIN)
    try:
        yield
    finally:
        if (server := taken_ahead()) is not None:
            server.close()


def taken_ahead() -> ForkServerProcess | None:
    """The one that was begun, for whoever asks first."""
    server, _Ahead.server = _Ahead.server, None
    return server


def request(fork_server: socket.socket, marker: str, log: str, keep_fds: Sequence[int]) -> int:
    """Ask for a runner.

    Args:
        log: The runner's own words go there.
        keep_fds: Descriptors for the runner, under the same numbers.

    Returns:
        Its pid.

    Raises:
        OSError: The fork server is gone, or could not fork.
    """
    return _asked(fork_server, {"marker": marker, "log": log, "fds": list(keep_fds)}, keep_fds)


def _asked(fork_server: socket.socket, wanted: Mapping[str, object], fds: Sequence[int]) -> int:
    socket.send_fds(fork_server, [json.dumps(wanted).encode()], list(fds))
    answer = fork_server.recv(64)
    if not answer:
        raise OSError("the fork server of runners is gone")
    if (pid := int(answer)) < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


class WarmStart(Struct, frozen=True):
    """How a worker is made."""

    argv: tuple[str, ...]  # the module that loads the function, and its arguments: what a process of its own would run
    cwd: str  # of the training
    env: Mapping[str, str]  # its whole environment
    trials: int  # replaced after so many

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.argv!r})"  # an environment holds secrets

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("argv", self.argv)]


class _Worker(ForkServerProcess):
    def __init__(self, start: WarmStart) -> None:
        super().__init__("outlast.runner.warm", *start.argv, cwd=start.cwd, env=start.env)
        self._ready = False
        self.unfit = ""

    def look(self) -> bool:
        """Whether it can be asked for runners by now. Never waits."""
        if not self._ready and not self.unfit and select.select([self.asking], [], [], 0)[0]:
            try:
                told = self.asking.recv(1 << 16)
            except OSError:
                told = b""
            self.unfit = str(json.loads(told)["unfit"]) if told else "ends the process that imports it"
            self._ready = not self.unfit
        return self._ready

    def fork(self, marker: str, log: str, keep_fds: tuple[int, ...]) -> int:
        """A runner's pid. Raises ``OSError`` if the worker is gone."""
        self.trials += 1
        return request(self.asking, marker, log, keep_fds)


class WarmWorkers:
    """One worker in use, and its successor while that imports."""

    def __init__(self, start: WarmStart) -> None:
        self.note = ""  # why there are none, once that is known; whoever tells people empties it
        self._start = start
        self._worker: _Worker | None = None
        self._next: _Worker | None = None
        self._given_up = False
        if not _LINUX:
            self._give_up("cannot be forked safely on this system")

    def fork(self, marker: str, log: str, keep_fds: tuple[int, ...] = ()) -> tuple[int, object] | None:
        """A runner whose training needs not import anything.

        Returns its pid and the worker that it comes from, or ``None`` while there is no worker.
        """
        for _ in range(2):
            if not self.renew() or self._worker is None:
                break
            try:
                return self._worker.fork(marker, log, keep_fds), self._worker
            except OSError:  # somebody killed it: the next one is begun at once
                self._drop_worker()
        return None

    def current(self) -> ForkServerProcess | None:
        """The worker that the next trial comes from, if there is one; it is counted there."""
        if self._worker is not None and self._worker.process.poll() is not None:  # somebody killed it
            self._drop_worker()
        return self._worker if self.renew() else None

    def spoilt(self, worker: object) -> None:
        """A trial of this worker ended badly: none shares anything with it any more."""
        if worker is self._worker:
            self._drop_worker()

    def close(self) -> None:
        """End both; their runners go on."""
        self._drop_worker()
        if self._next is not None:
            self._next.close()
            self._next = None

    def renew(self) -> bool:
        """Begin a worker where one is due. Returns whether one can be asked for runners now."""
        worn = self._worker is None or self._worker.trials >= self._start.trials
        if worn and self._next is None and not self._given_up:
            try:
                self._next = _Worker(self._start)
            except OSError as error:
                self._give_up(f"cannot be started: {error.strerror or error}")
        if self._next is not None and self._next.look():
            self._drop_worker()
            self._worker, self._next = self._next, None
        elif self._next is not None and self._next.unfit:
            self._give_up(self._next.unfit)
        return self._worker is not None

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self.note = reason
        self.close()

    def _drop_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
