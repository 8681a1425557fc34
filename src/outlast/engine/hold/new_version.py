"""A version of the study file comes into force: what it changes, when that is refused, its records, and the file that is kept."""

from __future__ import annotations

import os
import secrets
from shlex import quote

from outlast._system.clock import utc_now
from outlast._system.files import rename, write_atomic
from outlast._system.reading import read_bytes
from outlast._system.syncing import make_dir
from outlast._version import __version__
from outlast.config.load import to_yaml
from outlast.config.revisions import Difference, compare
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Event, RevisionMade, RunStarted, StudyCreated
from outlast.engine.derived.checkpoints import left_behind
from outlast.engine.hold.membership import refit, told_of
from outlast.errors import UsageError
from outlast.study.home import ran_from
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger


def difference_from_recorded(study: Study, settings: Settings) -> Difference:
    """What a study file changes against the revision in force."""
    revision = study.revision
    return compare(revision.settings if revision else settings.resolved, settings.resolved)


def refuse_unaccepted(study: Study, settings: Settings, accept_changes: bool) -> None:
    """Refuse a version that affects the trials so far, unless that is wanted."""
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


def opening_events(study: Study, settings: Settings, paths: StudyPaths) -> list[Event]:
    """The records of a person running the study with these settings, that of a new study or a new version first."""
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


def keep_study_file(paths: StudyPaths, study: Study, settings: Settings, ledger: Ledger) -> None:
    """Write ``study.yaml`` as it is in force; an earlier version of it is kept in ``revisions/``."""
    text = to_yaml(settings)
    differs = read_bytes(paths.study_file) != text.encode()
    if paths.study_file.exists() and differs and len(study.revisions) > 1:
        make_dir(paths.revisions)
        earlier = paths.revisions / f"{study.revisions[-2].number:04d}.yaml"
        if not earlier.exists():
            rename(paths.study_file, earlier)
    if differs:
        write_atomic(paths.study_file, text, fence=ledger.check)
