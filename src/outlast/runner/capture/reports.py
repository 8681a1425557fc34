"""``reports.jsonl`` as it grows: what the script reported, what was followed of wandb and MLflow, what it printed."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Mapping
from typing import Any

from outlast._system.reading import unstale
from outlast.core.evidence import Report
from outlast.runner.capture.objective import Sightings, writable

PRINTED = "output"  # the ``via`` of what the runner read from the output
FILED = "file"  # and of what it read from the study's metric files

_BLOCK_BYTES = 1 << 20
_LINE_CAP = 1 << 20
_MARK_BYTES = 256
_POINT = frozenset(("v", "step", "at", "metrics", "via"))  # a line with nothing else says nothing but numbers
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in the file's place is opened without waiting for a writer


class Channel:
    """What came one way: the points in their order, and each name's values."""

    def __init__(self) -> None:
        self.seen = Sightings()
        self._fresh: list[Report] = []
        self._numbered = False

    def add(self, step: int | None, metrics: Mapping[str, float]) -> None:
        """Take one line in."""
        for name, value in metrics.items():
            self.seen.add(name, value)
        self._numbered = self._numbered or step is not None
        if not self._numbered:  # what is no number before anything is numbered ends the trial as later
            step, metrics = 0, {name: value for name, value in metrics.items() if math.isnan(value)}
        if step is not None and metrics:
            self._fresh.append(Report(step, metrics))

    def drain(self) -> list[Report]:
        """The points that came since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh


class ReportsReader:
    """Reads on from where it stopped. A line without its end is not there yet, nor need the file be.

    A file that was deleted, replaced or cut off meanwhile is read from its beginning; what was read before stays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._offset = 0
        self._rest = b""
        self._read = b""  # the end of what was read: what stands there unless it is another file now
        self.own = Channel()  # what the script itself reported, points and final scores
        self.filed, self.printed = Channel(), Channel()  # what the runner read from files and output, and wrote down
        self.followed = Channel()  # what the script logged to wandb or MLflow
        self.listens = False  # the script looks at `should_stop`
        self.acknowledged = ""  # the reason of the stop request that the script has seen
        self.done = False  # the script said that its result counts
        self.pruned = False  # the script gave itself up
        self.unreadable = 0  # lines that were none of the protocol's
        self.keeps_lines = False  # as they are read, for `take_lines`
        self._whole: list[bytes] = []
        self.lines = 0  # that the training wrote, whatever they said; not those that the runner wrote down

    @property
    def offset(self) -> int:
        """Bytes of the file that were taken in."""
        return self._offset

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Where points come from, the source that counts most first."""
        return self.own, self.filed, self.followed, self.printed

    def poll(self) -> bool:
        """Read what is new. Returns whether there was anything."""
        try:
            fd = unstale(os.open, self._path, _FLAGS)  # a missing file is no error
        except FileNotFoundError:
            return False
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return False  # a device never ends
            return self._read_on(fd, status.st_size)
        finally:
            os.close(fd)

    def _read_on(self, fd: int, size: int) -> bool:
        any_line = False
        if self._offset and (size < self._offset or unstale(self._before, fd) != self._read):
            self._offset, self._rest, self._read = 0, b"", b""
        while block := unstale(os.pread, fd, _BLOCK_BYTES, self._offset):
            any_line = self.take(block) or any_line
        return any_line

    def take(self, block: bytes) -> bool:
        """Take in what comes next in the file, as it was read by whoever. Returns whether a line ends in it."""
        self._offset += len(block)
        self._read = (self._read + block)[-_MARK_BYTES:]
        *lines, self._rest = (self._rest + block).split(b"\n")
        self._whole += lines if self.keeps_lines else ()
        for line in lines:
            self._take(line)
        if len(self._rest) > _LINE_CAP:
            self._rest = self._rest[:_LINE_CAP]  # no line of ours; it ends somewhere
        return bool(lines)

    def take_lines(self) -> bytes:
        """The whole lines that were read since the last call."""
        lines, self._whole = self._whole, []
        return b"".join(line + b"\n" for line in lines)

    def _before(self, fd: int) -> bytes:
        return os.pread(fd, len(self._read), self._offset - len(self._read))

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            obj = json.loads(line)
        except (ValueError, RecursionError):
            obj = None
        self.take_in(obj)

    def take_in(self, obj: Any) -> None:
        """Take in what a line says."""
        self.lines += 1
        try:
            if not isinstance(obj, Mapping):
                raise ValueError
            step = None if obj.get("step") is None else _step(obj["step"])
            metrics = {writable(str(name)): float(value) for name, value in obj.get("metrics", {}).items()}
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            self.unreadable += 1
            return
        if not _POINT.issuperset(obj):
            self._flags(obj)
        if metrics:
            via = obj.get("via")
            self.lines -= via in (PRINTED, FILED)
            by_runner = {PRINTED: self.printed, FILED: self.filed}
            channel = by_runner.get(via, self.followed) if via else self.own
            channel.add(step, metrics)

    def _flags(self, obj: Mapping[str, Any]) -> None:
        self.acknowledged = str(obj.get("acknowledged") or self.acknowledged)
        self.listens = self.listens or bool(obj.get("listens") or self.acknowledged)
        self.done = self.done or bool(obj.get("done"))
        self.pruned = self.pruned or bool(obj.get("pruned"))


def _step(value: Any) -> int:
    step = int(value)
    if step != float(value) or step < 0:
        raise ValueError
    return step
