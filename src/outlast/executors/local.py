"""Runners as processes of this machine, each in a session of its own, so that they outlive their coordinator."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from outlast._system.processes import Identity, identity_of, is_running
from outlast.errors import StorageError
from outlast.executors.base import Executor
from outlast.executors.fork_request import PLAIN, ForkServerProcess, WarmStart, WarmWorkers, request, taken_ahead
from outlast.executors.heard import EndRequest, Heard
from outlast.executors.lanes import Lanes

_T = TypeVar("_T")


class LocalExecutor(Executor):
    """Has runners forked by a fork server (``python -m outlast.runner.fork_server``) and wakes up when one ends.

    Args:
        warm: How to make workers that import the study's function (`outlast.executors.fork_request`), if there are to be any.
    """

    def __init__(self, warm: WarmStart | None = None) -> None:
        super().__init__()
        self._warm = None if warm is None else WarmWorkers(warm)
        self._from: dict[str, object] = {}  # name → the worker that its runner comes from
        self._fork_server: ForkServerProcess | None = None
        self._lanes = Lanes()
        self._runners: dict[str, Identity | None] = {}  # None: it had ended before it could be looked at
        self._watched: dict[str, int] = {}  # name → pidfd, readable when the process has ended (pidfd_open(2))
        self._ready: set[int] | None = None  # what the last wait found, until somebody listens
        self._listened = False  # since somebody last heard

    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        """See `Executor.submit`. Where the caller has it at hand what the marker says, the runner speaks."""
        if told:
            what = {"marker": marker, "log": log, "told": told}
            self._runners[name] = self._submit_spoken(name, what, keep_fds)
            return
        forked = None if self._warm is None else self._warm.fork(marker, log, keep_fds)
        if forked is None:
            pid = self._from_plain(lambda server: request(server.asking, marker, log, keep_fds))
        else:
            pid, self._from[name] = forked
        self._runners[name] = identity_of(pid)
        self._watch(name, pid)

    def _from_plain(self, ask: Callable[[ForkServerProcess], _T]) -> _T:
        try:
            try:
                return ask(self._open_fork_server())
            except OSError:  # it was killed: a new one is as good
                self._close_fork_server()
                return ask(self._open_fork_server())
        except OSError as error:
            raise StorageError(f"cannot start a runner: {error.strerror or error}") from error

    def _submit_spoken(self, name: str, what: Mapping[str, str], fds: tuple[int, ...]) -> Identity | None:
        worker = None if self._warm is None else self._warm.current()
        if worker is not None:
            try:
                runner = self._lanes.submit(worker, name, what, fds)
            except OSError:  # somebody killed it
                self._warm.spoilt(worker)  # type: ignore[union-attr]
            else:
                worker.trials += 1
                self._from[name] = worker
                return runner
        return self._from_plain(lambda server: self._lanes.submit(server, name, what, fds))

    def take_note(self) -> str:
        """Why there are no warm workers although there should be; see `Executor.take_note`."""
        if self._warm is None or not self._warm.note:
            return ""
        note, self._warm.note = self._warm.note, ""
        return note

    def _open_fork_server(self) -> ForkServerProcess:
        if self._fork_server is None:
            self._fork_server = taken_ahead() or ForkServerProcess(PLAIN)
        return self._fork_server

    def _close_fork_server(self) -> None:
        if self._fork_server is not None:
            self._fork_server.close()
            self._fork_server = None

    def adopt(self, name: str, runner: Identity | None, *, job: str = "", restarts: int = 0) -> bool:
        """See `Executor.adopt`. A runner that had not claimed its attempt yet is not waited for."""
        if runner is None:
            return False
        self._runners[name] = runner
        self._watch(name, runner.pid)
        return True

    def _watch(self, name: str, pid: int) -> None:
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._watched[name] = os.pidfd_open(pid)

    def ended(self, name: str) -> bool | None:
        if name not in self._runners:
            return None
        runner, lane = self._runners[name], self._lanes[name]
        if lane is not None and lane.over:
            return True  # the process may wait for the next
        return runner is None or not is_running(runner)

    def wait(self, timeout: float) -> None:
        self._wait(timeout)

    def _wait(self, timeout: float, *others: int) -> None:
        """As `wait`; also until one of these descriptors has something to read."""
        speaking = [lane.lines.fileno() for lane in self._lanes.speaking]
        if not self._watched and not self._lanes.speaks(self._runners):
            timeout = min(timeout, 0.05)  # no pidfd here (macOS): look often
        self._lanes.send()
        filled = [lane.lines.fileno() for lane in self._lanes.waiting]
        self._ready = self._sleep(timeout, (*self._watched.values(), *speaking, *others), filled)

    def poll(self) -> None:
        """Take in what runners said. One that has hung up without a word is watched as one that never speaks."""
        ready, self._ready, self._listened = self._ready, None, True
        for lane in self._lanes.listen(ready):
            if lane.name in self._runners and lane.name not in self._watched:
                self._watch(lane.name, lane.pid)

    def speaks(self, name: str) -> bool:
        return self._lanes.speaks([name])

    def hear(self) -> Mapping[str, Heard]:
        if not self._listened:
            self.poll()
        self._listened = False
        return self._lanes.heard()

    def pass_on(self, name: str, request: EndRequest) -> bool:
        return self._lanes.ask_to_end(name, request)

    def settled(self, names: Iterable[str]) -> None:
        self._lanes.settled(names)

    def send(self) -> None:
        self._lanes.send()

    def cancel(self, name: str) -> None:
        runner = self._runners.get(name)
        lane = self._lanes[name]
        if runner is None or not is_running(runner) or (lane is not None and lane.over):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(runner.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while is_running(runner) and time.monotonic() < deadline:
            time.sleep(0.01)

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        self._runners.pop(name, None)
        self._lanes.forget(name, spoilt=spoilt)
        worker = self._from.pop(name, None)
        if spoilt and worker is not None and self._warm is not None:
            self._warm.spoilt(worker)
        fd = self._watched.pop(name, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        for name in list(self._runners):
            self.forget(name)
        self._lanes.close()
        self._close_fork_server()
        if self._warm is not None:
            self._warm.close()
        super().close()
