"""A version of the study file comes into force: what it changes, which trials it holds, when it is refused, its records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from outlast._system.clock import utc_now
from outlast._system.files import write_atomic, write_once
from outlast._system.reading import read_bytes
from outlast._system.syncing import make_dir
from outlast._version import __version__
from outlast.config.load import resolved_to_yaml, settings_from_resolved, to_yaml
from outlast.config.revisions import Difference, compare
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event, RevisionMade, RunStarted, StudyCreated, Trial, TrialFits
from outlast.core.states import Cause, TrialState
from outlast.engine.derived.checkpoints import left_behind
from outlast.errors import StudyFileError, UsageError
from outlast.space.space import Space
from outlast.study.home import ran_from
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger

_HOW_MANY = ("budget.", "parallel:")  # keys that no row of a trial depends on


def difference_from_recorded(study: Study, settings: Settings) -> Difference:
    """What a study file changes against the revision in force."""
    revision = study.revision
    return compare(revision.settings if revision else settings.resolved, settings.resolved)


def shows_the_same(study: Study, settings: Settings) -> bool:
    """Whether index and tables show the trials so far as they did: this version changes how many there may be, at most."""
    changed = difference_from_recorded(study, settings)
    return not changed.needs_acceptance and all(line.startswith(_HOW_MANY) for line in changed.run_settings)


def refuse_unaccepted(study: Study, settings: Settings, accept_changes: bool) -> None:
    """Refuse a version that affects the trials so far, unless that is wanted."""
    if not study.revisions or accept_changes:
        return
    changed = difference_from_recorded(study, settings).needs_acceptance
    if changed:
        would = [f"with it, {line}" for line in told_of(fitted_anew(study, settings, ""))]
        shown = "\n".join(f"    {line}" for line in (*changed, *would))
        raise UsageError(
            f"the study file has changed in a way that affects the trials so far:\n{shown}",
            cure="--accept-changes goes on under a new revision; --fresh sets the study aside and starts anew; "
            "another --dir keeps both",
        )


def refuse_lost_checkpoints(paths: StudyPaths, study: Study) -> None:
    """Refuse another `checkpoints.dir`, or another name below it, while trials that go on have checkpoints in the old one."""
    if study.revision is None or study.last_run is None:
        return
    recorded = study.revision.settings
    root = (recorded.get("checkpoints") or {}).get("dir")
    if root is not None:
        where = os.path.join(ran_from(paths), study.last_run.working_directory)
        root = os.path.normpath(os.path.join(where, root, str(recorded.get("name"))))
    left = left_behind(paths, root, study)
    if left:
        moves = "\n".join(f"    mv -T {quote(str(there))} {quote(str(here))}" for there, here in left[:3])
        more = f"\n    and {len(left) - 3} more" if len(left) > 3 else ""
        trials = f"{len(left)} trial{'' if len(left) == 1 else 's'} without an outcome"
        (there, here), *_ = left
        raise UsageError(
            f"checkpoints are looked for in {here.parent} now, but those of {trials} lie in {there.parent}",
            cure="leave checkpoints.dir as it was, or move them, so that these trials do not start over; "
            f"then the same command goes on:\n{moves}{more}",
        )


def opening_events(study: Study, settings: Settings, paths: StudyPaths, *, deadline: str | None = None) -> list[Event]:
    """The records of a person running the study with these settings, that of a new study or a new version first.

    `deadline`: when the session ends.
    """
    now = utc_now()
    events: list[Event] = []
    if not study.revisions:
        seed = settings.sampler.seed if settings.sampler.seed is not None else secrets.randbelow(2**31)
        events.append(StudyCreated(settings.name, now, __version__, seed))
        events.append(RevisionMade(1, now, settings.resolved))
    else:
        difference = difference_from_recorded(study, settings)
        changes = [*difference.needs_acceptance, *difference.run_settings]
        if changes:
            number = study.revisions[-1].number + 1
            events.append(RevisionMade(number, now, settings.resolved, tuple(changes)))
            if difference.needs_acceptance:
                events += fitted_anew(study, settings, now)
    where = os.path.relpath(settings.working_directory, paths.root)
    events.append(RunStarted(now, os.uname().nodename, os.getpid(), settings.budget.trials, where, deadline))
    return events


def keep_study_file(paths: StudyPaths, study: Study, settings: Settings, ledger: Ledger) -> None:
    """Write ``study.yaml`` as it is in force; each earlier version is kept in ``revisions/``, as the ledger has it: of one that
    was recorded somebody may have died before it was written."""
    for earlier in study.revisions[:-1]:
        kept = paths.revisions / f"{earlier.number:04d}.yaml"
        if not kept.exists():
            make_dir(paths.revisions)
            write_once(kept, resolved_to_yaml(earlier.settings), fence=ledger.check)
    text = to_yaml(settings).encode()
    if read_bytes(paths.study_file) != text:
        write_atomic(paths.study_file, text, fence=ledger.check)


def fitted_anew(study: Study, settings: Settings, now: str) -> list[Event]:
    """What a new version of the study file makes of the trials so far: those that it does not hold are left out, as failed
    rows that nothing counts; those that an earlier version did not hold, and this one does, are back.

    Args:
        study: The folded ledger, with the version in force up to now.
        settings: The new version.
        now: Time for the records.
    """
    space = Space.from_parameters(settings.parameters, settings.constraints)
    names, searched = [metric.name for metric in settings.metrics], {parameter.name for parameter in space.sampled}
    constants: dict[int, dict[str, Any]] = {}
    events: list[Event] = []
    for trial in study.trials.values():
        if trial.of is not None:  # it repeats a trial of a search, whatever may be searched there by now
            continue
        left_out = trial.cause is Cause.SPACE_CHANGED
        if trial.distributions or (trial.state is TrialState.FAILED and not left_out):
            continue
        if trial.revision not in constants:
            known = _constants(study, trial.revision)
            constants[trial.revision] = {name: value for name, value in known.items() if name in searched}
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
        one = f"trial {back[0].trial} fits the study file and counts again"
        lines.append(one if len(back) == 1 else f"{len(back)} trials fit the study file and count again")
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
    """Those of the `constants` of then that are searched over now, and that the trial does not have on record."""
    known = {name: value for name, value in constants.items() if name not in trial.params}
    if not known:
        return {}
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
