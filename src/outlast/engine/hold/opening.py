"""Taking a study in hand: the lease, the ledger, a new study's first records, a changed study file, what was left running."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from shlex import quote

from outlast._system import make_dir, read_bytes, rename, utc_now, write_atomic
from outlast._version import __version__
from outlast.config.load import to_yaml
from outlast.config.revisions import Difference, compare
from outlast.config.settings import Settings
from outlast.core.fold import Study, seconds_between
from outlast.core.records import Event, RevisionMade, RunStarted, RunWentOn, StudyCreated
from outlast.core.states import TrialState
from outlast.engine.derived.checkpoints import left_behind
from outlast.engine.hold.membership import refit, told_of
from outlast.engine.record.examine import read_sound, require_sound
from outlast.errors import StorageError, StudyNotFound, UsageError
from outlast.runner.spec import silent_after
from outlast.study.attempts import trained_seconds
from outlast.study.home import ran_from
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease, current_holder, holder_is_live, rebooted_since
from outlast.study.ledger import Ledger
from outlast.study.leftovers import clear_leftovers
from outlast.study.opened import Opened

__all__ = [
    "difference_from_recorded",
    "join_study",
    "open_study",
]


def difference_from_recorded(study: Study, settings: Settings) -> Difference:
    """What a study file changes against the revision in force."""
    revision = study.revision
    return compare(revision.settings if revision else settings.resolved, settings.resolved)


def open_study(
    paths: StudyPaths,
    settings: Settings,
    *,
    accept_changes: bool = False,
    wait: float = 0.0,
    say: Callable[[str], object] | None = None,
) -> Opened:
    """Take the lease and the ledger; create the study or bring its revision up to date; record that a person runs it.

    Raises:
        StudyBusy: Somebody else runs it.
        UsageError: The study file changes what may not change by itself, or where trials that go on look for their
            checkpoints; nothing of the study was changed.
        LedgerDamaged: Decisions are missing; `outlast repair` mends it.
        StorageError: The folder cannot be written.
    """
    try:
        lease = Lease(paths.lease)
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or paths.root}: {error.strerror}") from error
    lease.acquire(wait=wait, say=say)
    try:
        before, study = read_sound(paths)
        _refuse_unaccepted(study, settings, accept_changes)
        _refuse_lost_checkpoints(paths, study)
        rival = holder_is_live(paths.ledger) is not False and current_holder(paths.ledger).get("pid") != os.getpid()
        doubtful = rebooted_since(current_holder(paths.ledger))
        ledger, reading = Ledger.claim(paths.ledger, known=before)
        study = study if reading is before else require_sound(paths, reading)
        clear_leftovers(paths)
        unended = bool(study.runs) and study.ended is None
        opened = Opened(lease, ledger, study, not study.revisions, unended or doubtful, rivalled=unended and rival)
        events = _opening_events(study, settings, paths)
        ledger.append(events)
        for event in events:
            study.apply(event)
        opened.told += told_of(events)
        _write_study_file(paths, study, settings, ledger)
    except BaseException:
        lease.release()
        raise
    return opened


def join_study(paths: StudyPaths, lease: Lease, *, momentary: bool = False) -> Opened:
    """Take the ledger of a study that somebody has begun, to coordinate it for a moment: nothing about it is changed.

    Hours in which nobody was there to run it are not charged to its budget.

    Args:
        paths: Its files.
        lease: Held by the caller, who gives it back.
        momentary: For a turn only, as the ledger says then.

    Raises:
        StudyNotFound: There is no study in this folder.
        LedgerDamaged: Decisions are missing; `outlast repair` mends it.
        LeaseLost: Somebody else took the ledger at the same moment.
    """
    before, study = read_sound(paths)
    if not study.revisions:
        raise StudyNotFound(f"no study in {paths.root}", cure="outlast run STUDY.yaml starts one")
    ledger, reading = Ledger.claim(paths.ledger, about={"turn": True} if momentary else None, known=before)
    study = study if reading is before else require_sound(paths, reading)
    try:
        clear_leftovers(paths)
        lasted = _lasted(paths, study, ledger)
    except BaseException:
        ledger.close()
        raise
    return Opened(lease, ledger, study, new=False, elapsed=lasted)


def _lasted(paths: StudyPaths, study: Study, ledger: Ledger) -> float:
    """Seconds that the run goes on already; hours in which nobody was there are taken out, on record."""
    if study.ended is not None or study.last_run is None:
        return 0.0
    now = utc_now()
    lasted = seconds_between(study.running_since, now)
    if seconds_between(study.last_at, now) <= silent_after():  # no heartbeat needs to be read for that
        return lasted
    attended = _attended(paths, study)
    if lasted - attended <= silent_after():
        return lasted
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


def _refuse_unaccepted(study: Study, settings: Settings, accept_changes: bool) -> None:
    if not study.revisions or accept_changes:
        return
    changed = difference_from_recorded(study, settings).needs_acceptance
    if changed:
        would = [f"with it, {line}" for line in told_of(refit(study, settings, ""))]
        shown = "\n".join(f"    {line}" for line in (*changed, *would))
        raise UsageError(
            f"the study file has changed in a way that affects the trials so far:\n{shown}",
            cure="--accept-changes goes on under a new revision; --fresh sets the study aside and starts anew; "
            "another --dir keeps both",
        )


def _refuse_lost_checkpoints(paths: StudyPaths, study: Study) -> None:
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


def _opening_events(study: Study, settings: Settings, paths: StudyPaths) -> list[Event]:
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
                events += refit(study, settings, now)
    where = os.path.relpath(settings.working_directory, paths.root)
    events.append(RunStarted(now, os.uname().nodename, os.getpid(), settings.budget.trials, where))
    return events


def _write_study_file(paths: StudyPaths, study: Study, settings: Settings, ledger: Ledger) -> None:
    text = to_yaml(settings)
    differs = read_bytes(paths.study_file) != text.encode()
    if paths.study_file.exists() and differs and len(study.revisions) > 1:
        make_dir(paths.revisions)
        earlier = paths.revisions / f"{study.revisions[-2].number:04d}.yaml"
        if not earlier.exists():
            rename(paths.study_file, earlier)
    if differs:
        write_atomic(paths.study_file, text, fence=ledger.check)
