"""`stop` where a supervisor looks after what is to stop: it is told first, so that nothing is begun again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from outlast.engine.care.stop import stop_study
from outlast.errors import OutlastError
from outlast.study import requests
from outlast.study.campaign import CampaignPaths, member_folders
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Charge, Supervision, live_supervision

_BETWEEN = 0.5  # seconds from the first signal to the second
_WITHIN = 10.0  # seconds for the supervisor to see one


def stop_campaign(folder: str, *, drain: bool = False, now: bool = False) -> list[str]:
    """Ask every study of a campaign to stop, and whoever supervises it. Returns what happened, for the person."""
    found = live_supervision(CampaignPaths.at(folder).supervisor)
    if found is not None and not drain and _told(found, now=now):
        how = "the running trials are ended now" if now else "each study has its grace"
        return [f"all of it is stopping: {how} (supervisor: pid {found.process.pid}); outlast status {folder}"]
    if found is not None and _signal(found, signal.SIGUSR1):
        _await(found, lambda charge: charge.condition != "waiting", CampaignPaths.at(folder).supervisor)
    return [f"{each}: {_stopped(each, drain=drain, now=now)}" for each in member_folders(folder)]


def stop_one(
    folder: str,
    *,
    drain: bool = False,
    now: bool = False,
    trial: int | None = None,
    say: Callable[[str], object] = print,
) -> str:
    """`stop_study`, and no restart behind it. Returns what happened, for the person.

    Raises:
        StudyNotFound, UsageError: See `stop_study`.
    """
    alone = None if trial is not None else live_supervision(StudyPaths.at(folder).supervisor)
    if alone is not None and not drain and _told(alone, now=now):
        return f"the search is stopping; outlast status {folder}"
    if alone is not None:
        _signal(alone, signal.SIGUSR1)
    elif trial is None and _waits_for_its_restart(folder):
        requests.drop(StudyPaths.at(folder), "stop")
        return f"it is not begun again; outlast run {folder} goes on"
    return stop_study(folder, drain=drain, now=now, trial=trial, say=say)


def _told(found: Supervision, *, now: bool) -> bool:
    """Ask a supervisor of this host to stop all that it looks after. Returns whether that could be done."""
    if not _signal(found, signal.SIGTERM):
        return False
    if now:
        time.sleep(_BETWEEN)
        _signal(found, signal.SIGTERM)
    return True


def _signal(found: Supervision, number: int) -> bool:
    if not found.process.here:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(found.process.pid, number)
        return True
    return False


def _await(found: Supervision, fact: Callable[[Charge], bool], record: Path) -> None:
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline and not all(map(fact, found.charges)):
        time.sleep(0.05)
        found = live_supervision(record) or found


def _stopped(folder: str, *, drain: bool, now: bool) -> str:
    try:
        return stop_study(folder, drain=drain, now=now)
    except OutlastError as error:
        return error.fact


def _waits_for_its_restart(folder: str) -> bool:
    """Whether a campaign's supervisor is about to begin this study again."""
    root = Path(os.path.realpath(folder))
    for record in (CampaignPaths.at(root.parent), *map(CampaignPaths.at, sorted(root.parent.glob("*")))):
        found = live_supervision(record.supervisor) if record.campaign.is_file() else None
        for each in () if found is None else found.charges:
            if each.condition == "waiting" and os.path.realpath(each.folder) == str(root):
                return True
    return False
