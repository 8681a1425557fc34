"""The points of a metric file as it grows: rows that say at which step they are."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence

from outlast.core.evidence import Report
from outlast.runner.capture.metric_files import MetricFiles, read_values
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.output_lines import EPOCH_NAMES, STEP_NAMES

_EVERY = 1.0  # seconds between two looks; where a look takes long, a twentieth of the time is spent on it
_SHARE = 20.0
_LARGEST_BYTES = 16 * 2**20  # of a file that is read over and over


class FiledPoints:
    """Reads the study's metric files while the training writes them; every point is told once.

    What stands in a file when the attempt begins is an earlier attempt's, and is no news.
    `files` were made when the attempt began; `every` is the least number of seconds between two looks.
    """

    def __init__(self, files: MetricFiles, objectives: Sequence[Objective], *, every: float = _EVERY) -> None:
        self._files, self._every = files, every
        self._patterns = sorted({o.file for o in objectives if o.file is not None})
        self._seen: dict[str, tuple[int, int]] = {}  # path → time and size when it was last read
        self._told: dict[str, dict[int, dict[str, float]]] = {}  # pattern → step → values
        self._next_look = 0.0
        self._read(fresh=False)

    def poll(self) -> list[Report]:
        """The points that were added or changed since the last look; nothing where that was just now."""
        began = time.monotonic()
        if not self._patterns or began < self._next_look:
            return []
        fresh = self._read(fresh=True)
        self._next_look = began + self._every * max(1.0, _SHARE * (time.monotonic() - began))
        return fresh

    def finish(self, *, torn: bool) -> list[Report]:
        """The last ones; `torn`: see `MetricFiles.read`."""
        self._seen.clear()
        return self._read(fresh=True, torn=torn)

    def _read(self, *, fresh: bool, torn: bool = True) -> list[Report]:
        found = []
        for pattern in self._patterns:
            path = self._files.find(pattern, fresh=fresh)
            if path is None or not self._has_changed(path, pattern):
                continue
            told = self._told.setdefault(pattern, {})
            standing: dict[int, dict[str, float]] = {}  # of several rows for a step, trained again, the last one stands
            for point in points_of(read_values(path, torn=torn)):
                standing.setdefault(point.step, {}).update(point.metrics)
            for step, values in sorted(standing.items()):
                if repr(sorted(told.get(step, {}).items())) != repr(sorted(values.items())):
                    told[step] = values
                    found.append(Report(step, values))
        return found

    def _has_changed(self, path: str, pattern: str) -> bool:
        try:
            status = os.stat(path)
        except OSError:
            return False  # replaced just now
        before, now = self._seen.get(path), (status.st_mtime_ns, status.st_size)
        if before == now or status.st_size > _LARGEST_BYTES:
            return False
        if before is not None and status.st_size < before[1]:
            self._told.pop(pattern, None)  # it was begun anew: so were the steps
        self._seen[path] = now
        return True


def points_of(values: Iterable[tuple[str, float | str]]) -> Iterator[Report]:
    """The rows that say at which step they are, of a file's (name, value) in their order.

    A row ends where a name comes again. Its step is its epoch, where the first one is whole; else its step, or the epoch
    that it is in. Text that may be a number is none.
    """
    by_epoch: bool | None = None
    for row in _rows(values):
        epoch = next((row[name] for name in row if name.lower() in EPOCH_NAMES), None)
        step = next((row[name] for name in row if name.lower() in STEP_NAMES), None)
        if by_epoch is None and (epoch is not None or step is not None):
            by_epoch = step is None or (epoch is not None and epoch.is_integer())
        at = epoch if by_epoch else step
        metrics = {name: row[name] for name in row if name.lower() not in EPOCH_NAMES | STEP_NAMES}
        if at is not None and 0 <= at < 1e15 and metrics:
            yield Report(int(at), metrics)


def _rows(values: Iterable[tuple[str, float | str]]) -> Iterator[dict[str, float]]:
    row: dict[str, float] = {}
    names: set[str] = set()
    for name, value in values:
        if name in names:
            yield row
            row, names = {}, set()
        names.add(name)
        if not isinstance(value, str):
            row[name] = value
    yield row
