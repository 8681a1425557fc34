"""Putting away a finished trial: its record, output, and reports or what went wrong. And what interrupted writers left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outlast._system.capped_log import copy_log, is_one_file
from outlast._system.files import remove, remove_temporaries, remove_tree, rename, write_atomic
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


def put_away(paths: TrialPaths, trial: Trial, *, config: Any = None) -> None:
    """Bring a finished trial's files into their final form: ``trial.json``, ``output.log``, ``reports.jsonl``;
    beside them the job script, where the trial had one.

    They tell of all attempts, also of those before a retry.
    A failed trial has an ``error.log`` instead of ``reports.jsonl``; its reports are in ``trial.json``. Repeating it is harmless.
    Nothing waits for the disk: the ledger has the outcome, and what a power loss undoes is done again (`is_untidy`).
    """
    make_dir(paths.folder, durable=False)
    remove_temporaries(paths.folder)
    attempts = _attempt_folders(paths)
    failed = trial.state is TrialState.FAILED
    reports = b"".join(of_part(read_bytes(each.reports) or b"", trial.part_of(each.number)) for each in attempts)
    resolved = config if config is not None else _last_config(attempts)
    if attempts or not is_whole(paths.record):
        record: dict[str, Any] = {"version": 1, **told_of(trial)}
        if resolved is not None:
            record["config"] = resolved
        if failed and reports:
            record["reports"] = [line for line in reports.decode(errors="replace").splitlines() if line]
        record["events"] = [to_json(event) for event in trial.events()]
        write_atomic(paths.record, _readable(record), durable=False)
    if attempts:
        _gather_log(paths, attempts)
        scripts = [attempt.script for attempt in attempts if attempt.script.exists()]
        if scripts:
            rename(scripts[-1], paths.script, durable=False)
        if failed:
            write_atomic(paths.error_log, _error_text(trial, attempts).encode(errors="replace"), durable=False)
        elif reports:
            write_atomic(paths.reports, reports, durable=False)
        if attempts[0] == paths.earlier and not failed:
            remove(paths.error_log, durable=False)
        remove_tree(paths.gone_attempts)
        rename(paths.attempts, paths.gone_attempts, durable=False)
        remove_tree(paths.gone_attempts)
    else:
        remove_tree(paths.gone_attempts)
        remove_tree(paths.attempts)  # its entries were lost with the power
    remove_tree(paths.checkpoints.with_name(f".{paths.checkpoints.name}.old"))
    _remove_where_empty(paths.checkpoints)


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
    for place in (*checkpoints.glob("part-*"), checkpoints):
        with contextlib.suppress(OSError):  # it holds something, or is not there
            os.rmdir(place)


def _readable(record: Mapping[str, Any]) -> str:
    """JSON with a line for each key and each event. (`json` indents in Python, which takes five times as long.)"""
    lines = []
    for key, value in record.items():
        text = json.dumps(value, default=str)
        if key == "events":
            text = "[\n  " + ",\n  ".join(json.dumps(each, default=str) for each in value) + "\n ]"
        lines.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}"


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


def _last_config(attempts: list[AttemptPaths]) -> Any:
    found = (read_bytes(attempt.config) for attempt in reversed(attempts))
    return next((text.decode() for text in found if text is not None), None)


def _gather_log(paths: TrialPaths, attempts: list[AttemptPaths]) -> None:
    logs = [attempt.log for attempt in attempts if attempt.log.exists()]
    if not logs:
        return
    if len(logs) == 1 and is_one_file(logs[0]):
        rename(logs[0], paths.log, durable=False)
        return
    with open(paths.log, "wb") as whole:
        for log in logs:
            if len(logs) > 1:
                name = log.parent.name
                whole.write(f"=== {f'attempt {name}' if name.isdigit() else 'before the retry'} ===\n".encode())
            copy_log(log, whole, most=_LOG_BYTES // len(logs))


def _error_text(trial: Trial, attempts: list[AttemptPaths]) -> str:
    last = trial.last
    evidence = inspect(attempts[-1]).evidence or Evidence()
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
