"""One look at a study: what ``outlast status`` says, as a value. Pure."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.best import best_trial, best_trials
from outlast.core.budget import counted, remaining
from outlast.core.fold import Study
from outlast.core.hours import Hours, hours
from outlast.core.lately import when_it_ran
from outlast.core.moments import parse_time
from outlast.core.plain_json import plain_json
from outlast.core.plan import over_without_result
from outlast.core.states import STATE_ORDER, StudyState, TrialState
from outlast.monitor.eta import time_left
from outlast.monitor.health import HealthFacts, HealthWarning, health
from outlast.monitor.milestones import Milestone, ends, milestones, within
from outlast.monitor.queue import QueuedJob
from outlast.monitor.rate import rate_per_hour


class LiveFacts(Struct, frozen=True):
    """Who runs the study now."""

    host: str = ""
    pid: int = 0
    since: str = ""  # UTC, ISO 8601
    slots: int = 1  # attempts side by side
    state: StudyState = StudyState.RUNNING  # or WAITING (for a slot, a job) or PAUSED (disk full)
    reason: str = ""  # why it waits or pauses


class SupervisorFacts(Struct, frozen=True):
    """Who looks after a campaign, or after one study in the background: begins a coordinator again that died."""

    host: str = ""
    pid: int = 0
    since: str = ""  # UTC, ISO 8601
    restarts: Mapping[str, int] = {}  # study -> how often its coordinator was begun again

    def to_json(self) -> dict[str, Any]:
        """As the status JSON says it."""
        return {"host": self.host, "pid": self.pid, "since": self.since, "restarts": dict(self.restarts)}


class RunningTrial(Struct, frozen=True):
    """A trial that runs now. ``step`` and ``value`` are of its latest report, if it made one."""

    trial: int
    attempt: int
    since: str
    seconds: float
    step: int | None = None
    value: float | None = None
    params: Mapping[str, Any] = {}
    job: str = ""  # the scheduler's id of its job
    node: str = ""  # where that job runs
    restarts: int = 0  # of that job
    suspended: bool = False  # likewise: it stands still
    waits: bool = False  # its job has not started


class Best(Struct, frozen=True):
    """The best trial so far."""

    trial: int
    value: float
    values: tuple[float, ...]
    params: Mapping[str, Any]


class Stopwatch(Struct, frozen=True):
    """How long the study ran."""

    running_seconds: float  # of all runs
    training_seconds: float  # of all attempts together
    began: datetime | None = None  # the first attempt that was run here
    ended: datetime | None = None  # the last outcome; None while it is run


class Snapshot(Struct, frozen=True):
    """What is known about a study at one moment."""

    study: str
    folder: str
    state: StudyState
    reason: str  # why it waits, paused, stopped, halted or is done
    metrics: tuple[tuple[str, str], ...]  # (name, goal) per objective
    target: int | None
    count: tuple[str, ...]  # the states that count towards it
    counts: Mapping[TrialState, int]
    counted: int
    remaining: int | None  # None without a target
    best: Best | None
    pareto: tuple[int, ...]  # the front's trials, with several objectives
    rate_per_hour: float | None
    eta: datetime | None
    milestones: tuple[Milestone, ...]
    running: tuple[RunningTrial, ...]
    warnings: tuple[HealthWarning, ...]
    live: LiveFacts | None
    now: datetime
    time: Stopwatch
    hours: Hours  # what the attempts used, and what for
    jobs: tuple[QueuedJob, ...] = ()  # in a scheduler's queue
    silence: str = ""  # why the scheduler did not answer when it was asked last; the jobs are of the time before
    begun_by: str = "run"  # the command that goes on with it: run, or submit
    without_result: bool = False  # it is over, and no trial has completed
    to_retry: str | None = None  # flags of the retry without which a halt costs what has ended badly so far
    left_out: int = 0  # of the failed trials: those that the study file in force does not hold
    follows: str = ""  # of a follow-up: the command that it was begun by
    eta_range: tuple[datetime, datetime] | None = None  # that holds the end in 80% of cases
    work_left: float | None = None  # seconds of a slot until the target is reached, while somebody runs it
    time_left: float | None = None  # seconds until `budget.time` is used up, of a study that is run now and has one
    deadline: datetime | None = None  # before which the run stops by itself, since its session ends
    within: float = 1.0  # how much of what is left is expected to be done by then, 0 to 1
    supervisor: SupervisorFacts | None = None  # who looks after it alone, in the background; a campaign's is not meant

    @property
    def finished(self) -> int:
        """Trials with an outcome."""
        return sum(number for state, number in self.counts.items() if state.finished)

    @property
    def share(self) -> float | None:
        """How much of the target is reached, 0 to 1; ``None`` without a target."""
        if self.target is None:
            return None
        return 1.0 if self.target <= 0 else min(1.0, self.counted / self.target)

    @property
    def is_wrong(self) -> bool:
        """Whether a person should look at it: it has halted, or there is more than a note."""
        return self.state is StudyState.HALTED or any(each.is_trouble for each in self.warnings)

    @property
    def next_command(self) -> str:
        """What to type next."""
        match self.state:
            case StudyState.RUNNING | StudyState.WAITING:
                return f"outlast status {self.folder} -w"
            case StudyState.HALTED | StudyState.DONE:
                if self.follows and self.state is StudyState.DONE:
                    return f"outlast {self.follows} {os.path.dirname(self.folder.rstrip('/')) or os.pardir}"
                if self.state is StudyState.DONE and self.best:
                    return f"outlast show {self.folder} best"
                bad = self.counts[TrialState.FAILED] > self.left_out or self.counts[TrialState.INFEASIBLE]
                return f"outlast show {self.folder}{' failures' if bad else ''}"
            case _:
                return f"outlast {self.begun_by} {self.folder}"

    @property
    def then(self) -> str:
        """What to type after that, when a search is over: the best score may be luck."""
        over = self.state is StudyState.DONE and self.best and not self.follows
        return f"outlast confirm {self.folder}" if over else ""

    @property
    def once_mended(self) -> tuple[str, str]:
        """What to type once the cause of a halt is mended, and what it does."""
        if not self.without_result and self.to_retry is None:
            what = "once it is mended; the failures so far no longer count then"
            return f"outlast {self.begun_by} {self.folder}", what
        if not self.without_result:
            what = f"once it is mended, or they are not tried again; then outlast {self.begun_by} goes on"
            return f"outlast retry {self.folder}{self.to_retry}", what
        if self.counts[TrialState.FAILED] > self.left_out:
            return f"outlast retry {self.folder}", f"once it is mended; then outlast {self.begun_by} goes on with them"
        return f"outlast show {self.folder} failures", "then change the search space, or the training"

    def to_json(self) -> dict[str, Any]:
        """The status JSON: the keys that scripts rely on first, then the run, the running trials and the milestones."""
        out: dict[str, Any] = {
            "study": self.study,
            "dir": self.folder,
            "state": self.state.value,
            "metric": {"name": self.metrics[0][0], "goal": self.metrics[0][1]},
            "target": self.target,
            "counts": {state.value: self.counts[state] for state in STATE_ORDER} | {"remaining": self.remaining},
            "best": None,
            "rate_per_hour": None if self.rate_per_hour is None else round(self.rate_per_hour, 3),
            "eta": _iso(self.eta),
            "warnings": plain_json(self.warnings),
            "eta_range": None if self.eta_range is None else [_iso(moment) for moment in self.eta_range],
            "reason": self.reason,
            "deadline": _iso(self.deadline),
            "run": None,
            "supervisor": None if self.supervisor is None else self.supervisor.to_json(),
            "running": [_running_json(trial) for trial in self.running],
            "jobs": [job.to_json() for job in self.jobs],
            "jobs_unknown": self.silence,
            "milestones": [
                {"percent": m.percent, "trials": m.trials, "reached": m.reached, "at": _iso(m.at)}
                for m in self.milestones
            ],
            "hours": self.hours.to_json(),
            "began": _iso(self.time.began),
            "ended": _iso(self.time.ended),
            "at": _iso(self.now),
            "next": self.next_command,
        }
        if self.best is not None:
            out["best"] = {"trial": self.best.trial, "value": self.best.value, "params": dict(self.best.params)}
        if self.live is not None:
            out["run"] = {"host": self.live.host, "pid": self.live.pid, "since": self.live.since}
        if len(self.metrics) > 1:
            out["metrics"] = [{"name": name, "goal": goal} for name, goal in self.metrics]
            out["pareto_front"] = list(self.pareto)
            if self.best is not None:
                out["best"]["values"] = {
                    name: value for (name, _), value in zip(self.metrics, self.best.values, strict=False)
                }
        return out


def snapshot(
    study: Study,
    settings: Settings,
    *,
    now: datetime,
    live: LiveFacts | None = None,
    running_reports: Mapping[int, tuple[int, float]] | None = None,
    running_seconds: Mapping[int, float] | None = None,
    folder: str = "",
    facts: HealthFacts | None = None,
    jobs: Sequence[QueuedJob] = (),
    silence: str = "",
    waiting: Collection[int] = (),
    judged: bool = True,
) -> Snapshot:
    """Look at a study.

    Args:
        settings: In force, a target given on the command line included.
        now: The current time, aware.
        live: Who holds the study's lease; ``None`` if nobody does.
        running_reports: Running trial → (step, value) of its latest report.
        running_seconds: Running trial → seconds that its attempt has trained so far.
        folder: The study folder as a person types it.
        facts: What was found on the machine, for the health rules.
        jobs: The study's jobs that wait or run in a scheduler's queue.
        silence: Why the scheduler did not answer; empty if it did.
        waiting: Running trials whose jobs nobody has started yet.
        judged: Whether what is wrong with it is asked as well.

    Returns:
        The snapshot. An ETA is given only while somebody runs the study.
    """
    budget = settings.budget
    counts = study.counts()
    left = remaining(study, budget.trials, budget.count)
    done = counted(study, budget.count)
    state, reason = _state(study, live, left, budget.trials)
    rate = rate_per_hour(
        study, budget.count, now=now, live=live is not None, slots=live.slots if live else 1, trained=running_seconds
    )
    running = running_trials(study, running_reports or {}, now, {job.id: job for job in jobs}, waiting)
    still = frozenset(trial.trial for trial in running if trial.suspended or trial.waits)
    goes_on = live is not None and not (running and len(still) == len(running))  # nobody knows when those wake up
    facts = replace(facts or HealthFacts(), still=still, trained=running_seconds or {})
    wrong = health(study, settings, now=now, live=live is not None, folder=folder, facts=facts) if judged else ()
    best = best_trial(study, settings.metrics)
    seconds = _running_seconds(study, now, live)
    ahead = None
    if goes_on and left and live is not None:
        ahead = time_left(
            study, budget.count, left, now=now, slots=live.slots,
            steps={number: step for number, (step, _) in (running_reports or {}).items()}, trained=running_seconds,
        )  # fmt: skip
    deadline = parse_time(study.last_run.deadline) if live is not None and study.last_run is not None else None
    limit = _limit(settings, seconds, deadline, now)
    eta, eta_range = ends(now, ahead, limit) if goes_on and left != 0 else (None, None)
    return Snapshot(
        study=study.name or settings.name,
        folder=folder or study.name or settings.name,
        state=state,
        reason=reason,
        metrics=tuple((metric.name, metric.goal) for metric in settings.metrics),
        target=budget.trials,
        count=budget.count,
        counts={key: counts[key] for key in TrialState},
        counted=done,
        remaining=left,
        best=Best(best.number, best.values[0], best.values, best.params) if best and best.values else None,
        pareto=tuple(t.number for t in best_trials(study, settings.metrics)) if len(settings.metrics) > 1 else (),
        rate_per_hour=rate,
        eta=eta,
        eta_range=eta_range,
        work_left=None if ahead is None else ahead.work,
        time_left=None if limit is None or live is None else max(0.0, limit),
        within=within(ahead, limit),
        deadline=deadline,
        milestones=milestones(budget.trials, done, ahead, eta, now),
        running=running,
        warnings=tuple(wrong),
        live=live,
        now=now,
        time=_stopwatch(study, seconds, live),
        hours=hours(study, running_seconds),
        jobs=tuple(jobs),
        silence=silence,
        begun_by="submit" if study.jobs else "run",
        without_result=over_without_result(study),
        to_retry=_to_retry(study, settings),
        left_out=len(study.misfits),
        follows=study.follows,
    )


def _limit(settings: Settings, seconds: float, deadline: datetime | None, now: datetime) -> float | None:
    """Seconds until the time budget is used up or running trials are asked to leave before the deadline."""
    found = [] if settings.budget.time is None else [settings.budget.time - seconds]
    if deadline is not None:
        found.append((deadline - now).total_seconds() - settings.trial.grace)
    return min(found, default=None)


def _to_retry(study: Study, settings: Settings) -> str | None:
    """A grid draws no configuration twice, and trials that could not run have used the budget up. What has a result may
    have failed and run out of memory for its configurations' sake."""
    counts = study.counts()
    if counts[TrialState.COMPLETE]:
        return None
    causes = {trial.cause for trial in study.in_state(TrialState.INFEASIBLE)}
    if len(causes) == 1 and not counts[TrialState.FAILED] and TrialState.INFEASIBLE.value in settings.budget.count:
        return "".join(f" --cause {cause.value}" for cause in causes if cause is not None)
    return "" if settings.sampler.name == "grid" and counts[TrialState.FAILED] else None


def _state(study: Study, live: LiveFacts | None, left: int | None, target: int | None) -> tuple[StudyState, str]:
    """A holder makes it live; without one the ledger's last word stands, unless there is work again since."""
    if live is not None:
        return live.state, live.reason
    if study.ended is None:
        reached = left == 0 and study.counts()[TrialState.COMPLETE]
        return (StudyState.DONE, "the target is reached") if reached else (StudyState.STOPPED, "")
    state = StudyState(study.ended.state)
    again = sum(t.retried_at_attempt == len(t.attempts) > 0 for t in study.in_state(TrialState.INTERRUPTED))
    if again and state in (StudyState.DONE, StudyState.HALTED):
        return StudyState.STOPPED, f"{again} trial{' waits' if again == 1 else 's wait'} for another attempt"
    asked = study.last_run.trials if study.last_run is not None else None
    if state is StudyState.DONE and left and asked is not None and target is not None and target > asked:
        return StudyState.STOPPED, f"the target was raised from {asked} to {target} trials"
    return state, study.ended.reason


def _running_seconds(study: Study, now: datetime, live: LiveFacts | None) -> float:
    """Over all runs that ended, and the one that goes on."""
    since = parse_time(study.running_since or live.since) if live is not None else None
    return study.elapsed_before + (max(0.0, (now - since).total_seconds()) if since is not None else 0.0)


def running_trials(
    study: Study, reports: Mapping[int, tuple[int, float]], now: datetime, jobs: Mapping[str, QueuedJob],
    waiting: Collection[int],
) -> tuple[RunningTrial, ...]:  # fmt: skip
    """The trials that run, with their latest reports."""
    found = []
    for trial in study.in_state(TrialState.RUNNING):
        attempt = trial.open_attempt
        if attempt is None:
            continue
        opened = parse_time(attempt.opened_at)
        seconds = max(0.0, (now - opened).total_seconds()) if opened is not None else 0.0
        step, value = reports.get(trial.number, (None, None))
        job = jobs.get(attempt.job)
        node, restarts, suspended = ("", 0, False) if job is None else (job.node, job.restarts, job.suspended)
        found.append(
            RunningTrial(
                trial.number, attempt.number, attempt.opened_at, seconds, step, value, trial.params, attempt.job, node, restarts,
                suspended, trial.number in waiting,
            )
        )  # fmt: skip
    return tuple(found)


def _running_json(trial: RunningTrial) -> dict[str, Any]:
    return {
        "trial": trial.trial,
        "attempt": trial.attempt,
        "since": trial.since,
        "seconds": round(trial.seconds, 1),
        "step": trial.step,
        "value": plain_json(trial.value),
        **({"job": trial.job, "node": trial.node, "restarts": trial.restarts} if trial.job else {}),
        **({"suspended": True} if trial.suspended else {}),
        **({"waits": True} if trial.waits else {}),
    }


def _stopwatch(study: Study, running_seconds: float, live: LiveFacts | None) -> Stopwatch:
    training = study.sums.training / 1e9
    return Stopwatch(running_seconds, training, *when_it_ran(study, live=live is not None))


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(timezone.utc).isoformat(timespec="seconds")
