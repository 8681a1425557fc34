"""`check --rehearse`: a trial is killed after a checkpoint and resumed, to see whether its script goes on or starts over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from outlast._system.tokens import end_processes
from outlast.client import checkpoints_in, newest_checkpoint
from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.file_names import TrialPaths
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.attempts.prepare import no_checkpoints
from outlast.engine.attempts.running import Running
from outlast.engine.check.throwaway import LIMIT, every_outcome_counts, throwaway_study, trial_settings
from outlast.engine.check.verdicts import reason_of
from outlast.engine.coordinator.listener import Saying
from outlast.engine.hold.run import run_study
from outlast.runner.spec import token_of_attempt, token_of_study
from outlast.space.covering import covering
from outlast.study.layout import StudyPaths

_LEAST_PATIENCE = 2.0

Verdict = Literal["resumes", "starts over", "cannot tell", "no checkpoint", "failed", "interrupted"]


class FirstRun(Struct):
    """The attempt that is killed. Seconds count from its start."""

    checkpoint_after: float | None = None  # until the first checkpoint was seen
    checkpoint_name: str = ""
    no_checkpoints: str = ""  # what else lay there, where there was no checkpoint
    report_after: float | None = None  # until the first report
    first_step: int | None = None
    last_step: int | None = None
    saved_between: bool = False  # a checkpoint was written after one report and before another
    killed: bool = False
    ended: str = ""  # how it ended, if it was not killed
    crashed: bool = False


class SecondRun(Struct):
    """The attempt that resumes."""

    report_after: float | None = None
    first_step: int | None = None
    failure: str = ""  # it failed before its first report


class Rehearsal(Struct, frozen=True):
    """What came of it."""

    # resumes; starts over; cannot tell; no checkpoint ever appeared; failed: the script fails by itself, or cannot
    # load its checkpoint; interrupted by a Ctrl-C
    verdict: Verdict
    text: str  # a sentence with the steps and times
    cure: str | None = None  # what would be right, where something is not
    params: Mapping[str, Any] = {}  # the configuration that was tried
    first: FirstRun = field(default_factory=FirstRun)  # the attempt that was killed
    second: SecondRun | None = None  # the one that resumed, if it came so far

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against interrupting a trial."""
        return self.verdict in ("resumes", "cannot tell")

    @property
    def finding(self) -> Finding:
        """The same as a line of `check`."""
        level: Literal["ok", "note", "error"] = "ok" if self.verdict == "resumes" else "note"
        level = level if self.passed or self.verdict == "interrupted" else "error"
        return Finding("resume", level, self.text, self.cure)

    def to_json(self) -> dict[str, Any]:
        """Plain object."""
        return dict(plain_json({**asdict(self), "passed": self.passed}))


def rehearse(
    settings: Settings, folder: str, *, limit: float = LIMIT, say: Callable[[str], None] | None = None
) -> Rehearsal:
    """Run one trial in a temporary study folder, kill its script with SIGKILL after a checkpoint, and let it resume.

    `check.args` of the study file are appended to the command; should the script end with them before it has saved
    anything, it is run once more without.

    Args:
        folder: Its folder; it need not exist and is not touched.
        limit: Seconds to wait for the first checkpoint, and again for the first report after the resumption.
        say: Called with what is to be said on the way.

    Raises:
        UsageError: A study whose objective was handed over from Python.
        StorageError: No folder can be made beside the study's.
        StudyFileError: What every run of the study would raise.
    """
    found = covering(settings.space, settings.enqueue[0] if settings.enqueue else None, most=0).configurations
    params = found[0] if found else {}
    tries = [settings.check.args, ()] if settings.check.args else [()]
    for arguments in tries:
        session = _Session(settings, limit, say)
        if not session.run(folder, params, arguments):
            return Rehearsal("interrupted", "interrupted", params=params, first=session.first)
        if session.first.killed or session.first.crashed or not session.first.ended:
            break
    return judge(session.first, session.second, params=params, limit=limit)


def judge(first: FirstRun, second: SecondRun | None, *, params: Mapping[str, Any], limit: float) -> Rehearsal:
    """What two attempts say together. Pure."""

    def conclude(verdict: Verdict, text: str, cure: str | None = None) -> Rehearsal:
        return Rehearsal(verdict, text, cure, params, first, second)

    load = "load the newest file in OUTLAST_CHECKPOINT_DIR at the start; trial.resume_args hands over a flag such as --resume"
    if first.crashed:
        return conclude("failed", f"the script fails by itself: {first.ended}", "outlast check --smoke says more")
    if first.checkpoint_after is None:
        when = f"before the script {first.ended.rstrip(',')}" if first.ended else f"within {limit:g} s"
        what = f", but {first.no_checkpoints}" if first.no_checkpoints else ""
        text = f"no checkpoint appeared in OUTLAST_CHECKPOINT_DIR {when}{what}: an interrupted trial starts over"
        if what:
            return conclude("no checkpoint", text, "checkpoints.pattern says what a checkpoint is called")
        longer = "" if first.ended else "; --limit waits longer"
        return conclude("no checkpoint", text, f"save checkpoints there, or below ${{checkpoint_dir}}{longer}")
    if not first.killed or second is None:
        text = f"the script {first.ended or 'ended'} before it could be killed: too short for a rehearsal"
        return conclude("cannot tell", text, "check.args can make it train longer")
    if second.first_step is None:
        if second.failure:
            return conclude("failed", f"resumed from {first.checkpoint_name}, it fails: {second.failure}", load)
        return conclude("cannot tell", f"it reports no step that could be compared ({_times(first, second)})")
    step, times = second.first_step, _times(first, second)
    begun, last = first.first_step, first.last_step
    if begun is None or last is None:
        return conclude("cannot tell", f"it was killed before its first report; then step {step} came ({times})")
    if step > last:
        return conclude("resumes", f"killed after step {last}, it went on with step {step} ({times})")
    if step > begun:
        again = "step" if step == last else "steps"
        text = f"killed after step {last}, it went on with step {step} and not {begun}"
        return conclude("resumes", f"{text}; the {again} since its checkpoint ran again ({times})")
    if not first.saved_between:
        return conclude("cannot tell", f"killed after step {last}, it reported step {step} again ({times})")
    text = f"killed after step {last}, with a checkpoint there, it began again at step {step} ({times})"
    return conclude("starts over", f"{text}: an interrupted trial starts over", load)


def _times(first: FirstRun, second: SecondRun) -> str:
    def shown(seconds: float | None) -> str:
        return "none" if seconds is None else f"after {seconds:.1f} s"

    return f"first report {shown(first.report_after)} at first, {shown(second.report_after)} when resumed"


class _Session(Saying):
    """One trial: waits for a checkpoint, kills, watches it resume."""

    def __init__(self, settings: Settings, limit: float, say: Callable[[str], None] | None) -> None:
        super().__init__(say or (lambda _text: None))
        self.first, self.second = FirstRun(), SecondRun()
        self._settings, self._limit = settings, limit
        self._paths: StudyPaths | None = None
        self._seen: frozenset[tuple[str, tuple[int, int]]] = frozenset()  # checkpoints at the first report
        self._evidence: dict[int, Evidence] = {}  # by attempt, until its end is durable
        self._reports_before: int | None = None  # reports when a newer checkpoint was seen

    def run(self, folder: str, params: Mapping[str, Any], arguments: tuple[str, ...]) -> bool:
        """Run it. Returns whether it came to its end: a Ctrl-C or a full disk stops it."""
        settings = trial_settings(self._settings, trials=1, limit=3 * self._limit, arguments=arguments)
        # A killed script is a crash: one retry is what lets it resume.
        trial = replace(settings.trial, retries=1)
        enqueue = (dict(params),) if params else ()
        settings = replace(settings, trial=trial, parallel=1, enqueue=enqueue)
        with throwaway_study(self._settings, folder) as paths:
            self._paths = paths
            verdict, _ = run_study(paths, settings, lambda _opened, _slots: self, limits=every_outcome_counts(1))
        return verdict.state is StudyState.DONE

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """Kill the first attempt once it has saved, and end the second once it has reported."""
        now = time.monotonic()
        for attempt in running:
            if not attempt.claimed:
                continue
            passed = attempt.known_for(now)
            if attempt.number == 1 and not self.first.killed:
                self._watch_first(attempt, passed)
            elif attempt.number == 2 and self.first.killed:
                self._watch_second(attempt, passed)
            elif attempt.number > 1:  # said enough
                self._end(attempt)

    def over(self, ended: AttemptEnded, evidence: Evidence) -> None:
        """Keep what was seen until the end is durable."""
        self._evidence[ended.attempt] = evidence

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """Take in how the attempts ended."""
        assert self._paths is not None
        for event in events:
            if not isinstance(event, AttemptEnded) or event.attempt > 2:
                continue
            evidence = self._evidence.pop(event.attempt, Evidence())
            steps = tuple(report.step for report in evidence.reports)
            reason = reason_of(event, evidence)
            if event.attempt == 1:
                self.first.first_step, self.first.last_step = next(iter(steps), None), max(steps, default=None)
                if self.first.checkpoint_after is None and self._checkpoints(self._paths.trial(event.trial)):
                    self.first.checkpoint_after = event.seconds  # it saved and ended between two looks
                if self.first.checkpoint_after is None:
                    self.first.no_checkpoints = no_checkpoints(self._paths.trial(event.trial).checkpoints)
                self._first_ended(event, reason)
            elif self.first.killed:
                if self.second.first_step is None and steps:
                    self.second.first_step, self.second.report_after = steps[0], event.seconds
                if event.state in (TrialState.FAILED, TrialState.INFEASIBLE, TrialState.INTERRUPTED):
                    self.second.failure = reason

    def _first_ended(self, event: AttemptEnded, reason: str) -> None:
        first = self.first
        if event.state in (TrialState.COMPLETE, TrialState.PRUNED) or event.cause is Cause.PART:
            first.killed = False  # it was quicker
            first.ended = "" if event.state is TrialState.PRUNED else f"ended, after {event.seconds:.1f} s,"
        elif not first.killed:
            first.crashed, first.ended = True, reason

    def _watch_first(self, attempt: Running, passed: float) -> None:
        first = self.first
        checkpoints = self._checkpoints(attempt.trial_paths)
        if attempt.reports and first.report_after is None:
            first.report_after, self._seen = passed, checkpoints
        if checkpoints and first.checkpoint_after is None:
            first.checkpoint_after = passed
        if self._reports_before is None and attempt.reports and checkpoints - self._seen:
            self._reports_before = len(attempt.reports)
        saved_between = self._reports_before is not None and len(attempt.reports) > self._reports_before
        if first.checkpoint_after is None:
            if passed > self._limit:
                self._end(attempt)
            return
        patience = min(self._limit, max(_LEAST_PATIENCE, 2 * first.checkpoint_after))
        if saved_between or passed - first.checkpoint_after > patience:
            first.saved_between = saved_between
            self._kill(attempt)

    def _checkpoints(self, trial: TrialPaths) -> frozenset[tuple[str, tuple[int, int]]]:
        return frozenset(checkpoints_in(str(trial.checkpoints), self._settings.checkpoints.pattern).items())

    def _kill(self, attempt: Running) -> None:
        assert self._paths is not None
        self.first.killed = True
        newest = newest_checkpoint(str(attempt.trial_paths.checkpoints), self._settings.checkpoints.pattern)
        self.first.checkpoint_name = os.path.basename(newest) if newest else "its checkpoint"
        root = str(self._paths.root)
        in_worker = f"{token_of_study(root)}{attempt.slot};"  # a kept one: it runs nothing else
        end_processes(in_worker if attempt.kept else token_of_attempt(root, attempt.trial, attempt.number))

    def _watch_second(self, attempt: Running, passed: float) -> None:
        if attempt.reports and self.second.first_step is None:
            self.second.first_step, self.second.report_after = attempt.reports[0].step, passed
        if self.second.first_step is not None or passed > self._limit:
            self._end(attempt)

    def _end(self, attempt: Running) -> None:
        if not attempt.stop_reason:
            attempt.end_soon("pruned")  # an ending that is for good
