"""The attempts that run just now: their reports as they come, how sure we are that they live, and ending what is left of one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast._system.locks import is_locked
from outlast._system.processes import Identity, is_running
from outlast._system.reading import read_bytes, read_json
from outlast.core.evidence import Evidence, Report
from outlast.core.file_names import AttemptPaths, TrialPaths, attempt_name
from outlast.executors.heard import Ended, Heard
from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective
from outlast.runner.spec import RunnerSpec, silent_after, token_of_attempt
from outlast.study.attempts import Life, Status, end_tree, inspect, void_start
from outlast.study.layout import StudyPaths


class Pulse(Struct):
    """What was seen of an attempt on another host: only a heartbeat whose content changes is a sign of life.

    Outlives the coordinator that looks, where one process coordinates a study again and again for a moment each.
    """

    first_seen: float  # on the watcher's monotonic clock, as all times here
    content: bytes = b""
    silent: float = 0.0  # seconds for which the content has been the same
    looked_at: float | None = None
    over_since: float = 0.0  # when it was seen to be over, if the scheduler is still asked how its job ended

    def show(self, content: bytes, now: float) -> None:
        """What the heartbeat's content is now.

        However long nobody looked, it counts as a quarter of what it takes at most: the storage may have been away, or we.
        """
        passed = 0.0 if self.looked_at is None else now - self.looked_at
        self.silent = self.silent + min(passed, silent_after() / 4) if content == self.content else 0.0
        self.content, self.looked_at = content, now


class Running(Struct):
    """One open attempt as the coordinator watches it."""

    trial: int
    number: int
    paths: AttemptPaths
    trial_paths: TrialPaths
    slot: str
    objectives: Sequence[Objective]
    pulse: Pulse
    worker: bool = False  # started by a worker, not by our executor
    kept: bool = False  # in a kept worker: it has no folder, and says everything itself
    asker: Identity | None = None  # that worker
    job: str = ""  # the scheduler's id of its job
    restarts: int = 0  # of that job, when it took the attempt
    submitted: bool = False  # to an executor, which will start its runner or has
    reports: list[Report] = []
    stop_reason: str = ""  # that was asked for
    to_be_told: bool = False  # of that: the request is not written yet
    claimed: bool = False
    speaks: bool = False  # its runner says what happens: nobody looks for it
    look_at: float = 0.0  # when its folder is looked at all the same
    evidence: Evidence | None = None  # that its runner told
    host: str = ""  # another one, that its runner is on
    orphaned: bool = False  # there was no sign of life of it since its coordinator died
    judged: int = 0  # reports the pruner has seen
    seen_finite: int = 0  # reports that were looked at for metrics that are no numbers
    pruned_at: int | None = None  # the step of the report at which it gave the trial up
    told: list[Mapping[str, Any]] = []  # lines of reports that its kept worker said
    ended: Ended | None = None  # what that said of its end besides
    _live: LiveReports | None = None

    @property
    def name(self) -> str:
        """``0007.2``."""
        return attempt_name(self.trial, self.number)

    def look(self, now: float) -> Status:
        """Inspect the attempt; remembers for how long the heartbeat has been the same."""
        status = inspect(self.paths)
        self.claimed = self.claimed or status.runner is not None
        if status.life is Life.ELSEWHERE:
            self.host = status.runner.host if status.runner is not None else ""
            self.orphaned = self.orphaned and status.heartbeat == self.pulse.content
            self.pulse.show(status.heartbeat, now)
        return status

    def known_for(self, now: float) -> float:
        """Seconds since this process first saw the attempt, on its own clock."""
        return now - self.pulse.first_seen

    def hear(self, heard: Heard) -> None:
        """Take in what its runner said."""
        self.claimed = self.claimed or heard.runner is not None
        self.evidence = heard.evidence or self.evidence
        self.ended = heard.kept or self.ended
        if heard.reports and self.kept:
            self.told += map(json.loads, heard.reports.splitlines())
        if heard.reports:
            self.reports.extend(self._points.take(heard.reports))

    def read_reports(self, *, at_once: bool = False) -> list[Report]:
        """New reports since the last call; they are kept in `reports` as well.

        Those of a runner that speaks were heard; `at_once`: what it has not told yet is read as well.
        """
        if self.kept or (self.speaks and not at_once):
            return []
        new = self._points.poll()
        self.reports.extend(new)
        return new

    @property
    def _points(self) -> LiveReports:
        if self._live is None:
            self._live = LiveReports(self.paths.reports, self.objectives)
        return self._live

    def end_soon(self, reason: str) -> None:
        """Have it asked to end, in the next round, as all that run are asked: by its files, its lane, or in its kept worker."""
        self.stop_reason, self.to_be_told = reason, True

    def recall(self) -> int:
        """What an earlier coordinator left: its request to stop, and how far it had judged the reports.

        Returns the last step that was judged; -1 if none was.
        """
        asked = read_json(self.paths.stop)
        if isinstance(asked, dict) and asked.get("reason") == "pruned":
            self.stop_reason, self.pruned_at = "pruned", asked.get("step")
        mark = read_bytes(self.paths.judged) or b""
        return int(mark) if mark.strip().isdigit() else -1

    def mark_judged(self, step: int) -> None:
        """Leave word that reports up to this step were judged: a decision to go on is not taken a second time."""
        with contextlib.suppress(OSError):  # without it, what came last is judged again after a restart: no harm
            fd = os.open(self.paths.judged, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.pwrite(fd, f"{step:020d}\n".encode(), 0)  # one length, one write: never half a number
            finally:
                os.close(fd)

    def complete(self, evidence: Evidence, last_step: int | None, study: StudyPaths) -> Evidence:
        """Evidence of an attempt that was given up, with what its files still tell."""
        self.read_reports(at_once=True)
        moved = any(r.step > (-1 if last_step is None else last_step) for r in self.reports)
        told = read_json(study.open_marker(self.trial, self.number))
        told = told if isinstance(told, dict) and "argv" in told else None
        saved = told is not None and RunnerSpec.from_json(told).has_saved(study.root)
        return replace(evidence, reports=tuple(self.reports), new_steps=moved or saved, saved=saved)


def end_attempt(paths: StudyPaths, trial: int, number: int) -> list[int]:
    """See to it that no process of an attempt lives on this host, and that none will begin.

    A runner that serves one attempt after the other holds the lock of the one that it is at. Where it does not hold this one's it
    is left alone: it may train another.

    Returns:
        Pids that would not go.
    """
    attempt = paths.attempt(trial, number)
    if not attempt.folder.is_dir():
        return []  # it was put away: over long since
    status = inspect(attempt)
    if status.life is Life.UNCLAIMED and not void_start(attempt):
        status = inspect(attempt)  # a runner was faster
    if status.life is Life.RUNNING and status.runner is not None and is_locked(str(attempt.alive)):
        _end(status.runner)
    if status.life in (Life.RUNNING, Life.GONE):
        return end_tree(attempt, token_of_attempt(str(paths.root), trial, number))
    return []


def _end(runner: Identity) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(runner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_running(runner) and time.monotonic() < deadline:
        time.sleep(0.005)
