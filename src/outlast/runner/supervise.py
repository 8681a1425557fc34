"""Watching one training until it ends: output, reports, requests to stop, time, heartbeat."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from outlast._system import (
    CappedLog,
    Clock,
    FileLock,
    fsync_file,
    read_bytes,
    read_json,
    settle,
    unstale,
    utc_now,
    write_atomic,
)
from outlast._system.job_environment import grace_within, on_all_nodes, seconds_left
from outlast.core.alive import beat
from outlast.core.evidence import Evidence
from outlast.errors import NO_ROOM
from outlast.runner.beside import Beside
from outlast.runner.capture import CaptureSession, Objective
from outlast.runner.environment import training_environment
from outlast.runner.forked import Loaded
from outlast.runner.hooks import hooks_path
from outlast.runner.room import MemoryCounters, machine_memory, no_room_in, peak_memory
from outlast.runner.spec import RunnerSpec
from outlast.runner.timing import Stopwatch
from outlast.runner.training import Training
from outlast.runner.watchdog import Watchdog

__all__ = ["SETTLES_AFTER", "Supervisor"]

_TICK = 0.1  # seconds between looks at the attempt's folder
_SHARED_TICK = 1.0  # the same on a network filesystem: hundreds of runners may ask one server
#: From its first tick on, what an attempt leaves is made durable. A shorter one that is lost with the power is run again.
SETTLES_AFTER = _TICK
_CUT_OFF_AFTER = 12  # heartbeats that could not be written; half the time after which another host gives the attempt up
_POINTS = 0.02  # seconds between looks for points in the output, while there is some: pruning waits for them
_STRAGGLERS_GRACE = 5.0
_BEFORE_WALLTIME = 10.0  # seconds beyond the grace period that evidence and outcome take
_CHUNK = 1 << 20
_PIPE = 1 << 20  # a training that prints much waits less often


class Supervisor:
    """Runs the training of one claimed attempt and gathers evidence. Decides nothing.

    Args:
        root: The study's folder.
        spec: The attempt.
        lock: On the attempt's ``alive``, held.
        loaded: The function, in this process already.
        clock: That time is measured by.
    """

    def __init__(
        self, root: Path, spec: RunnerSpec, lock: FileLock, loaded: Loaded | None = None, clock: Clock | None = None
    ) -> None:
        self.root, self.lock, self._loaded = root, lock, loaded
        self.spec = replace(spec, saved_before=spec.stamps(root))  # as this host sees them
        self.folder = root / spec.attempt_dir
        self.token = spec.token(str(root))
        self.started_at = utc_now()
        self._clock = clock or Clock()
        self._time = Stopwatch(self._clock, longest=10 * _TICK)
        self._beat_at = self._beat_ok = self._looked_at = self._asked_at = 0.0  # all in seconds of training
        self._beats = 0
        self._settled = False
        self._memory = MemoryCounters()
        self._beside = None if spec.shared else Beside(root, f"{spec.trial:04d}.{spec.attempt}")
        self._outside_signal: int | None = None
        self._ends_in = seconds_left(os.environ)  # of the scheduler's job, counted as SLURM does: not while suspended
        self._stop: dict[str, Any] = {}
        self._kill_at: float | None = None
        self._signalled = False
        self._terminated = False  # the training lived when it was signalled
        self._watchdog: Watchdog | None = None  # where writing a heartbeat may block

    def run(self) -> Evidence | None:
        """Run to the end. ``None`` if the attempt was given up by somebody else meanwhile: no evidence is wanted any more."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.log = CappedLog(str(self.folder / "output.log"))
        self._beat()  # room for it is taken while there is some
        self.capture = CaptureSession(
            [Objective.from_json(objective) for objective in self.spec.objectives],
            trial=self.spec.trial,
            trial_dir=self.root / self.spec.trial_dir,
            attempt_dir=self.folder,
            working_directory=self.spec.cwd,
            shared=self.spec.shared,
        )
        try:
            self.training = Training(
                on_all_nodes(self.spec.argv, self.spec.srun_arguments, os.environ)
                if self.spec.srun
                else self.spec.argv,
                cwd=self.spec.cwd,
                env=training_environment(
                    self.spec, self.root, self._loaded.base if self._loaded else os.environ, str(hooks_path())
                ),
                token=self.token,
                lock_fd=self.lock.fd,
                pipe_fd=self.spec.pipe_fd,
                gpu_fds=[fd for fd, _, _ in self.spec.gpu_locks],
                loaded=self._loaded,
            )
        except OSError as error:
            return self._evidence(None, error=f"{error.strerror}: {error.filename or self.spec.argv[0]}")
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.training.output, fcntl.F_SETPIPE_SZ, _PIPE)
        if self.spec.pipe_fd is not None:
            os.close(self.spec.pipe_fd)  # the training has it now; its end is the end of the conversation
        if self.lock.shared:
            self._watchdog = Watchdog(_CUT_OFF_AFTER * self.spec.heartbeat, self.training.kill_at_once)
        code = self._watch()
        if self._watchdog is not None:
            self._watchdog.stop()
        if code is None or (self._watchdog is not None and self._watchdog.struck):
            self.training.kill()
            return None
        self._drain(until_closed=not self.training.end_stragglers(min(self.spec.grace, _STRAGGLERS_GRACE)))
        return self._evidence(code)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._outside_signal = number

    def _watch(self) -> int | None:
        """Until the command ends (its return code), or the attempt is no longer ours (``None``)."""
        open_output = True
        while True:
            if open_output:
                readable, _, _ = select.select([self.training.output], [], [], _TICK)
                open_output = not readable or self._drain()
                self._write_points_down()
            else:
                self.training.rest(0.01)
            code = self.training.poll()
            if code is not None:
                return code
            if self._time.since_tick >= _TICK and not self._tick():
                return None

    def _write_points_down(self) -> None:
        """Let the coordinator know what was printed without waiting for the next tick."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _POINTS and self.capture.fed:
            self._looked_at = now
            self.capture.poll()

    def _drain(self, *, until_closed: bool = False) -> bool:
        """Take the output that is there. Returns whether more may come."""
        while True:
            try:
                chunk = os.read(self.training.output, _CHUNK)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self._time.heard()
            self.log.write(chunk)
            self.capture.feed(chunk)
            if not until_closed:
                return True

    def _settle(self) -> None:
        self._settled = True
        try:
            settle(self.folder / "started.json", self.root)
            checkpoints = self.root / self.spec.checkpoint_dir
            settle(checkpoints, self.root if checkpoints.is_relative_to(self.root) else checkpoints.parents[1])
        except OSError as error:
            print(f"outlast: what this attempt leaves may be lost with the power: {error}", file=sys.stderr, flush=True)

    def _tick(self) -> bool:
        self._time.tick()
        if not self._settled:
            self._settle()
        self.capture.poll()
        if self.capture.heard():
            self._time.heard()
        if self._time.seconds - self._beat_at >= self.spec.heartbeat and not self._beat():
            return False
        if not self.lock.shared or self._time.seconds - self._asked_at >= min(_SHARED_TICK, self.spec.heartbeat):
            self._asked_at = self._time.seconds
            if not self._ours():
                return False
            self._look_beside()
            self._look_for_stop()
        if self._stop.get("given_up"):
            return False
        if self._stop:
            self._stop_it()
        return True

    def _look_beside(self, *, back: bool = False) -> None:
        """A file outside the trial's folder may be another trial's once a worker has joined."""
        if self._beside is not None and not self.capture.shared:
            with contextlib.suppress(OSError):  # a network filesystem's bad moment
                self.capture.shared = self._beside.look_back() if back else self._beside.look()

    def _ours(self) -> bool:
        """Whether nobody else has ended this attempt."""
        try:
            return read_bytes(self.folder / "exit.json") is None and self._in_place()
        except OSError:  # a network filesystem's bad moment; the heartbeat decides
            return True

    def _in_place(self) -> bool:
        """Whether our folder still has its name: a study that was moved or set aside may have left it to another."""
        try:
            fd = unstale(os.open, self.folder / "alive", os.O_RDONLY | os.O_CLOEXEC)  # a stat may be from a cache
        except FileNotFoundError:
            return False
        try:
            return os.path.samestat(os.fstat(fd), os.fstat(self.lock.content))
        finally:
            os.close(fd)

    def _beat(self) -> bool:
        """Write the heartbeat. Returns whether we may still believe that others see it."""
        now = self._beat_at = self._time.seconds
        self._beats += 1
        try:
            os.pwrite(self.lock.content, beat(self._beats, now, utc_now()), 0)
            if self.lock.shared:  # otherwise they stay on this host for half a minute
                os.fsync(self.lock.content)
                fsync_file(self.folder / "reports.jsonl")
            self._beat_ok = now
            if self._watchdog is not None:
                self._watchdog.feed()
        except OSError:
            return now - self._beat_ok < _CUT_OFF_AFTER * self.spec.heartbeat
        return True

    def _look_for_stop(self) -> None:
        spec, time = self.spec, self._time
        found = self._asked()
        if isinstance(found, dict):
            self._stop = found
        elif self._stop:
            pass  # asked already, by the clock or a signal
        elif self._outside_signal is not None:
            self._stop = self._ask("preempted", grace_within(spec.grace, os.environ))
        elif self._ends_in is not None and time.seconds > self._ends_in - min(
            spec.grace + _BEFORE_WALLTIME, self._ends_in / 5
        ):
            self._stop = self._ask("walltime")
        elif spec.timeout is not None and spec.seconds_before + time.seconds > spec.timeout:
            self._stop = self._ask("timeout")
        elif spec.hang_after is not None and time.silent > spec.hang_after:
            self._stop = {"reason": "hang", "now": True}

    def _asked(self) -> Any:
        """What we were asked. Where new files are seen late, the training gets its ``stop.json`` from us."""
        try:
            asked = read_json(self.folder / "asked.json") if self.lock.shared else None
            if not isinstance(asked, dict):
                return read_json(self.folder / "stop.json")
            if asked != self._stop and not asked.get("given_up"):
                write_atomic(self.folder / "stop.json", json.dumps(asked), durable=False)
            return asked
        except OSError:
            return None

    def _stop_it(self) -> None:
        """One step of ending it: ask, signal where it does not listen, and after the grace period kill."""
        if self._kill_at is None:
            self._kill_at = self._time.seconds + float(self._stop.get("grace", self.spec.grace))
        if self._stop.get("now") or self._time.seconds >= self._kill_at:
            self._deliver(signal.SIGKILL)
        elif not self._signalled and not self.capture.cooperates:
            self._deliver(signal.SIGTERM)

    def _deliver(self, number: int) -> None:
        self._signalled = True
        self._terminated = self._terminated or self.training.poll() is None
        if number == signal.SIGKILL:
            self.training.kill()
        else:
            self.training.signal(number)

    def _ask(self, reason: str, grace: float | None = None) -> dict[str, Any]:
        """Ask the script to stop, the way the coordinator would: a script that listens gets to save and leave."""
        request = {"reason": reason, "grace": self.spec.grace if grace is None else grace}
        try:
            write_atomic(self.folder / "stop.json", json.dumps(request), durable=False)
        except OSError:  # a full disk: it is told by signal instead
            self._deliver(signal.SIGTERM)
        return request

    def _disk_full(self) -> bool:
        failed = self.log.failed is not None and self.log.failed.errno in NO_ROOM
        return failed or any(no_room_in(place) for place in (self.folder, self.root / self.spec.checkpoint_dir))

    def _evidence(self, code: int | None, *, error: str = "") -> Evidence:
        self._time.tick()
        self.log.close()
        self._look_beside(back=True)
        seen = self.capture.finish(torn=code != 0)
        memory = self._memory.kills()
        last = self.spec.last_step
        steps = [report.step for report in seen.reports]
        return Evidence(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            seconds=round(self._time.seconds, 3),
            host=socket.gethostname(),
            started_at=self.started_at,
            ended_at=utc_now(),
            scores=seen.scores,
            source=seen.source,
            notes=tuple(seen.notes),
            metrics=seen.metrics,
            reports=tuple(seen.reports),
            tail=tuple(seen.tail),
            traceback=seen.traceback,
            stop_reason=str(self._stop.get("reason", ""))
            or seen.acknowledged,  # it may be quicker to see it than we are
            acknowledged=bool(seen.acknowledged),
            terminated=self._terminated,
            done=seen.done,
            pruned=seen.pruned,
            timed_out=self._stop.get("reason") == "timeout",
            hung=self._stop.get("reason") == "hang",
            outside_signal=self._outside_signal if self._terminated else None,
            resumed=self.spec.resume,
            new_steps=last is None or bool(steps and max(steps) > last),
            saved=self.spec.has_saved(self.root),
            error=error,
            oom_killed=memory.own,
            host_oom=memory.host,
            peak_memory=peak_memory(),
            machine_memory=machine_memory(),
            disk_full=self._disk_full(),
        )
