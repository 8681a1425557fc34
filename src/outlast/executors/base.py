"""The contract of an executor: it starts runners somewhere and says whether they live. It never says how a trial ended.

- `submit` starts the runner of an open attempt, or has it started, and returns at once. Submitting an attempt twice is
  harmless: the runner that claims ``started.json`` first runs it. Raises `outlast.errors.StorageError` if no process can be
  started, and `outlast.errors.JobRefused` if a scheduler says that the request is wrong; a limit that passes is waited for,
  and what it was hiding is told by `poll`. What was refused is not watched.
- `adopt` takes over the watch of an attempt that an earlier coordinator submitted: its runner runs, or may still start.
- `poll` looks at everything that is watched, in one listing at most, which may be put off until somebody wants to know,
  and submits again what had to wait (it may be refused as `submit` is);
  between two calls nothing that `ended` said changes, except that a runner of this machine may end at any time. Polling more
  often than it is worth costs nothing.
- `ended` says whether the attempt's runner has certainly ended and none will start (``True``), certainly lives or waits for
  its start (``False``), or cannot be told (``None``). Unknown is never an ending.
- `job_end` is what a scheduler says of the end of the attempt's job, in our words: its own stay in the executor.
- `wait` returns when something may have changed, or after the timeout; earlier is allowed.
- `cancel` ends a runner that has not claimed its attempt, or is beyond being asked; later, if a scheduler is silent. Only
  runners of ours.
- `speaks` says whether the attempt's runner tells its news over a socket (`outlast.executors.heard`): while it does, nobody needs
  to look into the attempt's folder. `hear` is what was said since the last call. `pass_on` hands a request to end to such a
  runner; the files say the same. `settled` tells those whose outcomes are in the ledger, at the latest with `send`,
  `wait` or `close`.
  Elsewhere nobody speaks, and nothing is heard.
- `forget` ends the watch over one attempt; what it says of that attempt afterwards is unknown.
- `close` forgets everything and ends nothing: runners outlive their coordinator.

The coordinator alone calls these, from one thread. `outlast.testing.executors` proves them over every executor.
"""

from __future__ import annotations

import abc
import contextlib
import os
import select
import weakref
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from outlast._system.processes import Identity
from outlast.core.evidence import JobEnd
from outlast.core.records import JobSubmitted
from outlast.executors.heard import EndRequest, Heard

__all__ = ["Executor", "StudyFacts"]


class StudyFacts(Struct, frozen=True):
    """What an executor of somebody else's is told of the study that it starts runners for.

    Attributes:
        name: The study's.
        jobs: Folder in the study's own where the executor may keep what it has to remember; every node sees it.
        gpus: Cards that one attempt needs, as in the study file's `resources:`.
        cpus: CPUs likewise; ``None``: not said.
        memory: Bytes likewise.
    """

    name: str
    jobs: str
    gpus: float = 0.0
    cpus: int | None = None
    memory: int | None = None


class Executor(abc.ABC):
    """Starts runners; see the module's contract.

    Attributes:
        pause: Seconds between two looks at what runs, where nothing wakes us.
        outlives: What was submitted may start long after, under a later coordinator.
        asks: Whether somebody can be asked about an attempt's job.
        say: Takes a line for the person, of trouble that passes: said once, not every time that it is met.
    """

    pause = 0.2
    outlives = False
    asks = True

    def __init__(self) -> None:
        self.say: Callable[[str], object] = print
        self._taken: list[JobSubmitted] = []
        self._said = ""
        self._extra: set[int] = set()
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        self._unwaked = weakref.finalize(self, _close, self._wake_read, self._wake_write)  # also of one that never ran

    @abc.abstractmethod
    def submit(self, name: str, marker: str, log: str, *, told: str = "", keep_fds: tuple[int, ...] = ()) -> None:
        """Start the runner of attempt `name` (``0007.2``), whose marker file is `marker`; its own words go to `log`.

        `told` is what the marker says, where the caller has it at hand: a runner that is told so need not read it.
        """

    @abc.abstractmethod
    def adopt(self, name: str, runner: Identity | None, *, job: str = "", restarts: int = 0) -> bool:
        """Watch an attempt that was submitted before we came.

        Args:
            runner: That claimed it; ``None`` if nobody has.
            job: The scheduler's id of its job, where that is known.
            restarts: How often the scheduler had started the job anew when it took the attempt.

        Returns:
            Whether it runs or may still start. Otherwise nobody will start it: it can be given up.
        """

    @abc.abstractmethod
    def ended(self, name: str) -> bool | None:
        """Whether the runner has ended."""

    @abc.abstractmethod
    def cancel(self, name: str) -> None:
        """End the runner."""

    @abc.abstractmethod
    def forget(self, name: str, *, spoilt: bool = False) -> None:
        """Stop watching: the attempt is over. `spoilt`: badly, and nothing that it was made from is to be used again."""

    def speaks(self, name: str) -> bool:
        """Whether the runner says by itself what happens to its attempt."""
        return False

    def hear(self) -> Mapping[str, Heard]:
        """What runners said since the last call, by attempt."""
        return {}

    def pass_on(self, name: str, request: EndRequest) -> bool:
        """Ask the attempt to end. Returns whether its runner was told; otherwise it finds the request in its folder."""
        return False

    def settled(self, names: Iterable[str]) -> None:
        """The outcomes of these attempts are in the ledger for good: their runners need not leave anything more.

        They may hear so with what they are told next, or with the next `send`, `wait` or `close`.
        """
        return

    def send(self) -> None:
        """Runners hear now what they were not told yet: who waits for it lets go of files then."""
        return

    def poll(self) -> None:
        """Look at everything that is watched."""
        return

    def job_end(self, name: str) -> JobEnd | None:
        """How the attempt's job ended, as its scheduler tells it; ``None`` while it may still tell."""
        return JobEnd.UNTOLD

    def take_submissions(self) -> list[JobSubmitted]:
        """Jobs that a scheduler took since the last call."""
        taken, self._taken = self._taken, []
        return taken

    def take_note(self) -> str:
        """Something that the person should know of how runners are started; said once."""
        return ""

    def watch_fd(self, fd: int) -> None:
        """End a wait early when this descriptor has something to read."""
        self._extra.add(fd)

    def unwatch_fd(self, fd: int) -> None:
        """Take `watch_fd` back."""
        self._extra.discard(fd)

    @property
    def wake_fd(self) -> int:
        """A byte written here ends the wait: for signal handlers and other threads."""
        return self._wake_write

    def wait(self, timeout: float) -> None:
        """Sleep until something may have changed."""
        self._sleep(timeout, ())

    def close(self) -> None:
        """Forget everything."""
        self._unwaked()

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.say(text)

    def _sleep(self, timeout: float, fds: Iterable[int], filled: Iterable[int] = ()) -> set[int]:
        """Until one of `fds` has something to read, or one that we had `filled` has room again. Returns which."""
        poller = select.poll()
        for fd in (*fds, *self._extra, self._wake_read):
            poller.register(fd, select.POLLIN)
        for fd in filled:
            poller.register(fd, select.POLLIN | select.POLLOUT)
        ready = poller.poll(max(0.0, timeout) * 1000)
        with contextlib.suppress(BlockingIOError):
            while any(fd == self._wake_read for fd, _ in ready) and os.read(self._wake_read, 4096):
                continue
        return {fd for fd, _ in ready}


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)
