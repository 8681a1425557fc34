"""`stop` where a supervisor looks after what is to stop: it is told first, so that nothing is begun again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from outlast._system.processes import Identity
from outlast.engine.care.stop import stop_study
from outlast.engine.record.examine import read_study
from outlast.errors import OutlastError
from outlast.study import requests
from outlast.study.campaign import CampaignPaths, campaigns_of, member_folders
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder
from outlast.study.supervision import Charge, Supervision, live_supervision

_WITHIN = 10.0  # seconds for the supervisor to see one


def stop_campaign(folder: str, *, drain: bool = False, now: bool = False) -> list[str]:
    """Ask every study of a campaign to stop, and whoever supervises it. Returns what happened, for the person."""
    found = live_supervision(CampaignPaths.at(folder).supervisor)
    if found is not None and not drain and _told(found, now=now):
        how = "the running trials are ended now" if now else "each study has its grace"
        return [f"all of it is stopping: {how} (supervisor: pid {found.process.pid}); outlast status {folder}"]
    if found is not None and _signal(found, signal.SIGUSR1):
        _await(found, _begins_no_more, CampaignPaths.at(folder).supervisor)
    return [f"{each}: {_stopped(live_of(each), drain=drain, now=now)}" for each in member_folders(folder)]


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
    elif trial is None and (charge := _charge_of(folder)) is not None:
        if charge.condition == "waiting":
            requests.drop(StudyPaths.at(charge.folder), "stop", drain=drain, now=now)
            then = "what still trains of it may finish" if drain else "what still trains of it is asked to stop"
            return f"it is not begun again, and {then}; outlast run {folder} goes on"
        if not drain and _opens(charge) and _sent(charge.process):
            requests.drop(StudyPaths.at(charge.folder), "stop", now=now)
            return f"the search is stopping; outlast status {folder}"
    return stop_study(folder, drain=drain, now=now, trial=trial, say=say)


def _told(found: Supervision, *, now: bool) -> bool:
    """Ask a supervisor of this host to stop all that it looks after. Returns whether that could be done."""
    return _signal(found, signal.SIGUSR2 if now else signal.SIGINT)


def _signal(found: Supervision, number: int) -> bool:
    return _sent(found.process, number)


def _sent(process: Identity | None, number: int = signal.SIGINT) -> bool:
    if process is None or not process.here:
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, number)
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


def _begins_no_more(charge: Charge) -> bool:
    """Whether nobody is about to begin it, nor to open it: a request is heard by whoever has it in hand."""
    return charge.condition not in ("starting", "waiting") and not _opens(charge)


def _opens(charge: Charge) -> bool:
    """Whether its coordinator was begun, and has not taken it in hand yet: it throws a request away that is older."""
    if charge.condition != "running" or _holds(charge):
        return False
    try:
        ended = read_study(StudyPaths.at(charge.folder)).ended
    except OutlastError:
        return False
    return ended is None or ended.at < charge.since


def _holds(charge: Charge) -> bool:
    holder = current_holder(StudyPaths.at(charge.folder).ledger)
    return charge.process is not None and holder.get("pid") == charge.process.pid


def _charge_of(folder: str) -> Charge | None:
    """This study, as the supervisor of a campaign that it belongs to sees it."""
    root = os.path.realpath(live_of(folder))
    for place, _ in campaigns_of(folder):
        found = live_supervision(CampaignPaths.at(place).supervisor)
        for each in () if found is None else found.charges:
            if os.path.realpath(live_of(each.folder)) == root:
                return each
    return None
