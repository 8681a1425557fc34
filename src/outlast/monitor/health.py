"""What is wrong with a study, as values: a person should know within minutes, not after hours. Pure.

Every rule is one function from the same facts to a warning or nothing.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import Cause, StudyState, TrialState
from outlast.monitor.times import duration, parse_time

_HOUR = 3600.0
_NOTHING_COMPLETED = 2 * _HOUR
_LONG_TRIAL = 24 * _HOUR
_FAILURE_SHARE = 0.30
_ENOUGH = 10  # finished trials before a share says anything
_RECENT = 50
_ALIKE = 3
_DISK_BYTES, _DISK_SHARE = 5 * 2**30, 0.05  # nearly full: below both
_DISK_INODES = 10_000


class HealthWarning(Struct, frozen=True):
    """One thing that a person should know. ``key`` is stable, for scripts and for saying it once."""

    key: str
    text: str
    cure: str = ""


class HealthFacts(Struct, frozen=True):
    """What only a look at the machine can tell. Everything is optional: an unknown fact warns of nothing."""

    still: frozenset[int] = frozenset()  # running trials whose jobs the scheduler has suspended, or not started yet
    disk_free: int | None = None  # bytes, where the study folder lies
    disk_total: int | None = None
    inodes_free: int | None = None
    untouched_days: Mapping[str, float] = {}  # file needed to go on → days, where old ones are purged


class _View(Struct, frozen=True):
    study: Study
    settings: Settings
    now: datetime
    live: bool
    where: str
    facts: HealthFacts
    counts: Mapping[TrialState, int]  # of finished trials that were run here
    recent: list[Trial]  # the last of them, by the time they ended
    complete: list[Trial]  # the last complete ones, likewise


def health(
    study: Study,
    settings: Settings,
    *,
    now: datetime,
    live: bool,
    folder: str = "",
    facts: HealthFacts | None = None,
) -> list[HealthWarning]:
    """Everything that is wrong, worst first; what the ledger has on record to be said comes last.

    It is `live` while somebody holds its lease; `folder` is as a person types it, for the cures; `now` is aware.
    """
    finished = [
        trial
        for trial in study.trials.values()
        if trial.state.finished and trial.source != "imported" and trial.cause is not Cause.SPACE_CHANGED
    ]
    view = _View(
        study=study,
        settings=settings,
        now=now,
        live=live,
        where=folder or study.name,
        facts=facts or HealthFacts(),
        counts=Counter(trial.state for trial in finished),
        recent=_latest(finished),
        complete=_latest([trial for trial in finished if trial.state is TrialState.COMPLETE]),
    )
    found = [warning for rule in _RULES if (warning := rule(view)) is not None]
    return [*found, *(HealthWarning(key, text) for key, text in study.warnings.items())]


def _latest(trials: list[Trial]) -> list[Trial]:
    return heapq.nlargest(_RECENT, trials, key=lambda trial: trial.finished_at or "")[::-1]


def _left_alone(view: _View) -> HealthWarning | None:
    study = view.study
    if view.live or study.ended is not None or study.last_run is None:
        return None
    began = parse_time(study.last_run.at)
    ago = f" {duration((view.now - began).total_seconds())} ago" if began is not None else ""
    who = f"pid {study.last_run.pid} on {study.last_run.host or 'an unknown host'}"
    text = f"the run that began{ago} ({who}) ended without a word"
    return HealthWarning("left_alone", text, f"outlast run {view.where}")


def _disk(view: _View) -> HealthWarning | None:
    facts = view.facts
    free, total = facts.disk_free, facts.disk_total
    if free is not None and free < _DISK_BYTES and (total is None or free < _DISK_SHARE * total):
        text = f"the disk is nearly full: {free / 2**30:.1f} GiB free"
    elif facts.inodes_free is not None and facts.inodes_free < _DISK_INODES:
        text = f"the filesystem is nearly out of inodes: {facts.inodes_free} free"
    else:
        return None
    return HealthWarning("disk", text, f"outlast clean {view.where}")


def _same_failure(view: _View) -> HealthWarning | None:
    outcomes = view.study.failures_since_run
    signatures = Counter(outcome.signature for outcome in outcomes if outcome.signature)
    if not signatures:
        return None
    signature, times = signatures.most_common(1)[0]
    if times < _ALIKE:
        return None
    first = next(outcome for outcome in outcomes if outcome.signature == signature)
    text = f"the same failure {times} times, first in trial {first.trial}: {first.reason}"
    return HealthWarning("same_failure", text, f"outlast show {view.where} failures")


def _failure_rate(view: _View) -> HealthWarning | None:
    recent = view.recent
    failed = sum(trial.state is TrialState.FAILED for trial in recent)
    if len(recent) < _ENOUGH or failed <= _FAILURE_SHARE * len(recent):
        return None
    text = f"{failed} of the last {len(recent)} trials failed ({100 * failed / len(recent):.0f}%)"
    return HealthWarning("failure_rate", text, f"outlast show {view.where} failures")


def _no_result(view: _View) -> HealthWarning | None:
    """Nothing that was tried could run, so far or in the end. (Failures and pruned trials alone have rules of their own.)"""
    study, counts = view.study, view.counts
    if study.counts()[TrialState.COMPLETE]:
        return None
    cure = f"outlast show {view.where} failures"
    if not view.live and study.ended is not None and study.ended.state == StudyState.DONE.value and counts:
        return HealthWarning("no_result", "the search is over, and no trial gave a result", cure)
    infeasible = study.infeasible_since_run
    if len(infeasible) < _ALIKE or counts[TrialState.PRUNED]:
        return None
    failed = counts[TrialState.FAILED]
    what = f"{counts[TrialState.INFEASIBLE]} trials could not run" + (f" and {failed} failed" if failed else "")
    return HealthWarning("no_result", f"{what}, none has completed: {infeasible[0].reason}", cure)


def _all_pruned(view: _View) -> HealthWarning | None:
    pruned = view.counts[TrialState.PRUNED]
    if view.counts[TrialState.COMPLETE] or pruned < _ENOUGH:
        return None
    text = f"all {pruned} trials that could be judged were pruned: none has completed"
    return HealthWarning("all_pruned", text, "give the pruner more steps or trials to start with, or set pruner: none")


def _pruner_without_values(view: _View) -> HealthWarning | None:
    if view.settings.pruner.name == "none" or view.counts[TrialState.PRUNED]:
        return None
    complete = view.complete
    if len(complete) < _ALIKE or any(any(outcome.curves) for trial in complete for outcome in trial.ended):
        return None
    name = view.settings.metrics[0].name
    text = f"the pruner {view.settings.pruner.name} never got a value: no script reported {name} while it ran"
    return HealthWarning("pruner_without_values", text, f"print or report {name} at every epoch, or set pruner: none")


def _nothing_completed(view: _View) -> HealthWarning | None:
    run = parse_time(view.study.last_run.at) if view.study.last_run is not None else None
    running = view.study.in_state(TrialState.RUNNING)
    if not view.live or run is None or (running and all(trial.number in view.facts.still for trial in running)):
        return None
    complete = view.complete
    last = max((moment for t in complete[-1:] if (moment := parse_time(t.finished_at)) is not None), default=run)
    quiet = (view.now - max(run, last)).total_seconds()
    usual = max((trial.seconds for trial in complete[-_ENOUGH:]), default=0.0)
    if quiet < max(_NOTHING_COMPLETED, 1.5 * usual):  # trials that take five hours each are no trouble
        return None
    text = f"no trial has completed for {duration(quiet)}"
    return HealthWarning("nothing_completed", text, f"outlast logs {view.where}")


def _long_trial(view: _View) -> HealthWarning | None:
    ages = []
    for trial in view.study.in_state(TrialState.RUNNING):
        attempt = trial.open_attempt
        opened = parse_time(attempt.opened_at) if attempt is not None else None
        if opened is not None and trial.number not in view.facts.still:
            ages.append(((view.now - opened).total_seconds(), trial.number))
    if not view.live or not ages or max(ages)[0] < _LONG_TRIAL:
        return None
    age, number = max(ages)
    cure = f"outlast logs {view.where} {number}; outlast stop {view.where} --trial {number} ends it"
    return HealthWarning("long_trial", f"trial {number} has been running for {duration(age)}", cure)


def purge_warning(untouched_days: Mapping[str, float], purge_days: float, where: str) -> HealthWarning | None:
    """Whether files that a study needs to go on are about to be purged: within a week, or within half of a shorter time.

    `untouched_days`: file → days since it was last read or written; `purge_days` is the filesystem's rule, as
    ``slurm.purge_days`` says it; `where` is the study folder as a person types it.
    """
    limit = max(purge_days - 7, purge_days / 2)
    due = sorted(
        (file for file, days in untouched_days.items() if days > limit), key=lambda file: -untouched_days[file]
    )
    if not due:
        return None
    days = untouched_days[due[0]]
    more = f" and {len(due) - 1} more files" if len(due) > 2 else " and one more file" if len(due) == 2 else ""
    left = f"in {duration((purge_days - days) * 86400)}" if days < purge_days else "any moment"
    text = f"{due[0]}{more}, needed to resume, may be purged {left}: untouched for {days:.0f} of {purge_days:g} days"
    return HealthWarning("purge", text, f"find {where}/ -type f -exec touch -a {{}} +")


def _purge(view: _View) -> HealthWarning | None:
    days = purge_days(view.settings)
    return None if days is None else purge_warning(view.facts.untouched_days, days, view.where)


def purge_days(settings: Settings) -> float | None:
    """After how many days the site purges a file that nobody touches; ``None`` where the study file does not say."""
    given = (settings.slurm or {}).get("purge_days")
    return float(given) if isinstance(given, (int, float)) and not isinstance(given, bool) else None


_RULES: tuple[Callable[[_View], HealthWarning | None], ...] = (
    _left_alone,
    _disk,
    _purge,
    _same_failure,
    _failure_rate,
    _no_result,
    _all_pruned,
    _pruner_without_values,
    _nothing_completed,
    _long_trial,
)
