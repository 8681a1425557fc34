"""A kept worker as the coordinator has it: its process, our end of the conversation, its output, and the trial that it runs."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from outlast._system.memory import MemoryCounters, physical_memory
from outlast._system.tokens import VARIABLE
from outlast.core.evidence import Evidence
from outlast.core.kept_words import Stop, ToWorker, Train, Unpacker, packed
from outlast.errors import StorageError
from outlast.executors.heard import EndRequest
from outlast.executors.kept_output import locked_output, log_name, remove_empty_output

_ENDS_WITHIN = 1.0  # seconds, once it has hung up
_COUNTS_FOR = 1.0  # seconds of awakeness; so old may be what the kernel counted before a trial
#: Of one trial's output this much of the beginning stays, and about as much of the end, where it is more than both.
_HEAD_BYTES, _TAIL_BYTES = 32 * 2**20, 8 * 2**20


class KeptStart(Struct, frozen=True):
    """How kept workers are made. Durations are seconds."""

    argv: tuple[str, ...]  # the module that loads the function, and its arguments
    cwd: str
    env: Mapping[str, str]
    objectives: str  # JSON
    outputs: str  # folder of their output
    token: str  # what the processes of all of them carry, each with its slot behind
    trials: int  # one is replaced after so many
    timeout: float | None = None
    hang_after: float | None = None
    floors: Mapping[str, int] = {}  # slot → where in its output nothing is on record any more

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.argv!r})"  # an environment holds secrets

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("argv", self.argv)]


class Busy(Struct):
    """A trial in a kept worker."""

    train: Train
    seconds_before: float  # of earlier attempts
    since: float  # awake seconds when it began, as far as we know
    heard: float  # when it last gave a sign of life
    reported: bool = False
    listens: bool = False
    request: EndRequest | None = None
    kill_at: float = 0.0
    terminated: bool = False
    peak: int = 0  # bytes of memory in use by it, of those that were seen


class KeptProcess:
    """One of them.

    Args:
        start: How it is made.
        slot: That its trials run in: ``kept:3``.
        still_ours: Raises where another coordinator has the study by now: what holds the slot is that one's, then.

    Raises:
        StorageError: No process can be started, or an earlier one will not go.
    """

    def __init__(self, start: KeptStart, slot: str, still_ours: Callable[[], object] = lambda: None) -> None:
        self.slot, self.log = slot, os.path.join(start.outputs, log_name(slot))
        self._of_slot = f"{start.token}{slot};"
        self.token = f"{self._of_slot}{secrets.token_hex(4)};"  # a successor's worker in this slot has another one
        self.busy: Busy | None = None
        self.ready, self.doomed, self.trials, self.sized = False, False, 0, 0
        self._unpacker, self._unsent = Unpacker(of_worker=True), b""
        with contextlib.ExitStack() as undone:
            try:
                os.makedirs(start.outputs, exist_ok=True)
                self._make(start, still_ours, undone)
            except OSError as error:
                raise StorageError.of(error, "cannot start a worker") from error
            undone.pop_all()
        self._lock.close()  # it has it: whoever ends what holds it does not mean us
        self._memory, self._counted = MemoryCounters(), 0.0
        self.pidfd: int | None = None
        with contextlib.suppress(AttributeError, OSError):  # a kernel without it: its hanging up tells as much
            self.pidfd = os.pidfd_open(self.process.pid)

    def _make(self, start: KeptStart, still_ours: Callable[[], object], undone: contextlib.ExitStack) -> None:
        """Make it, piece by piece; `undone` takes all of it back."""
        self._lock = locked_output(self.log, self._of_slot, still_ours)
        undone.callback(self._lock.close)
        self._out = os.open(self.log, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        undone.callback(os.close, self._out)
        if self.size < (floor := start.floors.get(self.slot, 0)):
            os.ftruncate(self._out, floor)  # a power failure, or a copy, has lost some: its place stays empty
        self.end = self.size  # of the output of the trials before
        self._drawn, drawn = os.pipe()
        undone.callback(os.close, self._drawn)
        try:
            for fd in (self._drawn, drawn):
                os.set_blocking(fd, False)
            self.connection, theirs = socket.socketpair()
            undone.callback(self.connection.close)
            self.connection.setblocking(False)
            with theirs:
                self.process = self._started(start, theirs.fileno(), drawn)
        finally:
            os.close(drawn)

    def _started(self, start: KeptStart, conversation: int, drawn: int) -> subprocess.Popen[bytes]:
        about = [str(conversation), str(drawn), str(os.getpid()), self.log, start.objectives]
        return subprocess.Popen(
            [sys.executable, "-m", "outlast.runner.kept_worker", *about, *start.argv],
            cwd=start.cwd,
            env={**start.env, VARIABLE: self.token},
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            pass_fds=[conversation, drawn, self._lock.fd],
            start_new_session=True,
        )

    @property
    def size(self) -> int:
        """Bytes of output so far."""
        return os.fstat(self._out).st_size

    def begin(self, train: Train, seconds_before: float, now: float) -> None:
        """Hand it a trial. Raises ``OSError`` where it is gone."""
        self.drawn(train.name)
        self.end = min(self.end, self.size)  # the trial before printed without end, and was cut
        if now - self._counted > _COUNTS_FOR:
            self._counted = now
            self._memory.begin()
        self.say(train)
        self.busy = Busy(train, seconds_before, now, now)
        self.trials += 1

    def drawn(self, name: str) -> tuple[str, ...]:
        """What this trial took of what was offered, in order. Asked for once."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._drawn, 1 << 16):
                data += more
        taken = [json.loads(line) for line in data.splitlines()]
        return tuple(parameter for of, parameter in taken if of == name)

    def weigh(self) -> None:
        """See how much memory it uses now."""
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{self.process.pid}/statm") as file:
            pages = int(file.read().split()[1])
            if self.busy is not None:
                self.busy.peak = max(self.busy.peak, pages * os.sysconf("SC_PAGE_SIZE"))

    def say(self, message: ToWorker) -> None:
        """Send it something. A worker reads when it has time: what does not fit is sent later."""
        self._unsent += packed(message)
        self.send()

    def send(self) -> None:
        """Send what is left."""
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.connection.send(self._unsent) :]

    def hear(self) -> tuple[list[Any], bool]:
        """What it said, and whether it is still there."""
        found: list[Any] = []
        try:
            while data := self.connection.recv(1 << 18):
                found += self._unpacker.feed(data)
        except BlockingIOError:
            return found, self.process.poll() is None
        except (OSError, msgspec.DecodeError):
            pass
        return found, False

    def ask_to_end(self, request: EndRequest, now: float) -> None:
        """As a runner does: say so; a trial that does not look is told by a signal; after its grace it is killed."""
        busy = self.busy
        if busy is None:
            return
        if busy.request is None:
            busy.kill_at = now + request.grace
            with contextlib.suppress(OSError):
                self.say(Stop(busy.train.name, request.reason))
        busy.request = request
        if request.now:
            self.signal(signal.SIGKILL)
        elif not busy.listens and not self.doomed:
            self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send it a signal on its trial's account: it runs no other one."""
        self.doomed = True
        if self.process.poll() is None:
            if self.busy is not None:
                self.busy.terminated = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def shorten(self) -> None:
        """Of a trial that prints without end, keep the beginning and the latest part."""
        size = self.size
        if size - self.end <= _HEAD_BYTES + 2 * _TAIL_BYTES:
            return
        last = os.pread(self._out, _TAIL_BYTES, size - _TAIL_BYTES)
        left_out = size - self.end - _HEAD_BYTES - len(last)
        os.ftruncate(self._out, self.end + _HEAD_BYTES)
        os.write(self._out, f"\n=== {left_out} bytes of output left out ===\n".encode() + last)

    def crash(self, seconds: float) -> Evidence:
        """What its end says, once it has ended: no trial was to end so."""
        try:
            code = self.process.wait(timeout=_ENDS_WITHIN)
        except subprocess.TimeoutExpired:  # it only hung up
            self.process.kill()
            code = self.process.wait()
        memory = self._memory.kills()
        return Evidence(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            seconds=round(seconds, 3),
            host=os.uname().nodename,
            oom_killed=memory.own,
            host_oom=memory.host,
            peak_memory=self.busy.peak if self.busy is not None else 0,
            machine_memory=physical_memory() or 0,
        )

    def kill(self) -> None:
        """End it at once, and wait until it has."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, and let its output go: an empty one is removed."""
        self.kill()
        self._memory.close()
        self.connection.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
        if not self.size:
            remove_empty_output(self.log)
        os.close(self._out)
        os.close(self._drawn)
