"""The checkpoints of trials that have no outcome yet, kept on a mounted drive, so that a trial goes on after a lost session.

Two places for each trial, written in turn: while one is written the other is whole. A place is whole if every file is as its
list says, which is written last and has a checksum itself. A checkpoint that changes while it is copied is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from outlast._system.files import remove, remove_tree, rename, write_atomic
from outlast._system.reading import list_names, read_bytes
from outlast._system.syncing import make_dir, settle_tree
from outlast._system.wary import copy_verified, digest_of, patiently, write_verified
from outlast.core.file_names import AttemptPaths, TrialPaths
from outlast.study.attempts import give_up
from outlast.study.layout import StudyPaths
from outlast.study.snapshots import every_seconds

_LIST = "list.json"
_PLACES = ("0", "1")
LARGEST = 2**30  # bytes of a trial's checkpoints; of more, the newest alone is brought, if that is not larger
_SHARE = 20  # of the time that copying takes, it rests so many times as long


class Unfinished:
    """Brings them there.

    Args:
        live: Where the study runs.
        home: Its home.
    """

    def __init__(self, live: StudyPaths, home: StudyPaths) -> None:
        self._live, self._home = live, home
        self._brought: dict[str, tuple[dict[str, tuple[int, int]], float]] = {}  # trial → what is there, and since when
        self._rests_until = 0.0
        self.too_large: set[str] = set()  # trials whose checkpoints are not brought

    def going(self) -> list[str]:
        """Trials without an outcome that have checkpoints: the ledger knows them, if it is read after this."""
        names = sorted((name for name in list_names(self._live.trials) if name.isdecimal()), key=int)
        files = ((name, self._live.trial(int(name))) for name in names)
        # A trial of a kept worker has no attempts' folder.
        return [name for name, each in files if not each.record.exists() and list_names(each.checkpoints)]

    def bring(self, going: Sequence[str], *, last: bool = False, still_ours: Callable[[], object]) -> list[str]:
        """Copy what has changed and is due. Returns the trials whose checkpoints were brought.

        Args:
            going: Those that may be: what is at home knows them.
            last: The run ends: all that has changed is due.
            still_ours: Raises where somebody else holds the study.

        Raises:
            OSError: The drive refused; what was there before is whole.
        """
        began, brought = time.monotonic(), []
        if (not last and began < self._rests_until) or self._lie_there():
            return []
        for name in going:
            files = self._live.trial(int(name))
            if files.record.exists():  # it has ended meanwhile
                continue
            if self._is_due(name, found := self._chosen(name, files), last=last):
                still_ours()
                if _copied(files, found, self._home.unfinished / name):
                    self._brought[name] = found, time.monotonic()
                    brought.append(name)
        there = [name for name in list_names(self._home.unfinished) if name.isdecimal()]  # a drive may have added some
        self._let_go(name for name in there if self._live.trial(int(name)).record.exists())
        self._rests_until = time.monotonic() + _SHARE * (time.monotonic() - began)
        return brought

    def _lie_there(self) -> bool:
        """Whether `checkpoints.dir` is on the drive itself."""
        root = self._live.checkpoints_root
        return root is not None and root.exists() and os.stat(root).st_dev == os.stat(self._home.root).st_dev

    def _is_due(self, name: str, found: Mapping[str, tuple[int, int]], *, last: bool) -> bool:
        before, since = self._brought.get(name, ({}, -every_seconds()))
        return bool(found) and found != before and (last or time.monotonic() - since >= every_seconds())

    def _chosen(self, name: str, files: TrialPaths) -> dict[str, tuple[int, int]]:
        found = _stamps(files.checkpoints)
        if sum(size for size, _ in found.values()) <= LARGEST:
            self.too_large.discard(name)
            return found
        newest = max(found, key=lambda path: found[path][1]).split(os.sep)[0]
        only = {path: stamp for path, stamp in found.items() if path.split(os.sep)[0] == newest}
        if sum(size for size, _ in only.values()) <= LARGEST:
            return only
        self.too_large.add(name)
        return {}

    def _let_go(self, names: Iterable[str]) -> None:
        for name in names:
            remove_tree(self._home.unfinished / name)
            self._brought.pop(name, None)


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file of a checkpoint folder that is not hidden, with its size and time."""
    found: dict[str, tuple[int, int]] = {}
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in names:
            path = os.path.join(place, name)
            if not name.startswith(".") and not os.path.islink(path):
                try:
                    status = os.stat(path)
                except FileNotFoundError:
                    continue
                found[os.path.relpath(path, folder)] = status.st_size, status.st_mtime_ns
    return found


def _copied(trial: TrialPaths, chosen: Mapping[str, tuple[int, int]], target: Path) -> bool:
    """Whether it is there now: not where it changed meanwhile."""
    source = trial.checkpoints
    lists = {place: _list_of(target / place) for place in _PLACES}
    place = min(_PLACES, key=lambda each: lists[each].get("number", -1))
    into, number = target / place, max(each.get("number", 0) for each in lists.values()) + 1
    files: dict[str, list[Any]] = {}
    try:
        for path, (_, modified) in chosen.items():
            make_dir((into / path).parent, durable=False)
            files[path] = [copy_verified(source / path, into / path), modified]
    except FileNotFoundError as error:
        if error.filename is not None and Path(error.filename).is_relative_to(source):
            return False  # the training has replaced it
        raise
    now = _stamps(source)
    if any(now.get(path) != stamp for path, stamp in chosen.items()):
        return False
    for other in set(_stamps(into)) - {*files, _LIST}:
        remove(into / other, durable=False)
    held = {"number": number, "files": files, "attempt": _evidence(trial)}
    write_verified(into / _LIST, json.dumps({**held, "sha256": _checksum(held)}).encode())
    return True


def _evidence(trial: TrialPaths) -> dict[str, Any]:
    """That an attempt ran, and what it had reported: without, a trial with checkpoints would seem never to have begun."""
    number = max((int(name) for name in list_names(trial.attempts) if name.isdigit()), default=0)
    attempt = trial.attempt(number)
    read = {"reports": read_bytes(attempt.reports), "alive": read_bytes(attempt.alive)}
    begun = number and attempt.started.exists()
    return {"number": number, **{key: (data or b"").decode() for key, data in read.items()}} if begun else {}


def give_back(home: StudyPaths, number: int, into: Path, attempt: AttemptPaths | None = None) -> int | None:
    """Give a trial its checkpoints back, those that were brought last and are whole; ``None`` where there are none.

    Args:
        home: On a drive.
        number: The trial's.
        into: Its folder of checkpoints, empty or not there; it appears with all of them.
        attempt: The one that was open when the session was lost: it is over then, with what it had reported.

    Returns:
        How many files.
    """
    kept = home.unfinished / f"{number:04d}"
    for place in sorted(_PLACES, key=lambda each: _list_of(kept / each).get("number", -1), reverse=True):
        listed = _list_of(kept / place)
        files = listed.get("files")
        if not files or not all(_is_as_listed(kept / place / path, held[0]) for path, held in files.items()):
            continue
        making = into.with_name(f".{into.name}.new")
        remove_tree(making)  # of a try that was interrupted
        if not all(_is_copied(kept / place / path, making / path, held) for path, held in files.items()):
            continue
        settle_tree(making)
        seen = listed.get("attempt") or {}
        if attempt is not None and seen.get("number") == int(attempt.folder.name):
            make_dir(attempt.folder)
            write_atomic(attempt.reports, seen["reports"])
            write_atomic(attempt.alive, seen["alive"])
            give_up(attempt, "its session was lost")
        rename(making, into)  # last: with checkpoints a trial has all of it
        return len(files)
    remove_tree(into.with_name(f".{into.name}.new"))
    return None


def _is_copied(source: Path, target: Path, held: Sequence[Any]) -> bool:
    digest, modified = held
    make_dir(target.parent, durable=False)
    if patiently(copy_verified, source, target) != digest:
        return False
    os.utime(target, ns=(modified, modified))  # which is the newest tells by its time
    return True


def _is_as_listed(path: Path, digest: str) -> bool:
    try:
        return patiently(digest_of, path) == digest
    except OSError:
        return False


def _list_of(place: Path) -> dict[str, Any]:
    try:
        held = json.loads(patiently((place / _LIST).read_bytes))
        checksum = held.pop("sha256")
        return held if checksum == _checksum(held) else {}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def _checksum(held: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
