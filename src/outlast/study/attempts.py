"""The life of an attempt on disk: opened, claimed by a runner, over, its outcome durable, its files put away.

Order (each step is repeated harmlessly after a crash): ledger line → marker in ``open/`` → ``started.json`` (runner) →
``exit.json`` → outcome in the ledger → the trial's files put away → marker removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from msgspec import Struct

from outlast._system.files import remove, remove_tree, rename_that, stamp_of, write_atomic, write_new, write_once
from outlast._system.locks import is_locked
from outlast._system.observed import see
from outlast._system.processes import Identity, is_running, lock_holders
from outlast._system.reading import read_bytes, read_json
from outlast._system.syncing import make_dir
from outlast.core.evidence import Alive, Evidence
from outlast.core.file_names import AttemptPaths, TrialPaths
from outlast.errors import LeaseLost
from outlast.study.layout import StudyPaths
from outlast.study.segments import TAKEN_OVER

_DIES_WITHIN = 5.0  # seconds after SIGKILL


class Life(Enum):
    """How far an attempt got, as far as this host can tell."""

    UNCLAIMED = "unclaimed"
    RUNNING = "running"
    ELSEWHERE = "elsewhere"  # claimed on another host: only its heartbeat tells
    GONE = "gone"  # claimed, not over, and its runner certainly dead
    OVER = "over"


class Status(Struct, frozen=True):
    """What an attempt's folder says."""

    life: Life
    evidence: Evidence | None = None
    runner: Identity | None = None
    heartbeat: bytes = b""
    reason: str = ""  # of GONE


def open_attempt(
    paths: StudyPaths, trial: int, attempt: int, marker: str, files: Mapping[str, str], *, polled: bool = True
) -> None:
    """Lay out an attempt whose ledger line is durable; with the marker, the last file, it can be claimed.

    Args:
        attempt: The first of a trial is 1.
        marker: What the runner is told, JSON.
        files: Those that the script may read, name → content. (Nobody can look at them before the marker is there.)
        polled: Whether other hosts may look at the attempt. Here a file is seen when it is made.
    """
    files_of = paths.attempt(trial, attempt)
    folder = files_of.folder
    if attempt > 1:
        _take_out(paths.trial(trial), attempt)
    _make_folder(paths.trial(trial), folder)  # the runner makes it last, once there is something in it that should
    for name, content in files.items():
        write_new(folder / name, content)
    if polled:
        for looked_at in (files_of.alive, files_of.reports, files_of.asked):  # a new file would be seen late
            looked_at.touch()
    marked = paths.open_marker(trial, attempt)
    try:
        write_atomic(marked, marker, durable=False)  # lost with the power: never started
    except FileNotFoundError:
        make_dir(paths.open)
        write_atomic(marked, marker, durable=False)


def _make_folder(trial: TrialPaths, attempt: Path) -> None:
    try:
        for each in (trial.folder, trial.attempts, attempt):
            see("mkdir", os.fspath(each))
            with contextlib.suppress(FileExistsError):
                os.mkdir(each)
    except FileNotFoundError:  # the study's first
        make_dir(attempt, durable=False)


def _take_out(paths: TrialPaths, attempt: int) -> None:
    """Of a trial that was put away and goes on: what it printed and reported joins the attempts, and is put away with them.

    Not what a successor of ours has put away since, if we were stopped before or during this: this attempt is behind it then.
    """
    earlier = paths.earlier
    places = (paths.log, earlier.log), (paths.reports, earlier.reports)
    found = [(left, taken, stamp_of(left)) for left, taken in places]
    record = read_json(paths.record)
    if not isinstance(record, dict) or _tells_of(record, attempt):
        return

    def fence() -> None:
        if _tells_of(read_json(paths.record), attempt):
            raise LeaseLost(TAKEN_OVER)

    make_dir(earlier.folder, durable=False)
    for left, taken, stamp in found:
        try:
            if stamp is not None and not rename_that(left, taken, stamp, fence=fence, durable=False):
                return  # somebody else is at it
        except LeaseLost:
            return
    if record.get("reports") and not earlier.reports.exists():  # it had failed
        write_atomic(earlier.reports, "".join(f"{line}\n" for line in record["reports"]), durable=False)


def _tells_of(record: Any, attempt: int) -> bool:
    """Whether a finished trial's record knows this attempt: it was put away after that."""
    return isinstance(record, dict) and any(
        isinstance(event, dict) and event.get("attempt", 0) >= attempt for event in record.get("events", ())
    )


def inspect(attempt: AttemptPaths) -> Status:
    """What is known of an attempt. Changes nothing."""
    evidence = read_json(attempt.exit)
    if isinstance(evidence, dict):
        return Status(Life.OVER, Evidence.from_json(evidence))
    claim = read_json(attempt.started)
    if not isinstance(claim, dict):
        claim = Alive.read(read_bytes(attempt.alive)).claim
    if claim is None:
        return _without_claim(attempt)
    if claim.get("void"):
        return Status(Life.OVER, Evidence(never_started=True))
    runner = Identity.from_json(claim)
    if not runner.here:
        return _elsewhere(attempt, runner)
    if not _same_file(attempt.alive, claim.get("alive")):
        return Status(Life.GONE, runner=runner, reason="this folder is a copy; its runner works for the original")
    if is_running(runner):
        return Status(Life.RUNNING, runner=runner)
    # It may have written its evidence between our first look and its end.
    evidence = read_json(attempt.exit)
    if isinstance(evidence, dict):
        return Status(Life.OVER, Evidence.from_json(evidence))
    return Status(Life.GONE, runner=runner, reason="its runner died" + last_words(attempt))


def _elsewhere(attempt: AttemptPaths, runner: Identity) -> Status:
    alive = Alive.read(read_bytes(attempt.alive))
    if alive.evidence is not None:
        return Status(Life.OVER, Evidence.from_json(alive.evidence))
    return Status(Life.ELSEWHERE, runner=runner, heartbeat=alive.beat)


def _without_claim(attempt: AttemptPaths) -> Status:
    """No claim, or an unreadable one: a claim appears whole, so that one was cut off by a power loss (no runner lives then)."""
    if read_bytes(attempt.started) is None or is_locked(str(attempt.alive)):
        return Status(Life.UNCLAIMED)
    if isinstance(read_json(attempt.started), dict):
        return Status(Life.UNCLAIMED)
    return Status(Life.GONE, reason="its claim was lost with the power")


def last_words(attempt: AttemptPaths) -> str:
    """The last line that a runner said before it died, behind a colon; empty if it said nothing."""
    lines = (read_bytes(attempt.runner_log) or b"").decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def _same_file(path: Any, recorded: Any) -> bool:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return False
    return bool([status.st_dev, status.st_ino] == recorded)


def void_start(attempt: AttemptPaths) -> bool:
    """Claim an attempt that no runner has claimed, so that a late one finds it taken. Returns whether that held."""
    tries = 3
    while True:
        try:
            make_dir(attempt.folder)
            return write_once(attempt.started, json.dumps({"version": 1, "void": True}))
        except FileNotFoundError:  # a holder that was superseded withdraws it just now, folder and all
            tries -= 1
            if not tries:
                raise


def end_tree(attempt: AttemptPaths, token: str) -> list[int]:
    """End whatever of the attempt's process tree still lives on this host. Returns the pids that would not go."""
    return end_holders(str(attempt.alive), token)


def end_holders(path: str, token: str, fence: Callable[[], object] = lambda: None) -> list[int]:
    """End every process of this host that carries a token, or holds the lock on a file. Returns the pids that would not go.

    `fence` as of `end_processes`.
    """
    from outlast._system.tokens import end_processes  # who only looks ends nobody

    stuck = end_processes(token, fence=fence)
    if not stuck and is_locked(path):
        holders = lock_holders(path)
        fence()
        for pid in holders:  # descendants that took the token off
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _DIES_WITHIN
        while (locked := is_locked(path)) and time.monotonic() < deadline:
            time.sleep(0.005)
        return [-1] if locked else []
    return stuck


def give_up(attempt: AttemptPaths, reason: str, host: str = "") -> Evidence:
    """Write the evidence of an attempt whose runner cannot. Whoever wrote first is believed."""
    lost = Evidence(
        lost=reason, host=host, new_steps=bool(read_bytes(attempt.reports)), seconds=trained_seconds(attempt)
    )
    elsewhere = inspect(attempt).life is Life.ELSEWHERE
    try:
        created = write_once(attempt.exit, json.dumps(lost.to_json()))
    except FileNotFoundError:
        return lost  # it was put away meanwhile: somebody has decided about it
    if created:
        if elsewhere:  # its runner may live after all: it reads this file, and could see the other one too late
            write_atomic(attempt.asked, json.dumps({"version": 1, "given_up": True}))
        return lost
    found = inspect(attempt).evidence
    return lost if found is None else found


def trained_seconds(attempt: AttemptPaths) -> float:
    """How long an attempt had trained at its runner's last heartbeat, by the runner's own clock; 0 before the first."""
    words = (read_bytes(attempt.alive) or b"").split()
    try:
        return float(words[1])
    except (IndexError, ValueError):  # of an earlier version
        return 0.0


def ask_to_end(attempt: AttemptPaths, reason: str, *, grace: float, now: bool = False, step: int | None = None) -> None:
    """Ask an attempt to stop. Asking again with `now` ends it at once. One that was pruned stays so, whoever asks next.

    The `reason` is ``pruned``, ``user``, …; it may take `grace` seconds. `step` is the report at which the pruner gave it up:
    whoever takes the study over knows it from here.
    """
    at = {} if step is None else {"step": step}
    asked = read_json(attempt.asked)
    if isinstance(asked, dict) and asked.get("reason") == "pruned" != reason:
        reason, at = "pruned", {key: asked[key] for key in ("step",) if key in asked}
    with contextlib.suppress(FileNotFoundError):  # it was put away
        text = json.dumps({"version": 1, "reason": reason, "grace": grace, "now": now, **at})
        write_atomic(attempt.asked, text, durable=False)
        write_atomic(attempt.stop, text)


def withdraw(paths: StudyPaths, trial: int, attempt: int) -> None:
    """Take back an attempt that was laid out after the right to had gone, unless the new holder has dealt with it."""
    remove(paths.open_marker(trial, attempt))
    files = paths.attempt(trial, attempt)
    if files.folder.is_dir() and not files.started.exists():
        remove_tree(files.folder)
        put_away = _tells_of(read_json(paths.trial(trial).record), attempt)
        # Of a trial that was put away, `earlier` is what nothing was taken out to; the attempts' folder held ours only.
        for folder in (*([paths.trial(trial).earlier.folder] if put_away else []), files.folder.parent):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def close_attempt(paths: StudyPaths, trial: int, attempt: int) -> None:
    """Remove the marker: the attempt's outcome is durable and its files are where they belong.

    One that comes back with the power is removed again.
    """
    remove(paths.open_marker(trial, attempt), durable=False)
