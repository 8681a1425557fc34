"""How a training is stopped: what asks for it (the time it had, too), and the sequence of asking, signalling and killing."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from outlast._system.clock import Clock
from outlast._system.files import write_atomic
from outlast._system.job_environment import grace_within, seconds_left
from outlast._system.reading import read_json
from outlast.core.file_names import AttemptPaths
from outlast.runner.capture.session import CaptureSession
from outlast.runner.spec import RunnerSpec
from outlast.runner.training import Training

_BEFORE_WALLTIME = 10.0  # seconds beyond the grace period that evidence and outcome take


class Stopwatch:
    """Counts in ticks of the runner, each at most `longest` seconds.

    While a laptop sleeps, or a virtual machine is paused, nobody ticks: that hour is no training and no silence, whatever the
    clock says afterwards.
    """

    def __init__(self, clock: Clock, *, longest: float = 1.0) -> None:
        self._clock, self._longest = clock, longest
        self._last = clock.monotonic()
        self.seconds = self.silent = 0.0  # of training; since the training last gave a sign

    @property
    def since_tick(self) -> float:
        """Seconds since the last tick, by the clock."""
        return self._clock.monotonic() - self._last

    def tick(self) -> None:
        """Count the time since the last tick."""
        now = self._clock.monotonic()
        passed, self._last = max(0.0, min(now - self._last, self._longest)), now
        self.seconds += passed
        self.silent += passed

    def heard(self) -> None:
        """The training gave a sign of life."""
        self.silent = 0.0


def _presses(asked: Any) -> bool:
    """Whether a request leaves no time, whatever another one gave."""
    return isinstance(asked, dict) and bool(asked.get("now") or asked.get("given_up"))


_current: Stopping | None = None


def between_attempts() -> None:
    """A signal to this process ends it."""
    global _current
    _current = None


def _on_signal(number: int, _frame: object) -> None:
    if _current is None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    else:
        _current.outside_signal = number


class Stopping:
    """The request that is in force, if there is one, and how far it has been carried out.

    `shared`: the files lie on a network filesystem, where new ones are seen late.
    """

    def __init__(self, spec: RunnerSpec, files: AttemptPaths, *, shared: bool) -> None:
        self._spec, self._files, self._shared = spec, files, shared
        self._ends_in = seconds_left(os.environ)  # of the scheduler's job, counted as it does: not while suspended
        self._request: dict[str, Any] = {}
        self._kill_at: float | None = None
        self._signalled = self.terminated = False  # was told by a signal; and lived when it was
        self.outside_signal: int | None = None  # a termination signal that this process got

    def take_signals(self) -> None:
        """From now on, and until another attempt does, signals to this process are this one's."""
        global _current
        _current = self
        if signal.getsignal(signal.SIGTERM) is not _on_signal:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, _on_signal)

    @property
    def reason(self) -> str:
        """Why it is to stop; empty while it is not."""
        return str(self._request.get("reason", ""))

    @property
    def given_up(self) -> bool:
        """Whether the coordinator has given the attempt to another."""
        return bool(self._request.get("given_up"))

    def look(self, time: Stopwatch, training: Training, told: Any = None, *, files: bool = True) -> None:
        """See whether there is a reason to stop: a request, a signal, or the clock.

        `told` is a request that came from the coordinator itself; `files`: look for one in the attempt's folder as well, where
        whoever took the study over from it may want more.
        """
        spec, found = self._spec, told
        asked = self._asked() if files else None
        if found is None or _presses(asked):
            found = asked
        if isinstance(found, dict):
            self._request = found
        elif self._request:
            pass  # asked already, by the clock or a signal
        elif self.outside_signal is not None:
            self._ask("preempted", training, grace_within(spec.grace, os.environ))
        elif self._ends_in is not None and time.seconds > self._ends_in - min(
            spec.grace + _BEFORE_WALLTIME, self._ends_in / 5
        ):
            self._ask("walltime", training)
        elif spec.timeout is not None and spec.seconds_before + time.seconds > spec.timeout:
            self._ask("timeout", training)
        elif spec.hang_after is not None and time.silent > spec.hang_after:
            self._request = {"reason": "hang", "now": True}

    def step(self, now: float, training: Training, capture: CaptureSession) -> None:
        """One step of ending it: ask, signal where it does not listen, and after the grace period kill."""
        if not self._request:
            return
        if self._kill_at is None:
            self._kill_at = now + float(self._request.get("grace", self._spec.grace))
        if self._request.get("now") or now >= self._kill_at:
            self._deliver(signal.SIGKILL, training)
        elif not self._signalled and not capture.cooperates:
            self._deliver(signal.SIGTERM, training)

    def _asked(self) -> Any:
        """What we were asked. Where new files are seen late, the training gets its ``stop.json`` from us."""
        try:
            asked = read_json(self._files.asked) if self._shared else None
            if not isinstance(asked, dict):
                return read_json(self._files.stop)
            if asked != self._request and not asked.get("given_up"):
                write_atomic(self._files.stop, json.dumps(asked), durable=False)
            return asked
        except OSError:
            return None

    def _ask(self, reason: str, training: Training, grace: float | None = None) -> None:
        """Ask the script to stop, the way the coordinator would: a script that listens gets to save and leave."""
        self._request = {"reason": reason, "grace": self._spec.grace if grace is None else grace}
        try:
            write_atomic(self._files.stop, json.dumps(self._request), durable=False)
        except OSError:  # a full disk: it is told by signal instead
            self._deliver(signal.SIGTERM, training)

    def _deliver(self, number: int, training: Training) -> None:
        self._signalled = True
        self.terminated = self.terminated or training.poll() is None
        if number == signal.SIGKILL:
            training.kill()
        else:
            training.signal(number)
