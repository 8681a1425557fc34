"""Putting away a finished trial: its record, output, and reports or what went wrong. And what interrupted writers left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from outlast._system.capped_log import copy_log, parts_of
from outlast._system.files import (
    appear,
    remove,
    remove_temporaries,
    remove_tree,
    rename,
    rename_that,
    stamp_of,
    write_atomic,
)
from outlast._system.observed import see
from outlast._system.processes import identity_of
from outlast._system.reading import list_names, read_bytes
from outlast._system.syncing import make_dir
from outlast.core.evidence import Evidence
from outlast.core.file_names import AttemptPaths, TrialPaths
from outlast.core.records import Trial, to_json
from outlast.core.states import TrialState
from outlast.core.symptoms import told_story
from outlast.study.attempts import inspect
from outlast.study.layout import StudyPaths

_INDEX_IN_THE_MAKING = re.compile(r"^\.study\.db\.\d+\.[0-9a-f]+\.new")
_LEASE_IN_TRANSIT = re.compile(r"^lease\.(?:break|restore)\.(\d+)\.[0-9a-f]+$")
_REQUEST_FORGOTTEN_S = 3600.0
_LOG_BYTES = 64 * 2**20  # of a finished trial's output, all attempts together
_OFTEN = 8  # times that another may be ahead by one step


def put_away(
    paths: TrialPaths, trial: Trial, *, config: Any = None, evidence: Evidence | None = None,
    fence: Callable[[], object] = lambda: None,
) -> None:  # fmt: skip
    """Bring a finished trial's files into their final form: ``trial.json``, ``output.log``, ``reports.jsonl``;
    beside them the job script, where the trial had one.

    They tell of all attempts, also of those before a retry.
    A failed trial has an ``error.log`` instead of ``reports.jsonl``; its reports are in ``trial.json``. Repeating it is harmless,
    and so are two at once: a coordinator that was stopped while it did this does not know who did it meanwhile.
    Nothing waits for the disk: the ledger has the outcome, and what a power loss undoes is done again (`is_untidy`).

    Args:
        config: What the training was configured with, where no attempt's folder says it any more.
        evidence: Of the last attempt, where its folder need not say it.
        fence: Raises where somebody else decides by now, under whom the trial may have been retried and run again. Asked
            before what was read is written, and before the attempts go.
    """
    for _ in range(_OFTEN):
        with contextlib.suppress(FileNotFoundError):  # another moved it first: what is left to do?
            _put_away(paths, trial, config, evidence, fence)
            return
        fence()
    _put_away(paths, trial, config, evidence, fence)


def _put_away(
    paths: TrialPaths, trial: Trial, config: Any, evidence: Evidence | None, fence: Callable[[], object]
) -> None:
    stamp = stamp_of(paths.attempts)
    attempts = [] if evidence is None or evidence.lost else _only_attempt(paths, trial)
    has_folder = bool(attempts) or _begin(paths)  # whoever brings its evidence is the first here
    if has_folder and not attempts:
        attempts = _attempts_left(paths, trial)
    if attempts:
        _put_attempts_in_place(paths, trial, attempts, config, evidence, fence)
        if rename_that(paths.attempts, paths.gone_attempts, stamp, fence=fence, durable=False):
            _remove_attempts(paths, attempts)
    else:
        if not is_whole(paths.record):
            write_atomic(paths.record, _record(trial, (), config, b""), durable=False)
        if has_folder:
            fence()
            remove_tree(paths.attempts)  # its entries were lost with the power
    _remove_where_empty(paths.checkpoints)


def _put_attempts_in_place(
    paths: TrialPaths, trial: Trial, attempts: Sequence[_Left], config: Any, evidence: Evidence | None,
    fence: Callable[[], object],
) -> None:  # fmt: skip
    failed, reports = trial.state is TrialState.FAILED, b""
    alone = (
        attempts[0] if len(attempts) == 1 and not failed and trial.part_of(attempts[0].paths.number) is None else None
    )
    if alone is None:
        reports = b"".join(
            of_part(read_bytes(each.paths.reports) or b"", trial.part_of(each.paths.number)) for each in attempts
        )

    def all_there() -> None:
        """What was read of them is all of it: nobody has taken them away meanwhile."""
        os.stat(paths.attempts)
        fence()

    def write(path: Path, content: bytes | str) -> None:
        write_atomic(path, content, durable=False, fence=all_there)

    write(paths.record, _record(trial, attempts, config, reports if failed else b""))
    _gather_log(paths, attempts, all_there)
    scripts = [left.paths.script for left in attempts if AttemptPaths.script.name in left.names]
    if scripts:
        rename(scripts[-1], paths.script, durable=False)
    if failed:
        write(paths.error_log, _error_text(trial, attempts, evidence).encode(errors="replace"))
    elif alone is not None:
        _move_reports(paths, alone)
    elif reports:
        write(paths.reports, reports)
    if attempts[0].paths == paths.earlier and not failed:
        remove(paths.error_log, durable=False)
    fence()


class _Left(Struct):
    """What an attempt left: its files, and which of them there are."""

    paths: AttemptPaths
    names: frozenset[str]


def _begin(paths: TrialPaths) -> bool:
    """Make the trial's folder where it is not there, and clean it. Returns whether it has one of attempts."""
    there = frozenset(list_names(paths.folder))
    if not there:
        make_dir(paths.folder, durable=False)
    if any(name.startswith(".") for name in there) or paths.checkpoints.parent != paths.folder:
        _clear(paths)
    return TrialPaths.attempts.name in there


def _clear(paths: TrialPaths) -> None:
    """Remove what whoever did this before could not bring to its end."""
    remove_temporaries(paths.folder)
    remove_tree(paths.gone_attempts)
    remove_tree(paths.checkpoints.with_name(f".{paths.checkpoints.name}.old"))


def _attempts_left(paths: TrialPaths, trial: Trial) -> list[_Left]:
    return _only_attempt(paths, trial) or [
        _Left(each, frozenset(list_names(each.folder))) for each in _attempt_folders(paths)
    ]


def _only_attempt(paths: TrialPaths, trial: Trial) -> list[_Left]:
    """What is left of a trial's only attempt; nothing where there were more, or no file is left."""
    if len(trial.attempts) != 1 or trial.retried_at_attempt:
        return []
    only = paths.attempt(trial.attempts[0].number)
    names = frozenset(list_names(only.folder))
    return [_Left(only, names)] if names else []


def _move_reports(paths: TrialPaths, left: _Left) -> None:
    if AttemptPaths.reports.name in left.names and os.stat(left.paths.reports).st_size:
        rename(left.paths.reports, paths.reports, durable=False)


def _remove_attempts(paths: TrialPaths, attempts: Sequence[_Left]) -> None:
    """The attempts' folder was renamed away: remove it."""
    gone = paths.gone_attempts
    see("rmtree", os.fspath(gone))
    try:
        moved = {AttemptPaths.log.name} if len(attempts) == 1 else set()
        for left in attempts:
            folder = os.path.join(gone, left.paths.folder.name)
            for name in left.names - moved:
                _unlink(os.path.join(folder, name))
            os.rmdir(folder)
        os.rmdir(gone)
    except OSError:  # a folder in it, a late write of a process: as anything may be removed
        remove_tree(gone)


def _record(trial: Trial, attempts: Sequence[_Left], config: Any, reports: bytes) -> str:
    resolved = config if config is not None else _last_config(attempts)
    record: dict[str, Any] = {"version": 1, **told_of(trial)}
    if resolved is not None:
        record["config"] = resolved
    if reports:
        record["reports"] = [line for line in reports.decode(errors="replace").splitlines() if line]
    record["events"] = [to_json(event) for event in trial.events()]
    return _readable(record)


def of_part(reports: bytes, part: int | None) -> bytes:
    """Lines of reports with the part of the trial that reported them, which their attempt's folder said so far."""
    if part is None:
        return reports
    lines = (line.strip() for line in reports.split(b"\n"))
    said = b'{"part":%d,' % part
    return b"\n".join(said + line[1:] if line[:1] == b"{" and line[-1:] == b"}" else line for line in lines)


def is_untidy(trial: TrialPaths) -> bool:
    """Whether a finished trial's folder is not in its final form.

    Its files were being put away, or deleted, when that ended, or the power failed soon after.
    """
    in_the_way = (name.startswith(".") or name == TrialPaths.attempts.name for name in list_names(trial.folder))
    return any(in_the_way) or (trial.folder.is_dir() and not is_whole(trial.record))


def told_of(trial: Trial) -> dict[str, Any]:
    """What a ``trial.json`` says of its trial before anything else."""
    return {
        "number": trial.number,
        "state": trial.state.value,
        "cause": trial.cause,
        "values": trial.values,
        "params": trial.params,
    }


def _remove_where_empty(checkpoints: Path) -> None:
    """Remove the folder of a trial that saved nothing; those of its parts first."""
    try:
        os.rmdir(checkpoints)
    except FileNotFoundError:
        return
    except OSError:  # it holds something
        for place in (*checkpoints.glob("part-*"), checkpoints):
            with contextlib.suppress(OSError):
                os.rmdir(place)


def _readable(record: Mapping[str, Any]) -> str:
    """JSON with a line for each key and each event. (`json` indents in Python, which takes five times as long.)"""
    lines = []
    for key, value in record.items():
        text = "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]" if key == "events" else _json(value)
        lines.append(f' "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}"


_json = json.JSONEncoder(default=str).encode  # `json.dumps` makes an encoder for each call that says more than what


def is_whole(record: Path) -> bool:
    """Whether a ``trial.json`` is there with its end: one that was not made durable can be cut off by a power loss."""
    try:
        with open(record, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"}"
    except OSError:  # not there, or empty
        return False


def _attempt_folders(paths: TrialPaths) -> list[AttemptPaths]:
    numbers = sorted(int(name) for name in list_names(paths.attempts) if name.isdigit())
    earlier = [paths.earlier] if paths.earlier.folder.is_dir() else []
    return earlier + [paths.attempt(number) for number in numbers]


def _last_config(attempts: Sequence[_Left]) -> Any:
    name = AttemptPaths.config.name
    found = (read_bytes(left.paths.config) for left in reversed(attempts) if name in left.names)
    return next((text.decode() for text in found if text is not None), None)


def _gather_log(paths: TrialPaths, attempts: Sequence[_Left], fence: Callable[[], object]) -> None:
    name = AttemptPaths.log.name
    logs = [left for left in attempts if name in left.names]
    if not logs:
        return
    if len(logs) == 1 and len(parts_of(name, logs[0].names)) == 1:
        rename(logs[0].paths.log, paths.log, durable=False)
        return
    appear(os.fspath(paths.log), lambda new: _write_together(new, logs), durable=False, fence=fence)


def _write_together(path: str, logs: Sequence[_Left]) -> None:
    with open(path, "wb") as whole:
        for log in (left.paths.log for left in logs):
            if len(logs) > 1:
                name = log.parent.name
                whole.write(f"=== {f'attempt {name}' if name.isdigit() else 'before the retry'} ===\n".encode())
            copy_log(log, whole, most=_LOG_BYTES // len(logs))


def _error_text(trial: Trial, attempts: Sequence[_Left], evidence: Evidence | None) -> str:
    last = trial.last
    evidence = evidence or inspect(attempts[-1].paths).evidence or Evidence()
    head = f"trial: {trial.number}\ntime: {last.at if last else ''}\ncause: {trial.cause}\nreason: {trial.reason}\n"
    return f"{head}\n{told_story(evidence.traceback, evidence.tail)}\n"


def clear_leftovers(paths: StudyPaths) -> None:
    """Remove temporary files from the study folder; those of single trials go when the trial is put away.

    Called by whoever has just claimed the ledger, before anything else is written. That order is part of the fencing: a
    coordinator that was paused between writing a temporary file and renaming it finds it gone.
    """
    for folder in (paths.root, paths.ledger, paths.open, paths.revisions):
        remove_temporaries(folder)
    for name in os.listdir(paths.root):
        transit = _LEASE_IN_TRANSIT.match(name)
        if _INDEX_IN_THE_MAKING.match(name) or (transit and identity_of(int(transit[1])) is None):
            _unlink(os.path.join(paths.root, name))
    _clear_requests(paths)


def _clear_requests(paths: StudyPaths) -> None:
    """Half-written requests, and answers whose askers never came back for them."""
    for name in list_names(paths.requests):
        path = os.path.join(paths.requests, name)
        if not name.startswith(".") and not name.endswith(".answer.json"):
            continue
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.stat(path).st_mtime > _REQUEST_FORGOTTEN_S:
                _unlink(path)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
