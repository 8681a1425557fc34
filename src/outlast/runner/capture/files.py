"""Files that a training leaves its metrics in: JSON, JSON lines, CSV, and ``trial_N_score.txt``."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outlast.runner.capture.lines import as_number
from outlast.runner.capture.objective import Sightings, writable

__all__ = ["FoundFile", "MetricFiles", "read_metrics"]

_LARGEST_BYTES = 256 * 2**20
_DEEPEST = 8
_SCORE_FILE = "trial_${trial}_score.txt"
_IN_A_TRIAL = re.compile(r"(?:^|/)trials/\d{4,}/")


class _Stamp(NamedTuple):
    """What changes when a file is written."""

    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True)
class FoundFile:
    """One file that was read.

    Attributes:
        path: As found.
        metrics: Name (nested ones joined by dots) → values, over all rows.
        notes: What a person should know, for example that it could not be read.
    """

    path: str
    metrics: Sightings = field(default_factory=Sightings)
    notes: tuple[str, ...] = ()


class MetricFiles:
    """Knows which files were there before, so that only what this attempt wrote counts. Clocks play no part.

    The trial's folder is searched first, then the working directory. There, files inside any trial's folder are passed
    over: they are other trials'. ``${trial}`` and ``${trial_dir}`` in a pattern are filled in.

    Args:
        patterns: The study file's ``metric.file`` of each objective that has one.
        trial: The trial's number; also for ``trial_N_score.txt``.
        trial_dir: The trial's folder.
        working_directory: Where the command runs.
        shared: Other trials run in the working directory at the same time. Then a file there counts only if its
            pattern names the trial: it may be another trial's. May be set until the files are read.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        trial: int,
        trial_dir: str | os.PathLike[str],
        working_directory: str | os.PathLike[str],
        *,
        shared: bool = False,
    ) -> None:
        self._trial = trial
        self._trial_dir = os.path.abspath(trial_dir)
        self._elsewhere = os.path.abspath(working_directory)
        self.shared = shared
        self._before: dict[str, _Stamp] = {}
        for pattern in {*patterns, _SCORE_FILE}:
            self._before.update(self._stamps(pattern, self._trial_dir))
            self._before.update(self._stamps(pattern, self._elsewhere))

    def read(self, pattern: str) -> FoundFile | None:
        """The newest file that matches and was written since, read; ``None`` where there is none."""
        path = self._newest(pattern, self._trial_dir)
        if path is None:
            path = self._newest(pattern, self._elsewhere)
            if path is not None and self.shared and "${trial" not in pattern:
                note = (
                    f"{path} was not read: trials running beside this one write there too; name it with ${{trial_dir}}"
                )
                return FoundFile(path, notes=(note,))
        return None if path is None else read_metrics(path)

    def score_file(self) -> float | None:
        """What ``trial_N_score.txt`` says, if this attempt wrote one."""
        path = self._newest(_SCORE_FILE, self._trial_dir) or self._newest(_SCORE_FILE, self._elsewhere)
        if path is None:
            return None
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return as_number(file.read(4096))
        except OSError:
            return None

    def _newest(self, pattern: str, root: str) -> str | None:
        stamps = self._stamps(pattern, root)
        fresh = {path: stamp for path, stamp in stamps.items() if self._before.get(path) != stamp}
        return max(fresh, key=lambda path: (fresh[path].mtime_ns, path), default=None)

    def _stamps(self, pattern: str, root: str) -> dict[str, _Stamp]:
        pattern = pattern.replace("${trial_dir}", glob.escape(self._trial_dir)).replace("${trial}", str(self._trial))
        found = {}
        for match in glob.iglob(pattern, root_dir=root, recursive=True):
            path = os.path.join(root, match)
            if root != self._trial_dir and not path.startswith(self._trial_dir + os.sep) and _IN_A_TRIAL.search(match):
                continue
            try:
                status = os.stat(path)
            except OSError:
                continue  # removed between listing and looking
            if stat.S_ISREG(status.st_mode):
                found[path] = _Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
        return found


def read_metrics(path: str) -> FoundFile:
    """Every number in a file, by name. What a file is, its content says: a suffix is not needed.

    Rows (JSON lines, CSV, a list of objects, Transformers' ``log_history``) count one after the other.
    """
    try:
        if os.path.getsize(path) > _LARGEST_BYTES:
            return FoundFile(path, notes=(f"{path} is larger than {_LARGEST_BYTES >> 20} MiB and was not read",))
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            text = file.read()
    except OSError as error:
        return FoundFile(path, notes=(f"{path} could not be read: {error.strerror}",))
    found = FoundFile(path)
    for row in _rows(text):
        for name, value in _numbers(row):
            found.metrics.add(writable(name), value)
    return found if len(found.metrics) else FoundFile(path, notes=(f"{path} holds no numbers under a name",))


def _rows(text: str) -> Iterator[Any]:
    stripped = text.lstrip()
    if not stripped.startswith(("{", "[")):
        yield from _csv_rows(text)
        return
    try:
        yield json.loads(stripped)
    except (ValueError, RecursionError):
        for line in stripped.splitlines():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line torn by a crash; the others count


def _csv_rows(text: str) -> Iterator[Mapping[str, Any]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=header.count)
    try:
        yield from csv.DictReader(io.StringIO(text), delimiter=delimiter)
    except csv.Error:
        return  # rows up to the one that is none


def _numbers(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """(name, number) in nested objects. A list of objects is rows under the same names, one of numbers is nothing."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        rows = [item for item in value.values() if _is_rows(item)]
        for key, item in value.items():
            if not _is_rows(item):
                yield from _numbers(item, f"{name}.{key}" if name else str(key), depth + 1)
        for each in rows:
            yield from _numbers(each, name, depth + 1)
    elif _is_rows(value):
        for item in value:
            yield from _numbers(item, name, depth + 1)
    elif isinstance(value, str):
        number = as_number(value)
        if number is not None and name:
            yield name, number
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and name:
        yield name, float(value)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
