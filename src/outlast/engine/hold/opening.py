"""Taking a study in hand for a run or a turn: the lease, the ledger, and the records that it begins or goes on with."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

from outlast._system.clock import utc_now
from outlast._system.files import write_atomic
from outlast._system.syncing import make_dir
from outlast.config.settings import Settings
from outlast.core.fold import Study, seconds_between
from outlast.core.records import Event, RunWentOn
from outlast.core.states import TrialState
from outlast.engine.derived.checkpoints import OWNER, owner_of
from outlast.engine.derived.drawn import is_drawn
from outlast.engine.hold.new_version import (
    keep_study_file,
    opening_events,
    refuse_lost_checkpoints,
    refuse_unaccepted,
    shows_the_same,
    told_of,
)
from outlast.engine.record.examine import read_sound, require_sound
from outlast.errors import StorageError, StudyNotFound, UsageError
from outlast.runner.spec import silent_after
from outlast.study import requests
from outlast.study.attempts import trained_seconds
from outlast.study.folded import keep_folded
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease, current_holder, holder_is_live, rebooted_since
from outlast.study.ledger import Ledger
from outlast.study.opened import Opened
from outlast.study.putting_away import clear_leftovers
from outlast.study.segments import Reading

Given: TypeAlias = Callable[[Study], tuple[Sequence[Event], Sequence[str]]]


@contextmanager
def open_study(
    paths: StudyPaths,
    settings: Settings,
    *,
    accept_changes: bool = False,
    wait: float = 0.0,
    say: Callable[[str], object] | None = None,
    given: Given | None = None,
    slots: int | None = None,
    deadline: str | None = None,
) -> Iterator[Opened]:
    """Take a study in hand for a block; create it or bring its revision up to date; record that a person runs it.

    Args:
        given: What it is given before its first round, and what a person should know about that, from the study as opened.
            It takes its events in itself.
        slots: How many attempts it runs side by side, for whoever looks from outside.
        deadline: When the session ends, likewise.

    Raises:
        StudyBusy: Somebody else runs it.
        UsageError: The study file changes what may not change by itself, or where trials that go on look for their
            checkpoints; nothing of the study was changed. Or see `claim_checkpoints`.
        LedgerDamaged: Decisions are missing; `outlast repair` mends it.
        StorageError: The folder cannot be written.
    """
    claim_checkpoints(paths)
    try:
        lease = Lease(paths.lease)
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or paths.root}: {error.strerror}") from error
    lease.acquire(wait=wait, say=say)
    with lease:
        before, study = read_sound(paths)
        drawn, read = is_drawn(paths, study), study
        keep_folded(paths, before, study)
        refuse_unaccepted(study, settings, accept_changes)
        refuse_lost_checkpoints(paths, study)
        rival = holder_is_live(paths.ledger) is not False and current_holder(paths.ledger).get("pid") != os.getpid()
        doubtful, asked = rebooted_since(current_holder(paths.ledger)), _asked(paths)
        with _claimed(paths, lease, before, study, None if slots is None else {"slots": slots}) as (ledger, study):
            unended = bool(study.runs) and study.ended is None
            opened = Opened(
                ledger, study, not study.revisions, unended or doubtful, unended and rival, asked_before=asked
            )
            drawn = drawn and study is read and not opened.taken_over and shows_the_same(study, settings)
            events = opening_events(study, settings, paths, deadline=deadline)
            ledger.append(events)
            for event in events:
                study.apply(event)
            opened.told += told_of(events)
            if given is not None:
                more, words = given(study)
                if more:
                    ledger.append(more)
                    drawn = False
                opened.told += words
            opened.drawn = drawn
            keep_study_file(paths, study, settings, ledger)
            yield opened


def claim_checkpoints(paths: StudyPaths) -> None:
    """Where `checkpoints.dir` lies elsewhere: write there whose it is, so that no two studies mistake each other's for theirs.

    A study that was moved takes its checkpoints along; a copy does not.

    Raises:
        UsageError: Another study, which is still there, keeps its checkpoints in this folder.
        StorageError: The folder cannot be written.
    """
    root = paths.checkpoints_root
    if root is None:
        return
    try:
        make_dir(root)
        owned = owner_of(root)
        if owned and os.path.realpath(owned) != os.path.realpath(paths.root) and StudyPaths.at(owned).exists:
            fact = f"{root} holds the checkpoints of another study ({owned})"
            raise UsageError(fact, cure="name another checkpoints.dir for this one")
        if owned != str(paths.root):
            write_atomic(root / OWNER, json.dumps({"version": 1, "study": str(paths.root)}))
    except OSError as error:
        raise StorageError(f"checkpoints.dir: cannot write {error.filename or root}: {error.strerror}") from error


@contextmanager
def join_study(paths: StudyPaths, lease: Lease, *, momentary: bool = False) -> Iterator[Opened]:
    """Take in hand, for a block, a study that somebody has begun: nothing about it is changed.

    Args:
        lease: Held; given back at the end.
        momentary: For a turn only, as the ledger says then.

    Raises:
        StudyNotFound: There is no study in this folder.
        LedgerDamaged: Decisions are missing; `outlast repair` mends it.
        LeaseLost: Somebody else took the ledger at the same moment.
    """
    with lease:
        before, study = read_sound(paths)
        keep_folded(paths, before, study)
        if not study.revisions:
            raise StudyNotFound(f"no study in {paths.root}", cure="outlast run STUDY.yaml starts one")
        asked = _asked(paths)
        with _claimed(paths, lease, before, study, {"turn": True} if momentary else None) as (ledger, study):
            yield Opened(ledger, study, elapsed=lasted(paths, study, ledger), asked_before=asked)


def _asked(paths: StudyPaths) -> frozenset[str]:
    return frozenset(request.key for request in requests.pending(paths))


@contextmanager
def _claimed(
    paths: StudyPaths, lease: Lease, before: Reading, study: Study, about: Mapping[str, Any] | None = None
) -> Iterator[tuple[Ledger, Study]]:
    """The ledger, and what it says: what was read before, unless somebody has written since.

    A file that a holder misses, after it was superseded, is one that its successor has moved or removed.
    """
    ledger, reading = Ledger.claim(paths.ledger, about=about, known=before, fence=lease.check)
    with closing(ledger):
        try:
            study = study if reading is before else require_sound(paths, reading)
            clear_leftovers(paths)
            yield ledger, study
        except (OSError, StorageError):
            with contextlib.suppress(OSError, StorageError):  # what went wrong first is what people hear
                ledger.check()
            raise


def lasted(paths: StudyPaths, study: Study, ledger: Ledger) -> float:
    """Seconds that the run goes on already. Hours in which nobody was there to run it are not charged to its budget: they are
    taken out, on record."""
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
