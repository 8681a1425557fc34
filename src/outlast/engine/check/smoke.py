"""`check --smoke`: one trial run for real, and one for each value of every small categorical.

A backbone that cannot run, a metric that is called otherwise: found in minutes, not at hour 30.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.attempts.running import Running
from outlast.engine.check.throwaway import LIMIT, every_outcome_counts, throwaway_study, trial_settings
from outlast.engine.check.verdicts import Tried, findings_of, has_value, reason_of, runs
from outlast.engine.coordinator.listener import Saying
from outlast.engine.hold.run import run_study
from outlast.space.covering import Value, covering, small_categoricals, with_value
from outlast.study.layout import StudyPaths

_MOST_ISOLATED = 16


class Smoke(Struct, frozen=True):
    """What the trials showed."""

    trials: tuple[Tried, ...]
    findings: tuple[Finding, ...]
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.interrupted and all(finding.level != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain object."""
        return {
            "passed": self.passed,
            "interrupted": self.interrupted,
            "trials": [trial.to_json() for trial in self.trials],
            "findings": [finding.to_json() for finding in self.findings],
        }


def smoke(
    settings: Settings,
    folder: str,
    *,
    limit: float = LIMIT,
    tell: Callable[[Tried], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Smoke:
    """Run a few trials for real, in a temporary study folder, as many side by side as the study would.

    With `check.args` in the study file these are appended to the command and a trial runs to its end; without, it is
    ended at its first report of the objective. Either way it is ended after `limit`, and that is no failure.

    Args:
        folder: Its folder; it need not exist and is not touched.
        limit: Seconds for each trial.
        tell: Called with each trial as it ends.
        say: Called with what is to be said on the way.

    Raises:
        UsageError: A study whose objective was handed over from Python.
        StorageError: No folder can be made beside the study's.
        StudyFileError: What every run of the study would raise: a constraint that nothing satisfies, a broken hook.
    """
    usual = settings.enqueue[0] if settings.enqueue else None
    found = covering(settings.space, usual)
    configurations = list(found.configurations)
    session = _Session(settings, limit, tell or _nothing, say or _nothing)
    with throwaway_study(settings, folder) as paths:
        finished = session.run(paths, configurations)
        if finished:
            more = _isolating(settings, session.tried)
            if more:
                finished = session.run(paths, [*configurations, *more])
    tried = tuple(sorted(session.tried, key=lambda trial: trial.number))
    return Smoke(tried, tuple(findings_of(settings, tried, found.unreached)), not finished)


def _nothing(_: object) -> None:
    """For whoever asked to be told of nothing."""


def _isolating(settings: Settings, tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """Where a failed trial has several new values: each of them alone, in a configuration that passed otherwise."""
    good = runs(tried)
    if not good:
        return []
    more: list[dict[str, Any]] = []
    for trial in tried:
        suspects = [] if trial in good or trial.outcome != "failed" else _suspects(settings, trial, good)
        if len(suspects) < 2:
            continue
        for name, value in suspects:
            alone = with_value(settings.space, good[0].params, name, value)
            if alone is not None and alone not in more and all(alone != dict(other.params) for other in tried):
                more.append(alone)
    return more[:_MOST_ISOLATED]


def _suspects(settings: Settings, failed: Tried, good: Sequence[Tried]) -> list[Value]:
    """The values of a failed trial that no trial has run with."""
    return [
        (name, failed.params[name])
        for name in small_categoricals(settings.space)
        if name in failed.params and not any(has_value(other, name, failed.params[name]) for other in good)
    ]


class _Session(Saying):
    """Runs configurations in one study, ends each where it has shown enough, and keeps what became of it."""

    def __init__(
        self, settings: Settings, limit: float, tell: Callable[[Tried], None], say: Callable[[str], None]
    ) -> None:
        super().__init__(say)
        self.tried: list[Tried] = []
        self._settings, self._limit, self._tell = settings, limit, tell
        self._to_the_end = bool(settings.check.args)
        self._began: dict[int, float] = {}
        self._ended: dict[int, str] = {}  # trial → why we ended it
        self._seen: dict[tuple[int, int], Evidence] = {}  # of attempts whose end is not durable yet

    def run(self, paths: StudyPaths, configurations: Sequence[Mapping[str, Any]]) -> bool:
        """Run those that were not run yet. Returns whether all were: a Ctrl-C or a full disk stops them."""
        count = max(1, len(configurations))
        settings = trial_settings(self._settings, trials=count, limit=self._limit, arguments=self._settings.check.args)
        enqueue = tuple(dict(configuration) for configuration in configurations if configuration)
        settings = replace(settings, enqueue=enqueue)
        verdict, _ = run_study(paths, settings, lambda _opened, _slots: self, limits=every_outcome_counts(count))
        return verdict.state is StudyState.DONE

    def over(self, ended: AttemptEnded, evidence: Evidence) -> None:
        """Keep what was seen until the end is durable."""
        self._seen[ended.trial, ended.attempt] = evidence

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """Judge the trials that ended."""
        for event in events:
            if isinstance(event, AttemptEnded) and event.attempt == 1 and event.cause is not Cause.NEVER_STARTED:
                trial = self._judged(event, study)
                self.tried.append(trial)
                self._tell(trial)

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """End what has reported, or took too long."""
        now = time.monotonic()
        for attempt in running:
            if attempt.number > 1:  # its first attempt said enough
                self._end(attempt, "")
            elif attempt.claimed and attempt.trial not in self._ended:
                began = self._began.setdefault(attempt.trial, now)
                if not self._to_the_end and self._has_reported(attempt):
                    self._end(attempt, "ended at its first report")
                elif now - began > self._limit:
                    self._end(attempt, f"ended after {self._limit:g} s")

    def _has_reported(self, attempt: Running) -> bool:
        seen = {name for report in attempt.reports for name in report.metrics}
        return seen.issuperset(metric.name for metric in self._settings.metrics)

    def _end(self, attempt: Running, why: str) -> None:
        if not attempt.stop_reason:
            self._ended.setdefault(attempt.trial, why)
            attempt.end_soon("pruned")  # an ending that is for good

    def _judged(self, event: AttemptEnded, study: Study) -> Tried:
        evidence = self._seen.pop((event.trial, event.attempt), Evidence())
        good = event.state in (TrialState.COMPLETE, TrialState.PRUNED) or event.cause is Cause.PART
        outcome: Literal["passed", "failed", "skipped", "interrupted"] = "passed" if good else "failed"
        if event.cause is Cause.CONSTRAINT:
            outcome = "skipped"
        elif event.cause is Cause.STOPPED:
            outcome = "interrupted"
        return Tried(
            number=event.trial,
            params=dict(study.trials[event.trial].params),
            outcome=outcome,
            cause=event.cause.value,
            reason=(self._ended.get(event.trial) or "ended by itself") if good else reason_of(event, evidence),
            seconds=event.seconds,
            scores=dict(evidence.scores),
            metrics=dict(evidence.metrics),
            notes=tuple(evidence.notes),
            traceback="" if good else evidence.traceback or "\n".join(evidence.tail[-10:]),
        )
