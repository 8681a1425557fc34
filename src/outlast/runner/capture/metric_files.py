"""Files that a training leaves its metrics in: JSON, JSON lines, tables, and ``trial_N_score.txt``."""

from __future__ import annotations

import glob
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct, field

from outlast._system.reading import list_names
from outlast.core.file_names import StudyNames
from outlast.runner.capture.metric_tables import read_table
from outlast.runner.capture.numerals import as_number, is_uncertain
from outlast.runner.capture.objective import Sightings, writable

_LARGEST_BYTES = 256 * 2**20
_DEEPEST = 8
_SCORE_FILE = "trial_${trial}_score.txt"
_OF_EPOCHS = re.compile(r"loss|^val_|^(?:epoch|step|iteration)s?$", re.IGNORECASE)
_OF_A_SET = re.compile(r"(?:^|[._])d?(?:train|valid|val|eval|test)(?:ing|idation|uation)?(?:_\d+)?$", re.IGNORECASE)
_IN_A_TRIAL = re.compile(r"(?:^|/)trials/\d{4,}/")


class _Stamp(NamedTuple):
    """What changes when a file is written."""

    mtime_ns: int
    size: int
    inode: int


class FoundFile(Struct, frozen=True):
    """One file that was read."""

    path: str
    metrics: Sightings = field(default_factory=Sightings)  # name (nested ones joined by dots) → values, over all rows
    notes: tuple[str, ...] = ()  # what a person should know, for example that it could not be read


class MetricFiles:
    """Knows which files were there before, so that only what this attempt wrote counts. Clocks play no part.

    The trial's folder is searched first, then the working directory. There, files inside any trial's folder are passed
    over: they are other trials'. ``${trial}`` and ``${trial_dir}`` in a pattern are filled in.

    Args:
        patterns: The study file's ``metric.file`` of each objective that has one.
        trial: The trial's number; also for ``trial_N_score.txt``.
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

    def read(self, pattern: str, *, torn: bool = False) -> FoundFile | None:
        """The newest file that matches and was written since, read; ``None`` where there is none.

        `torn`: the training was ended while it may have been writing.
        """
        path = self.find(pattern)
        if path is None:
            path = self._newest(pattern, self._elsewhere)
            if path is None:
                return None
            note = f"{path} was not read: trials running beside this one write there too; name it with ${{trial_dir}}"
            return FoundFile(path, notes=(note,))
        return read_metrics(path, torn=torn)

    def find(self, pattern: str, *, fresh: bool = True) -> str | None:
        """The newest file that matches and counts; of those only that were written since, unless not `fresh`."""
        path = self._newest(pattern, self._trial_dir, fresh)
        if path is not None or (self.shared and "${trial" not in pattern):
            return path
        return self._newest(pattern, self._elsewhere, fresh)

    def score_file(self) -> float | str | None:
        """What ``trial_N_score.txt`` says, if this attempt wrote one: a number, or a text that may be one."""
        path = self._newest(_SCORE_FILE, self._trial_dir) or self._newest(_SCORE_FILE, self._elsewhere)
        if path is None:
            return None
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(4096).strip()
        except OSError:
            return None
        return text[:80] if is_uncertain(text) else as_number(text)

    def _newest(self, pattern: str, root: str, fresh: bool = True) -> str | None:
        stamps = self._stamps(pattern, root)
        found = {path: stamp for path, stamp in stamps.items() if not fresh or self._before.get(path) != stamp}
        return max(found, key=lambda path: (found[path].mtime_ns, path), default=None)

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


class Neighbours:
    """Looks for the markers of other attempts than its `own` (``0007.2``): who joins later is not known when an attempt begins.

    A coordinator removes the markers of what is over before it starts anything. Nothing is opened here: over NFS, a file that is
    looked for in vain stays missing for this host, and its runner could be the next to need it.
    """

    def __init__(self, root: str | os.PathLike[str], own: str) -> None:
        study = StudyNames(Path(root))
        self._open, self._trials, self._own = study.open, study.trials, own
        self._before = frozenset(list_names(self._trials))
        self._seen = False

    def look(self) -> bool:
        """Whether there is another attempt, or was at an earlier look."""
        self._seen = self._seen or any(n != self._own and n[:1].isdigit() for n in list_names(self._open))
        return self._seen

    def look_back(self) -> bool:
        """The same, and whether a trial has begun since that may be over and put away by now."""
        self._seen = self.look() or not self._before.issuperset(list_names(self._trials))
        return self._seen


def read_values(path: str, *, torn: bool = False) -> Iterator[tuple[str, float | str]]:
    """(name, number) in the order of a file's rows, and (name, text) of what may be one; nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            yield from _values(file.read(), torn)
    except OSError:
        return


def read_metrics(path: str, *, torn: bool = False) -> FoundFile:
    """Every number in a file, by name. What a file is, its content says: a suffix is not needed.

    Rows (JSON lines, a table, a list of objects, Transformers' ``log_history``, Keras' ``history``) count one after the
    other. ``torn``: see `MetricFiles.read`.
    """
    try:
        if os.path.getsize(path) > _LARGEST_BYTES:
            return FoundFile(path, notes=(f"{path} is larger than {_LARGEST_BYTES >> 20} MiB and was not read",))
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            text = file.read()
    except OSError as error:
        return FoundFile(path, notes=(f"{path} could not be read: {error.strerror}",))
    found = FoundFile(path)
    for name, value in _values(text, torn):
        if isinstance(value, str):
            found.metrics.doubt(writable(name), value)
        else:
            found.metrics.add(writable(name), value)
    return found if found.metrics.names() else FoundFile(path, notes=(f"{path} holds no numbers under a name",))


def _values(text: str, torn: bool) -> Iterator[tuple[str, float | str]]:
    """(name, number) in their order, and (name, text) of what may be a number."""
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        for row in _json_rows(stripped):
            yield from _numbers(row)
        return
    for name, cell, value in read_table(text, torn=torn):
        if value is not None:
            yield name, value
        elif cell[:1] in "+-.0123456789" and (is_uncertain(cell) or any(sign in cell for sign in ",;")):
            yield name, cell


def _json_rows(text: str) -> Iterator[Any]:
    try:
        yield json.loads(text)
    except (ValueError, RecursionError):
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue  # a line torn by a crash; the others count


def _numbers(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, float | str]]:
    """(name, number) in nested objects. A list of objects is rows under the same names, one of numbers alone is nothing."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict) and _is_history(value, name):
        for row in zip(*value.values(), strict=True):
            yield from _numbers(dict(zip(value, row, strict=True)), name, depth + 1)
    elif isinstance(value, dict):
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
        if name and (number is not None or is_uncertain(value)):
            yield name, value if number is None else number
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and name:
        yield name, float(str(value))  # a whole number may be too large for one: infinite


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_history(value: dict[str, Any], name: str) -> bool:
    """Whether these are series, a value an epoch: Keras' ``history``, XGBoost's and LightGBM's results of a set.

    Values by class or by fold (scikit-learn's ``cross_validate``) look alike, but none of them is the last one.
    """
    series = list(value.values())
    alike = all(isinstance(each, list) and len(each) == len(series[0]) for each in series)
    told = _OF_A_SET.search(name) is not None or any(map(_OF_EPOCHS.search, map(str, value)))
    return bool(series) and alike and told and all(map(_is_number, (x for each in series for x in each)))


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
