"""A ledger that was read, and what was appended since: for whoever looks again and again, and must not read it all each time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outlast._system.reading import unstale
from outlast.core.records import Event
from outlast.study.ledger_lines import continued, disorder, events_of, from_line, seals_of
from outlast.study.segments import Reading, segment_path

_MARK = 64  # bytes before the place where we stopped: what stands there unless it is another file now


class ReadingOn:
    """Stands behind the last whole line of a sound `reading` of the ledger in `folder`.

    Whatever is not plainly a continuation is for a new reading from the beginning to judge: a line that cannot be read, a segment
    that is shorter, another file or folder by the same name, a repair.
    """

    def __init__(self, folder: Path, reading: Reading) -> None:
        self._folder = folder
        last = reading.last
        self._sound = last is not None and not reading.flaws and not last.void and last.claimed
        if last is not None and self._sound:
            self._stand(last.number, last.length, last.due)

    def _stand(self, number: int, at: int, due: int) -> None:
        """Behind so many bytes of a segment, where a decision of this number is due."""
        self._number, self._at, self._mark, self._due = number, at, b"", due
        self._identity = self._identities()
        self._mark = self._read()[0][: min(at, _MARK)]

    def more(self) -> list[Event] | None:
        """The decisions since the last call; ``None``: the ledger has to be read from its beginning."""
        try:
            return self._more() if self._sound else None
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            return None

    def _more(self) -> list[Event] | None:
        events: list[Event] = []
        while True:
            later = self._next()  # before we read: what it seals was written before it was
            data, is_same = self._read()
            if not is_same or data[: len(self._mark)] != self._mark:
                return None
            data = data[len(self._mark) :]
            if later is not None:
                seal = seals_of(later[-1])[self._number] - self._at
                if not 0 <= seal <= len(data):
                    return None
                data = data[:seal]
            whole = data.rfind(b"\n") + 1
            if later is not None and whole != len(data):
                return None
            lines, self._due = continued(data[:whole], self._due)
            for line in lines:
                events += events_of(line)
            self._at += whole
            self._mark = (self._mark + data[:whole])[-_MARK:]
            if later is None:
                return events
            self._stand(self._number + 1, self._begun_at, 1)

    def _next(self) -> list[Mapping[str, Any]] | None:
        """The beginning of the segment behind ours, which seals ours: a shared study has one for every turn that somebody took.
        ``None`` where there is none, or somebody is just claiming it."""

        def read() -> list[bytes]:
            with open(segment_path(self._folder, self._number + 1), "rb") as file:
                return [file.readline(), file.readline()]

        try:
            raw = unstale(read)
        except FileNotFoundError:
            return None
        if not raw[1].endswith(b"\n"):
            return None
        lines = [line for line in (from_line(each[:-1]) for each in raw) if line is not None]
        if len(lines) < 2 or disorder(self._number + 1, lines) or "base" in lines[0]:
            raise ValueError(self._number)
        self._begun_at = sum(map(len, raw))
        return [*lines]

    def _read(self) -> tuple[bytes, bool]:
        """The segment from our mark on, and whether it is the file that it was."""

        def read() -> tuple[bytes, bool]:
            with open(segment_path(self._folder, self._number), "rb") as file:
                status = os.fstat(file.fileno())
                same = (status.st_dev, status.st_ino) == self._identity[1] and status.st_size >= self._at
                file.seek(max(0, self._at - _MARK))
                return file.read(), same and self._identities() == self._identity

        return unstale(read)

    def _identities(self) -> tuple[tuple[int, int], tuple[int, int]]:
        found = []
        for path in (self._folder, segment_path(self._folder, self._number)):
            try:
                status = os.stat(path)
                found.append((status.st_dev, status.st_ino))
            except OSError:
                found.append((0, 0))
        return found[0], found[1]
