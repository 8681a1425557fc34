"""The coordinator's side of warm workers: processes that have imported the study's function and fork runners.

Nothing ever waits for one: until it has imported, and wherever it cannot be used, runners come from the plain fork server and
import for themselves. One is replaced after a number of trials, and at once when a trial of it ended badly.
"""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from outlast.executors.fork_request import ForkServerProcess, request

_LINUX = sys.platform.startswith("linux")


@dataclass(frozen=True)
class WarmStart:
    """How a worker is made.

    Attributes:
        argv: The module that loads the function, and its arguments: what a process of its own would run.
        cwd: Of the training.
        env: Its whole environment.
        trials: Replaced after so many.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    trials: int


class _Worker(ForkServerProcess):
    """One process, from its start to its replacement."""

    def __init__(self, start: WarmStart) -> None:
        super().__init__("outlast.runner.warm", *start.argv, cwd=start.cwd, env=start.env)
        self._ready = False
        self.trials = 0
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
    """One worker in use, and its successor while that imports.

    Attributes:
        note: Why there are no warm workers, once that is known; whoever tells people empties it.
    """

    def __init__(self, start: WarmStart) -> None:
        self.note = ""
        self._start = start
        self._worker: _Worker | None = None
        self._next: _Worker | None = None
        self._given_up = False
        if not _LINUX:
            self._give_up("cannot be forked safely on this system")

    def fork(self, marker: str, log: str, keep_fds: tuple[int, ...] = ()) -> tuple[int, object] | None:
        """A runner whose training needs not import anything.

        Returns:
            Its pid and the worker that it comes from, or ``None`` while there is no worker.
        """
        for _ in range(2):
            if not self.renew() or self._worker is None:
                break
            try:
                return self._worker.fork(marker, log, keep_fds), self._worker
            except OSError:  # somebody killed it: the next one is begun at once
                self._drop_worker()
        return None

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
