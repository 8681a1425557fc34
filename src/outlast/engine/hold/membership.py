"""Which trials belong to a new version of the study file: those that do not are left out, and come back when they do again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event, RevisionMade, Trial, TrialFits
from outlast.core.states import Cause, TrialState
from outlast.errors import StudyFileError
from outlast.space.space import Space


def refit(study: Study, settings: Settings, now: str) -> list[Event]:
    """What a new version of the study file makes of the trials so far: those that it does not hold are left out, as failed
    rows that nothing counts; those that an earlier version did not hold, and this one does, are back.

    Args:
        study: The folded ledger, with the version in force up to now.
        settings: The new version.
        now: Time for the records.
    """
    space = Space.from_parameters(settings.parameters, settings.constraints)
    names = [metric.name for metric in settings.metrics]
    constants: dict[int, dict[str, Any]] = {}
    events: list[Event] = []
    for trial in study.trials.values():
        left_out = trial.cause is Cause.SPACE_CHANGED
        if trial.distributions or (trial.state is TrialState.FAILED and not left_out):
            continue
        if trial.revision not in constants:
            constants[trial.revision] = _constants(study, trial.revision)
        own = _missing(trial, space, constants[trial.revision])
        measured = _measured_by(study, trial)
        why = "it was measured by another metric" if measured not in (None, names) else None
        why = why or space.fits({**trial.params, **own})
        if why is None and (left_out or own):
            events.append(TrialFits(trial.number, now, left_out, own))
        elif why is not None and not left_out:
            events.append(_ruled_out(trial, now, why))
    return events


def told_of(events: Sequence[Event]) -> list[str]:
    """What a person should know of it, a line each."""
    out = [event for event in events if isinstance(event, AttemptEnded)]
    back = [event for event in events if isinstance(event, TrialFits) and event.back]
    lines = []
    if out:
        which = f"trial {out[0].trial} does" if len(out) == 1 else f"{len(out)} trials do"
        lines.append(
            f"{which} not fit the study file any more and {'is' if len(out) == 1 else 'are'} left out until a later one "
            f"holds {'it' if len(out) == 1 else 'them'} again; the first, trial {out[0].trial}: "
            f"{out[0].reason.partition(': ')[2]}"
        )
    if back:
        lines.append(
            f"trial {back[0].trial} fits the study file" if len(back) == 1 else f"{len(back)} trials fit the study file"
        )
        lines[-1] += f" {'and counts' if len(back) == 1 else 'and count'} again"
    return lines


def _constants(study: Study, number: int) -> dict[str, Any]:
    """What every trial of a version had in common, as far as its study file can still be read."""
    recorded = next((r.settings for r in study.revisions if r.number == number), {})
    try:
        parameters = settings_from_resolved({**recorded, "budget": {"trials": 1}}, ".").parameters
    except StudyFileError:
        return {}
    return Space.from_parameters(parameters).constants


def _missing(trial: Trial, space: Space, constants: Mapping[str, Any]) -> dict[str, Any]:
    """Values that the trial does not have on record because they were constants then, and are searched over now."""
    wanted = {parameter.name for parameter in space.sampled} - set(trial.params)
    known = {name: value for name, value in constants.items() if name in wanted}
    active = {parameter.name for parameter in space.active({**trial.params, **known})}
    return {name: value for name, value in known.items() if name in active}


def _measured_by(study: Study, trial: Trial) -> list[object] | None:
    """The names of the metrics that the trial's results are of; ``None`` while it has none."""
    last = trial.ruled_out.outcome if trial.ruled_out is not None else trial.last
    if last is None or last.cause is Cause.NEVER_STARTED:
        return None
    in_force = [r for r in study.revisions if r.at <= last.at and r.number >= trial.revision]
    revision = in_force[-1] if in_force else next((r for r in study.revisions if r.number == trial.revision), None)
    return None if revision is None else _names(revision)


def _names(revision: RevisionMade) -> list[object]:
    metric = revision.settings.get("metric")
    many: Sequence[object] = metric if isinstance(metric, list) else [metric]
    return [m.get("name") if isinstance(m, dict) else m for m in many]


def _ruled_out(trial: Trial, now: str, why: str) -> AttemptEnded:
    attempt = trial.attempts[-1].number if trial.attempts else 0
    reason = f"does not fit the new study file: {why}"
    return AttemptEnded(trial.number, attempt, now, TrialState.FAILED, Cause.SPACE_CHANGED, reason, seconds=0.0)
