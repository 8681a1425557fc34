"""The fold: a study's state is what its ledger's events add up to."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast.core.kept_trials import KeptTrials, PackedTrials, packed, scores
from outlast.core.records import (
    HERE,
    PLUGGED,
    Attempt,
    AttemptEnded,
    AttemptOpened,
    AttributeSet,
    EarlierTrial,
    Event,
    JobSubmitted,
    ParamDrawn,
    RevisionMade,
    RuledOut,
    RunStarted,
    RunWentOn,
    StudyAttributeSet,
    StudyCreated,
    StudyEnded,
    Trial,
    TrialCreated,
    TrialFits,
    TrialRetried,
    Warned,
)
from outlast.core.states import Cause, TrialState
from outlast.core.sums import Sums
from outlast.core.tally import KeptTally, Tally

_OF_TRIALS = (TrialCreated, AttemptOpened, AttemptEnded, TrialRetried, TrialFits)


class Study(Struct, dict=True):
    """A study as its ledger has it. `apply` is the only thing that changes it."""

    name: str = ""
    created_at: str = ""
    study_seed: int = 0
    revisions: list[RevisionMade] = []
    trials: dict[int, Trial] = {}
    study_attrs: dict[str, Any] = {}  # the sampler's
    user_attrs: dict[str, Any] = {}  # what objectives and callbacks noted about the study
    last_run: RunStarted | None = None
    runs: int = 0
    ended: StudyEnded | None = None  # None while a run goes on, or after one died
    elapsed_before: float = 0.0  # seconds of earlier runs; one that was killed counts up to its last record
    failures_since_run: list[AttemptEnded] = []
    infeasible_since_run: list[AttemptEnded] = []  # that were tried, and could not run
    ruled_out_in_a_row: int = 0  # draws that the derive hook ruled out, and that nobody tried
    false_starts: int = 0  # attempts in a row that this run opened here and that never began
    first_completed_step: int | None = None  # the last step of the trial that completed first: stays what it is
    gpu_seconds: float = 0.0  # of all attempts that have ended
    warnings: dict[str, str] = {}
    warned_at: dict[str, str] = {}  # key → when it was said last
    jobs: list[JobSubmitted] = []  # that SLURM took, in order
    earlier: list[EarlierTrial] = []  # what the sampler knows of other searches
    running_since: str = ""  # when the last run started, or last went on
    last_at: str = ""  # when a run last put anything on record
    follows: str = ""  # where the first trial of a follow-up came from

    @cached_property
    def _tally(self) -> Tally:
        return Tally(self.trials)

    def kept(self) -> tuple[Study, KeptTally, Sums, PackedTrials]:
        """What `resumed` makes the same study of, in parts that msgpack can say."""
        return replace(self, trials={}), self._tally.kept(), self.sums, packed(self.trials)

    @classmethod
    def resumed(cls, rest: Study, tally: KeptTally, sums: Sums, trials: PackedTrials) -> Study:
        """A study of the parts that `kept` gave. Its trials are bytes until somebody asks for them."""
        rest.trials = found = KeptTrials(trials)
        rest._tally = Tally.resumed(found, tally, sums)
        return rest

    @cached_property
    def _taken(self) -> dict[str, list[EarlierTrial]]:
        """Origin → what is known from there, which is one trial, or two of searches with one name."""
        taken: dict[str, list[EarlierTrial]] = {}
        for event in self.earlier:
            taken.setdefault(event.origin, []).append(event)
        return taken

    @property
    def revision(self) -> RevisionMade | None:
        """The version of the study file in force."""
        return self.revisions[-1] if self.revisions else None

    @property
    def next_number(self) -> int:
        """The number of the next new trial: one above the highest, never reused."""
        return self._tally.highest + 1

    def counts(self) -> Counter[TrialState]:
        """Trials per state."""
        found = {state: self._tally.count(state) for state in TrialState}
        return Counter({state: count for state, count in found.items() if count})

    def in_state(self, *states: TrialState) -> list[Trial]:
        """The trials in any of these states, by number."""
        return [self.trials[number] for number in self._tally.numbers(states)]

    @property
    def misfits(self) -> list[Trial]:
        """Failed rows of an earlier revision, whose parameters the one in force does not have."""
        return self._tally.misfits()

    @property
    def latest_success(self) -> str | None:
        """When the last of the complete and the pruned trials finished."""
        return self._tally.latest_success()

    def scores(self) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Numbers and values of the complete trials that keep their constraints; of a kept fold no trial is asked for."""
        return scores(self.trials)

    @property
    def sums(self) -> Sums:
        """What all trials add up to."""
        return self._tally.sums()

    @property
    def identity(self) -> str:
        """Tells a study from all others, whatever their names; the same in each copy of its folder, wherever it lies."""
        import hashlib  # whoever only looks needs none

        said = f"{self.created_at}\n{self.name}\n{self.study_seed}"
        return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]

    @property
    def extreme_values(self) -> tuple[float, float] | None:
        """The smallest and the largest first value of all complete trials that keep to the constraints."""
        return self._tally.extremes()

    @property
    def extreme_trials(self) -> tuple[int, int] | None:
        """The numbers of the first trials that have the `extreme_values`."""
        return self._tally.of_extremes()

    def apply(self, event: Event) -> None:
        """Take one event in. Applying an event that says what is so already changes nothing."""
        if isinstance(event, _OF_TRIALS):
            self._tally.changes(event.trial)
        if isinstance(event, RunStarted) and self.last_run is not None and self.ended is None:
            self.elapsed_before += seconds_between(self.running_since, self.last_at)  # a run that did not end in order
        if not isinstance(event, TrialRetried):  # a person's, at any time
            self.last_at = getattr(event, "at", self.last_at)
        match event:
            case TrialCreated():
                self._trial_created(event)
            case ParamDrawn():
                trial = self.trials[event.trial]
                trial.params[event.name] = event.value
                trial.distributions[event.name] = event.distribution
            case AttributeSet():
                self._attribute_set(event)
            case StudyAttributeSet():
                self.user_attrs = {**self.user_attrs, event.name: json.loads(event.value)}
            case AttemptOpened():
                self._attempt_opened(event)
            case AttemptEnded():
                self._attempt_ended(event)
            case JobSubmitted():
                self._job_submitted(event)
            case TrialRetried():
                self._trial_retried(event)
            case TrialFits():
                self._trial_fits(event)
            case StudyCreated():
                self.name, self.created_at, self.study_seed = event.name, event.at, event.study_seed
            case RevisionMade():
                self._begin_parts_anew(event)
                self.revisions.append(event)
                self._forgive()
            case RunStarted():
                self.last_run, self.ended, self.running_since = event, None, event.at
                self.runs += 1
                self._forgive()
            case RunWentOn():
                self.running_since = event.at
                self.elapsed_before += event.elapsed
            case StudyEnded():
                self.ended = event
                self.elapsed_before += event.elapsed
            case EarlierTrial():
                alike = self._taken.setdefault(event.origin, [])
                if event not in alike:
                    alike.append(event)
                    self.earlier.append(event)
            case Warned():
                self.warnings[event.key or event.text] = event.text
                self.warned_at[event.key or event.text] = event.at
        if isinstance(event, _OF_TRIALS):
            self._tally.note(event.trial)

    def _forgive(self) -> None:
        """A person runs it, or changed it: what counts against the search counts from now on."""
        self.failures_since_run.clear()
        self.infeasible_since_run.clear()
        self.ruled_out_in_a_row = 0
        self.false_starts = 0

    def _trial_created(self, event: TrialCreated) -> None:
        self.trials.setdefault(
            event.trial,
            Trial(
                number=event.trial,
                params=dict(event.params),
                latent=dict(event.latent),
                derived=dict(event.derived),
                seed=event.seed,
                revision=event.revision,
                source=event.source,
                system_attrs=dict(event.system_attrs),
                created_at=event.at,
                of=event.of,
                told=dict(event.told),
                offered=event.offered,
            ),
        )
        self.study_attrs.update(event.study_attrs)
        if event.of is not None:
            self.follows = self.follows or event.source

    def _attribute_set(self, event: AttributeSet) -> None:
        trial, value = self.trials[event.trial], json.loads(event.value)
        if event.system:
            trial.system_attrs = {**trial.system_attrs, event.name: value}
            trial.optuna_attrs = {**trial.optuna_attrs, event.name: value}
            if event.name.startswith("constraints"):
                self._tally.reconsider()
        else:
            trial.user_attrs = {**trial.user_attrs, event.name: value}

    def _begin_parts_anew(self, event: RevisionMade) -> None:
        """Other seeds or folds came into force: a trial that has some of its parts has nothing to go on with."""
        if self.revision is None or _parts_in(self.revision) == _parts_in(event):
            return
        for trial in self.in_state(TrialState.INTERRUPTED, TrialState.RUNNING):
            trial.anew_after = len(trial.attempts)

    def _trial_retried(self, event: TrialRetried) -> None:
        trial = self.trials[event.trial]
        last = trial.last  # with all its parts done, a trial has nothing left to go on with
        anew = event.from_scratch or (trial.state is TrialState.COMPLETE and last is not None and last.part is not None)
        trial.state, trial.values, trial.finished_at = TrialState.INTERRUPTED, None, None
        trial.from_scratch, trial.retried_at_attempt = anew, len(trial.attempts)
        if anew:
            trial.anew_after = len(trial.attempts)

    def _attempt_opened(self, event: AttemptOpened) -> None:
        trial = self.trials[event.trial]
        if any(attempt.number == event.attempt for attempt in trial.attempts):
            return
        if event.slot != "none":
            self.ruled_out_in_a_row = 0
        cards = _cards(event.gpus, _wanted(self.revision))
        trial.attempts.append(
            Attempt(
                event.attempt,
                event.at,
                event.slot,
                event.resumed,
                event.code,
                gpus=event.gpus,
                cards=cards,
                job=event.job,
                restarts=event.restarts,
                worker=event.worker,
            )
        )
        trial.state = TrialState.RUNNING
        trial.started_at = trial.started_at or event.at

    def _job_submitted(self, event: JobSubmitted) -> None:
        if event.role != PLUGGED and all(event.job != job.job for job in self.jobs):
            self.jobs.append(event)
        for trial in self.in_state(TrialState.RUNNING) if event.attempt else ():
            attempt = trial.open_attempt
            if attempt is not None and event.attempt == f"{trial.number:04d}.{attempt.number}":
                attempt.job = event.job

    def _attempt_ended(self, event: AttemptEnded) -> None:
        trial = self.trials[event.trial]
        attempt = next((a for a in trial.attempts if a.number == event.attempt), None)
        if event.cause is Cause.SPACE_CHANGED and trial.ruled_out is None:
            was = None if attempt is None else attempt.outcome
            trial.ruled_out = RuledOut(
                trial.state, trial.cause, trial.reason, trial.values, trial.finished_at, event.attempt, was
            )
        if attempt is None:
            attempt = Attempt(event.attempt, event.at)
            trial.attempts.append(attempt)
        elif attempt.outcome is not None and event.cause is not Cause.SPACE_CHANGED:
            return  # the first outcome stands
        elif attempt.outcome is not None:  # ruled out by a new revision: what it cost stays what it was
            event = replace(event, seconds=attempt.outcome.seconds)
        for name in event.drawn:
            if name in trial.offered:
                trial.distributions[name], trial.params[name] = trial.offered[name]
        before, attempt.outcome = attempt.gpu_seconds, event
        if trial.source != "imported":  # it was not run here
            self.gpu_seconds += attempt.gpu_seconds - before
        if event.cause is not Cause.NEVER_STARTED:
            trial.from_scratch = False  # that attempt began from scratch
            self.false_starts = 0
        elif attempt.slot.startswith(HERE) and attempt.opened_at >= self.running_since:
            self.false_starts += 1
        if trial.state.finished and event.cause is not Cause.SPACE_CHANGED:
            return
        trial.state, trial.cause, trial.reason = event.state, event.cause, event.reason
        if event.state.finished:
            trial.values, trial.finished_at, trial.offered = event.values, event.at, {}
        if event.state is TrialState.COMPLETE and self.first_completed_step is None:
            self.first_completed_step = max(trial.judged_curve(), default=None)
        if event.state is TrialState.FAILED and event.cause not in (Cause.IMPORTED, Cause.SPACE_CHANGED):
            self.failures_since_run.append(event)
        elif event.cause is Cause.CONSTRAINT:
            self.ruled_out_in_a_row += 1
        elif event.state is TrialState.INFEASIBLE and trial.source != "imported":
            self.infeasible_since_run.append(event)

    def _trial_fits(self, event: TrialFits) -> None:
        """As before it was ruled out; what was running then was ended with it, and waits for its next attempt."""
        trial = self.trials[event.trial]
        trial.params.update(event.params)
        before, trial.ruled_out = trial.ruled_out, None
        if before is None:
            return
        trial.state, trial.cause, trial.reason = before.state, before.cause, before.reason
        trial.values, trial.finished_at = before.values, before.finished_at
        attempt = next(a for a in trial.attempts if a.number == before.attempt)
        if before.outcome is not None:
            attempt.outcome = before.outcome
        elif before.state is TrialState.RUNNING and attempt.outcome is not None:
            trial.state, trial.cause, trial.reason = TrialState.INTERRUPTED, Cause.STOPPED, attempt.outcome.reason
            attempt.outcome = replace(attempt.outcome, state=trial.state, cause=trial.cause)
        else:  # there was no attempt yet
            trial.attempts.remove(attempt)


def _parts_in(revision: RevisionMade) -> tuple[list[Any], dict[str, Any]]:
    trial = revision.settings.get("trial") or {}
    return list(trial.get("seeds") or ()), dict(trial.get("folds") or {})


def _wanted(revision: RevisionMade | None) -> float:
    """``resources.gpus`` of a revision."""
    resources = revision.settings.get("resources") if revision is not None else None
    return float(resources.get("gpus") or 0.0) if isinstance(resources, Mapping) else 0.0


def _cards(gpus: Sequence[str], wanted: float) -> float:
    """How many cards an attempt had: those on record, which may be more than were asked for (a job's), or the share of the
    last one that it was given; what was asked for where none is on record."""
    if len(gpus) > 1 or (gpus and not 0 < wanted < 1):
        return float(len(gpus))
    return wanted if wanted < 1 else math.ceil(wanted)


def seconds_between(begin: str, end: str) -> float:
    """Seconds from one recorded time to another; 0 where one of them is none, or where the second is earlier."""
    try:
        return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())
    except ValueError:
        return 0.0


def fold(events: Iterable[Event]) -> Study:
    """The state that these events add up to."""
    study = Study()
    for event in events:
        study.apply(event)
    return study
