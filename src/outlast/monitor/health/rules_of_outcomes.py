"""Rules about how trials ended: failures, trials that could not run, pruning."""

from __future__ import annotations

from collections import Counter

from outlast.core.states import StudyState, TrialState
from outlast.monitor.health.warning import HealthWarning, Level
from outlast.monitor.health.what_rules_see import View

_FAILURE_SHARE = 0.30
_USUAL_SHARE, _CHANCE = 0.2, 0.01  # of failures in a search of large models
_ENOUGH = 10  # finished trials before a share says anything
_ALIKE, _ALIKE_SHARE = 3, 0.15


def same_failure(view: View) -> HealthWarning | None:
    """The same failure three times since a person last ran the search; a note as long as it hits few of the latest trials."""
    outcomes = view.study.failures_since_run
    signatures = Counter(outcome.signature for outcome in outcomes if outcome.signature)
    if not signatures:
        return None
    signature, times = signatures.most_common(1)[0]
    if times < _ALIKE:
        return None
    first = next(outcome for outcome in outcomes if outcome.signature == signature)
    text = f"the same failure {times} times, first in trial {first.trial}: {first.reason}"
    recent = [trial.last.signature for trial in view.recent if trial.last is not None]
    often = recent.count(signature) >= max(_ALIKE, _ALIKE_SHARE * len(recent))
    cure = f"outlast show {view.where} failures"
    return HealthWarning("same_failure", text, cure, first.at, "warning" if often else "note")


def failure_rate(view: View) -> HealthWarning | None:
    """More than 30% of the last 50 trials failed; a note as long as so many could be chance where a fifth fails."""
    recent = view.recent
    failed = [trial for trial in recent if trial.state is TrialState.FAILED]
    if len(recent) < _ENOUGH or len(failed) <= _FAILURE_SHARE * len(recent):
        return None
    from outlast.analysis.shares import at_least

    level: Level = "warning" if at_least(len(failed), len(recent), _USUAL_SHARE) < _CHANCE else "note"
    text = f"{len(failed)} of the last {len(recent)} trials failed ({100 * len(failed) / len(recent):.0f}%)"
    cure = f"outlast show {view.where} failures"
    return HealthWarning("failure_rate", text, cure, failed[0].finished_at or "", level)


def no_result(view: View) -> HealthWarning | None:
    """Nothing that was tried could run, so far or in the end. (Failures and pruned trials alone have rules of their own.)"""
    study, counts = view.study, view.counts
    if study.counts()[TrialState.COMPLETE]:
        return None
    cure = f"outlast show {view.where} failures"
    if not view.live and study.ended is not None and study.ended.state == StudyState.DONE.value and counts:
        text = "the search is over, and no trial gave a result"
        return HealthWarning("no_result", text, cure, study.ended.at, "error")
    infeasible = study.infeasible_since_run
    if len(infeasible) < _ALIKE or counts[TrialState.PRUNED]:
        return None
    failed = counts[TrialState.FAILED]
    what = f"{counts[TrialState.INFEASIBLE]} trials could not run" + (f" and {failed} failed" if failed else "")
    text = f"{what}, none has completed: {infeasible[0].reason}"
    return HealthWarning("no_result", text, cure, infeasible[0].at, "error")


def all_pruned(view: View) -> HealthWarning | None:
    """Every trial that could be judged was pruned, and none that runs has lasted longer: pruned ones come first."""
    pruned = view.counts[TrialState.PRUNED]
    if view.counts[TrialState.COMPLETE] or pruned < _ENOUGH or _outlived(view):
        return None
    text = f"all {pruned} trials that could be judged were pruned: none has completed"
    cure = "give the pruner more steps or trials to start with, or set pruner: none"
    first = next((t.finished_at or "" for t in view.recent if t.state is TrialState.PRUNED), "")
    return HealthWarning("all_pruned", text, cure, first, "error")


def _outlived(view: View) -> bool:
    """Whether a trial that runs has lasted longer than any that was pruned."""
    longest = max((trial.seconds for trial in view.recent if trial.state is TrialState.PRUNED), default=0.0)
    began = [at for trial in view.running if (at := view.opened(trial)) is not None]
    return any((view.now - at).total_seconds() > longest for at in began)


def pruner_without_values(view: View) -> HealthWarning | None:
    """A pruner that no script ever reported a value to."""
    if view.settings.pruner.name == "none" or view.counts[TrialState.PRUNED]:
        return None
    complete = view.complete
    if len(complete) < _ALIKE or any(any(outcome.curves) for trial in complete for outcome in trial.ended):
        return None
    name = view.settings.metrics[0].name
    text = f"the pruner {view.settings.pruner.name} never got a value: no script reported {name} while it ran"
    cure = f"print or report {name} at every epoch, or set pruner: none"
    return HealthWarning("pruner_without_values", text, cure, complete[0].finished_at or "")


def database_locked(view: View) -> HealthWarning | None:
    """Trainings, or the run itself, met a database that others hold locked."""
    told = [each for each in view.study.failures_since_run if "database is locked" in each.reason.lower()]
    where = [f"trial {each.trial}" for each in told[-3:]] or list(view.facts.locked if view.live else ())
    if not where:
        return None
    text = f'"database is locked" in {", ".join(where)}: several processes write one SQLite file'
    cure = "give each trial a database of its own (${trial_dir}), or use a database server"
    return HealthWarning("database_locked", text, cure, told[0].at if told else "")


def short_walltime(view: View) -> HealthWarning | None:
    """Jobs that are shorter than trials, which leave nothing to go on from."""
    sums = view.study.sums
    ended, lost = sums.walltimes, sums.unsaved
    limit, usual = view.facts.walltime, view.usual_trial
    cure = "a longer slurm.time, or trials that save and resume: outlast check --rehearse"
    if lost >= _ALIKE and lost > ended / 2:
        text = f"the walltime ended {lost} attempts that had saved no checkpoint: what they did is done again"
        return HealthWarning("short_walltime", text, cure, sums.unsaved_at or "")
    saves = any(each.saved for trial in view.recent for each in trial.ended)
    if view.live and limit is not None and usual is not None and limit < usual and not saves:
        text = (
            f"a job has {limit / 60:.0f} min, and a trial takes {usual / 60:.0f}: none saves a checkpoint to go on from"
        )
        return HealthWarning("short_walltime", text, cure)
    return None
