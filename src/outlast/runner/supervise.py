"""Watching one training until it ends: output, reports, requests to stop, time, heartbeat."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from outlast._system.capped_log import CappedLog
from outlast._system.clock import Clock, utc_now
from outlast._system.job_environment import on_all_nodes
from outlast._system.locks import FileLock
from outlast._system.memory import MemoryCounters, MemoryKills, physical_memory
from outlast._system.processes import my_identity
from outlast._system.reading import read_bytes
from outlast._system.syncing import remove_empty, settle
from outlast.core.evidence import Evidence
from outlast.core.file_names import AttemptPaths
from outlast.errors import NO_ROOM
from outlast.runner.capture.metric_files import Neighbours
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.session import CaptureSession
from outlast.runner.environment import training_environment
from outlast.runner.forked import Loaded
from outlast.runner.heartbeat import Heartbeat
from outlast.runner.hooks import hooks_path
from outlast.runner.lane import Lane
from outlast.runner.orphaned import Orphaned
from outlast.runner.points_told import SOON, PointsTold
from outlast.runner.reserve import RESERVE, fill_reserve, is_full
from outlast.runner.spec import RunnerSpec
from outlast.runner.stopping import Stopping, Stopwatch
from outlast.runner.training import Training

_TICK = 0.1  # seconds between looks at the attempt's folder
_RARE_TICK = 1.0  # the same on a network filesystem, where hundreds ask one server, and where the coordinator says by itself what
# it wants: whoever takes the study over from it still leaves that in the folder
#: From its first tick on, what an attempt leaves is made durable. A shorter one that is lost with the power is run again.
SETTLES_AFTER = _TICK
_STRAGGLERS_GRACE = 5.0
_CHUNK = 1 << 20
_MUCH, _PIPE = 1 << 14, 1 << 20  # bytes at once, and of room; a training that prints much waits less often


@lru_cache(maxsize=1)
def _memory_counters() -> MemoryCounters:
    return MemoryCounters()


class Supervisor:
    """Runs the training of one claimed attempt and gathers evidence. Decides nothing.

    `lock` is the one on the attempt's ``alive``, and is held.
    """

    def __init__(
        self, root: Path, spec: RunnerSpec, lock: FileLock, loaded: Loaded | None = None, clock: Clock | None = None,
        orphaned: Orphaned | None = None, lane: Lane | None = None, new_folder: bool = False,
    ) -> None:  # fmt: skip
        self._lane = lane
        self.root, self.lock, self._loaded = root, lock, loaded
        self.spec = replace(spec, saved_before=() if new_folder else spec.stamps(root))  # as this host sees them
        self._new_folder = new_folder  # for checkpoints
        self.files = AttemptPaths(root / spec.attempt_dir)
        self._status = os.stat(root)
        self.token = spec.token(self._status)
        self.started_at = utc_now()
        self._clock = clock or Clock()
        self._time = Stopwatch(self._clock, longest=10 * _TICK)
        self._asked_at = 0.0  # in seconds of training
        self._settled = self._widened = False
        self._peak = 0  # bytes of memory
        self._memory = _memory_counters()
        self._memory.begin()
        self._neighbours = None if spec.shared else Neighbours(root, f"{spec.trial:04d}.{spec.attempt}")
        self._heartbeat = Heartbeat(self.files, lock, spec.heartbeat)
        self._orphaned = orphaned
        self._stopping = Stopping(self.spec, self.files, shared=lock.shared)

    def run(self) -> Evidence | None:
        """Run to the end. ``None`` if the attempt was given up by somebody else meanwhile: no evidence is wanted any more."""
        self._stopping.take_signals()
        self.log = CappedLog(str(self.files.log))
        self._heartbeat.beat(0.0)  # room for it is taken while there is some
        self.capture = CaptureSession(
            [Objective.from_json(objective) for objective in self.spec.objectives],
            trial=self.spec.trial,
            trial_dir=self.root / self.spec.trial_dir,
            attempt_dir=self.files.folder,
            working_directory=self.spec.cwd,
            shared=self.spec.shared,
        )
        self._points = PointsTold(self.capture, self._lane, self._clock)
        try:
            self.training = Training(
                on_all_nodes(self.spec.argv, self.spec.srun_arguments, os.environ)
                if self.spec.srun
                else self.spec.argv,
                cwd=self.spec.cwd,
                env=training_environment(
                    self.spec, self.root, self._loaded.base if self._loaded else os.environ, hooks_path(), self._status
                ),
                token=self.token,
                lock_fd=self.lock.fd,
                pipe_fd=self.spec.pipe_fd,
                place_fds=self.spec.place_fds,
                loaded=self._loaded,
            )
        except OSError as error:
            return self._evidence(None, error=f"{error.strerror}: {error.filename or self.spec.argv[0]}")
        if self.spec.pipe_fd is not None:
            os.close(self.spec.pipe_fd)  # the training has it now; its end is the end of the conversation
        self._heartbeat.guard(self.training.kill_at_once)
        code = self._watch()
        if self._heartbeat.rest() or code is None:
            self.training.kill()
            return None
        self._drain(until_closed=not self.training.end_stragglers(min(self.spec.grace, _STRAGGLERS_GRACE)))
        self._peak = self.training.peak_memory
        self.training.close()
        evidence = self._evidence(code)
        self._points.close()
        return evidence

    def _watch(self) -> int | None:
        """Until the command ends (its return code), or the attempt is no longer ours (``None``)."""
        open_output = True
        while True:
            ready = self._wait(open_output)
            if self.training.output in ready:
                open_output = self._drain()
            if self._lane is not None and self._lane.open and self._lane.fileno() in ready:
                self._lane.look()
                if self._lane.asked is not None:
                    self.capture.poll()
                    self._stopping.look(self._time, self.training, self._lane.asked, files=False)
                    if self.capture.cooperates or self._lane.asked.get("now"):
                        self._stopping.step(self._time.seconds, self.training, self.capture)
                    # else at the next tick: right behind the report that this answers it may say that it listens
            if self._points.fd in ready:
                self._points.woken()
            self._points.look()
            code = self.training.poll()
            if code is not None:
                return code
            if self._time.since_tick >= _TICK and not self._tick():
                return None

    def _wait(self, open_output: bool) -> set[int]:
        """Wait for output, for the command's end, for words of the coordinator, or for the next tick. Returns what is there."""
        ended, lane = self.training.ended_fd, self._lane
        poller = select.poll()
        if open_output:
            poller.register(self.training.output, select.POLLIN)
        if ended is not None:
            poller.register(ended, select.POLLIN)
        if lane is not None and lane.open:
            poller.register(lane, select.POLLIN)
        if self._points.fd is not None:
            poller.register(self._points.fd, select.POLLIN)
        longest = 0.01 if ended is None and not open_output else _TICK
        return {fd for fd, _ in poller.poll(1000 * (min(longest, SOON) if self._points.due else longest))}

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
            if len(chunk) >= _MUCH and not self._widened and not until_closed:
                self._widen()
            self.log.write(chunk)
            self.capture.feed(chunk)
            if not until_closed:
                return True

    def _widen(self) -> None:
        self._widened = True
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.training.output, fcntl.F_SETPIPE_SZ, _PIPE)

    def _saved(self) -> bool:
        """Whether the training left a checkpoint. A folder that was made for it and goes as empty has none."""
        if self._new_folder and remove_empty(self.root / self.spec.checkpoint_dir):
            return False
        return self.spec.has_saved(self.root)

    def _settle(self) -> None:
        self._settled = True
        if self._lane is not None and not self.lock.shared:
            fill_reserve(self.files.folder / RESERVE)
            self._points.listen(self.files.reports)
        try:
            settle(self.files.started, self.root)
            checkpoints = self.root / self.spec.checkpoint_dir
            settle(checkpoints, self.root if checkpoints.is_relative_to(self.root) else checkpoints.parents[1])
        except OSError as error:
            print(f"outlast: what this attempt leaves may be lost with the power: {error}", file=sys.stderr, flush=True)

    def _tick(self) -> bool:
        self._time.tick()
        if not self._settled:
            self._settle()
            if self._lane is not None:
                self._lane.send()  # that this attempt was claimed, if nothing else was said yet
        self.capture.poll()
        if self.capture.heard():
            self._time.heard()
        if not self._heartbeat.beat(self._time.seconds):
            return False
        self._points.tell()
        if self._orphaned is not None:
            self._orphaned.look(self._time.seconds)
        rarely, told = self.lock.shared, None
        if self._lane is not None and self._lane.open:
            rarely, told = True, self._lane.asked
        look = not rarely or self._time.seconds - self._asked_at >= min(_RARE_TICK, self.spec.heartbeat)
        if look:
            self._asked_at = self._time.seconds
            if not self._ours():
                return False
            self._look_for_neighbours()
        if look or not self.lock.shared:
            self._stopping.look(self._time, self.training, told, files=look)
        if self._stopping.given_up:
            return False
        self._stopping.step(self._time.seconds, self.training, self.capture)
        return True

    def _look_for_neighbours(self, *, back: bool = False) -> None:
        """A file outside the trial's folder may be another trial's once a worker has joined."""
        if self._neighbours is not None and not self.capture.shared:
            with contextlib.suppress(OSError):  # a network filesystem's bad moment
                self.capture.shared = self._neighbours.look_back() if back else self._neighbours.look()

    def _ours(self) -> bool:
        """Whether nobody else has ended this attempt."""
        try:
            return read_bytes(self.files.exit) is None and self.lock.goes_with(str(self.files.alive))
        except OSError:  # a network filesystem's bad moment; the heartbeat decides
            return True

    def _disk_full(self) -> bool:
        failed = self.log.failed is not None and self.log.failed.errno in NO_ROOM
        return failed or is_full((self.files.folder, self.root / self.spec.checkpoint_dir))

    def _evidence(self, code: int | None, *, error: str = "") -> Evidence:
        self._time.tick()
        seconds = round(self._time.seconds, 3)
        if seconds >= SETTLES_AFTER and not self._settled:
            self._settle()  # on a busy machine the end may be seen before the first tick
        self.log.close()
        self._look_for_neighbours(back=True)
        seen = self.capture.finish(torn=code != 0)
        memory = MemoryKills() if code == 0 else self._memory.kills()
        last = self.spec.last_step
        steps = [report.step for report in seen.reports]
        full = bool(code or seen.missing or self.log.failed) and self._disk_full()
        saved = self._saved()  # not before: a checkpoint folder that is gone tells nothing of its disk
        return Evidence(
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            seconds=seconds,
            host=my_identity().host,
            started_at=self.started_at,
            ended_at=utc_now(),
            scores=seen.scores,
            source=seen.source,
            notes=tuple(seen.notes),
            metrics=seen.metrics,
            reports=tuple(seen.reports),
            tail=tuple(seen.tail),
            traceback=seen.traceback,
            stop_reason=self._stopping.reason or seen.acknowledged,  # it may be quicker to see it than we are
            acknowledged=bool(seen.acknowledged),
            terminated=self._stopping.terminated,
            done=seen.done,
            pruned=seen.pruned,
            outside_signal=self._stopping.outside_signal if self._stopping.terminated else None,
            resumed=self.spec.resume,
            new_steps=last is None or bool(steps and max(steps) > last),
            saved=saved,
            error=error,
            oom_killed=memory.own,
            host_oom=memory.host,
            peak_memory=self._peak,
            machine_memory=physical_memory() or 0,
            disk_full=full,
        )
