"""How long a run of a study goes on already: hours in which nobody was there to run it are not charged to its budget."""

from __future__ import annotations

from outlast._system.clock import utc_now
from outlast.core.fold import Study, seconds_between
from outlast.core.records import RunWentOn
from outlast.core.states import TrialState
from outlast.runner.spec import silent_after
from outlast.study.attempts import trained_seconds
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger


def lasted(paths: StudyPaths, study: Study, ledger: Ledger) -> float:
    """Seconds that the run goes on already; hours in which nobody was there are taken out, on record."""
    if study.ended is not None or study.last_run is None:
        return 0.0
    now = utc_now()
    since = seconds_between(study.running_since, now)
    if seconds_between(study.last_at, now) <= silent_after():  # no heartbeat needs to be read for that
        return since
    attended = _attended(paths, study)
    if since - attended <= silent_after():
        return since
    went_on = RunWentOn(now, attended)
    ledger.append([went_on])
    study.apply(went_on)
    return 0.0


def _attended(paths: StudyPaths, study: Study) -> float:
    """Seconds that the run has lasted up to its last record, or to the last heartbeat of an attempt that is open."""
    last = [seconds_between(study.running_since, study.last_at)]
    for trial in study.in_state(TrialState.RUNNING):
        attempt = trial.open_attempt
        if attempt is not None:
            trained = trained_seconds(paths.attempt(trial.number, attempt.number))
            before = seconds_between(attempt.opened_at, study.running_since)  # 0 if it was opened later
            last.append(seconds_between(study.running_since, attempt.opened_at) + trained - before)
    return max(last)
