"""The segments of a ledger as they lie on the disk: which there are, what they hold, where decisions are lost.

Takes no lock and changes nothing. What the parts mean is said in `outlast.study.ledger`.
"""

from __future__ import annotations

import errno
import os
import re
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from outlast._system.mounts import is_shared
from outlast._system.reading import list_names, read_bytes, unstale
from outlast.core.records import Event
from outlast.errors import LedgerTooNew, StorageError
from outlast.study.ledger_lines import disorder, events_of, from_line, in_order, kinds_of_later, seals_of

_SEGMENT = re.compile(r"^(\d{8,})\.jsonl$")
#: Name of a holder's file.
HELD_NAME = re.compile(r"^(\d{8,})\.\d+\.held$")
#: What a holder hears that slept through its own replacement.
TAKEN_OVER = "another coordinator took this study over while this one was away"
_SEEN_WITHIN = 70.0  # seconds after which an NFS client sees whatever another has made (acdirmax, 60 s)


class Place(Struct, frozen=True):
    """A place in a ledger, and what stands before it."""

    first: int  # segment
    segments: list[tuple[int, int]]  # bytes that count of each, and their CRC-32; of the last those before the place
    due: int  # number of the next decision in the last one

    @property
    def length(self) -> int:
        """Bytes that count."""
        return sum(length for length, _ in self.segments)

    @property
    def last(self) -> int:
        """The segment that the place is in."""
        return self.first + len(self.segments) - 1


class Segment(Struct):
    """One segment as it was read: its whole lines up to where it is sealed."""

    number: int
    lines: list[Mapping[str, Any]]
    length: int  # bytes of whole lines, at most up to the seal
    torn: int = 0  # bytes behind the last whole line
    void: int = 0  # bytes behind the seal
    short: int = 0  # bytes that are missing before the seal
    unreadable: tuple[int, ...] = ()  # 1-based numbers of lines that are not what was written
    disorder: tuple[str, ...] = ()  # lines that are missing, doubled or in another's place
    crc: int = 0  # CRC-32 of the bytes of whole lines
    skipped: int = 0  # bytes of whole lines before those that were read: what they say was folded before
    due: int = 1  # number of the next decision

    @property
    def claimed(self) -> bool:
        """Whether its holder has sealed what was there before."""
        return len(self.lines) > 1 or self.skipped > 0

    @property
    def flaws(self) -> list[str]:
        """Why it does not say all that was decided; empty where it does."""
        found = [f"line {n} is unreadable" for n in self.unreadable] + list(self.disorder)
        return [*found, f"lacks its last {self.short} bytes"] if self.short else found


class Reading(Struct):
    """The ledger as it was read."""

    segments: list[Segment] = []
    missing: tuple[int, ...] = ()  # segments that a later one seals or that numbering lacks
    before: Place | None = None  # where it begins, if the fold of all before is known: see `outlast.study.folded`

    @property
    def events(self) -> list[Event]:
        """All decisions in order; those behind `before`, where that is set."""
        found: list[Event] = []
        for segment in self.segments:
            for line in in_order(segment.lines) if segment.disorder else segment.lines:
                found += events_of(line)
        return found

    @property
    def flaws(self) -> list[str]:
        """Where decisions are lost, as phrases; empty for a whole ledger."""
        found = [f"{number:08d}.jsonl is missing" for number in self.missing]
        return found + [f"{s.number:08d}.jsonl {flaw}" for s in self.segments for flaw in s.flaws]

    @property
    def place(self) -> Place | None:
        """Where it ends; ``None`` where it is not certain that all before counts."""
        last = self.last
        if last is None or self.flaws or not last.claimed or last.void:
            return None
        before = [] if self.before is None else self.before.segments[:-1]
        spans = [*before, *((segment.length, segment.crc) for segment in self.segments)]
        return Place(self.segments[0].number - len(before), spans, last.due)

    @property
    def last(self) -> Segment | None:
        """The newest segment."""
        return self.segments[-1] if self.segments else None


def segment_path(folder: Path, number: int) -> Path:
    """``00000003.jsonl``."""
    return folder / f"{number:08d}.jsonl"


def segment_numbers(folder: Path) -> list[int]:
    """The segments that are there, in order. Those that a late listing does not name are looked for by their names."""
    numbers = listed_segments(folder)
    if numbers:
        unlisted = sorted({*range(numbers[0], numbers[-1])}.difference(numbers))
        numbers = sorted({*numbers, *(n for n in unlisted if can_be_opened(segment_path(folder, n)))})
    while numbers and can_be_opened(segment_path(folder, numbers[-1] + 1)):
        numbers.append(numbers[-1] + 1)
    return numbers


def listed_segments(folder: Path) -> list[int]:
    """The segments that a listing names, in order; another host may have made more."""
    return sorted(int(match[1]) for name in list_names(folder) if (match := _SEGMENT.match(name)))


def can_be_opened(path: Path) -> bool:
    """Whether there is such a file, as the server has it."""
    try:
        os.close(unstale(os.open, path, os.O_RDONLY | os.O_CLOEXEC))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        return error.errno != errno.ELOOP
    return True


def newest_segment(folder: Path) -> int:
    """The highest number, 0 if there is none."""
    return max(segment_numbers(folder), default=0)


def folder_identity(folder: Path) -> list[int]:
    """What tells a folder from its copies: device and inode. A folder that is renamed keeps both."""
    status = os.stat(folder)
    return [status.st_dev, status.st_ino]


def newest_header(folder: Path) -> Mapping[str, Any]:
    """The first line of the newest segment: who holds, or last held, the study. Empty where there is none."""
    return first_lines(folder, newest_segment(folder))[0]


def first_lines(folder: Path, number: int) -> tuple[Mapping[str, Any], bool]:
    """A segment's header, and whether its claim was completed: whether it has a second line."""

    def read() -> tuple[bytes, bytes]:
        with open(segment_path(folder, number), "rb") as file:
            return file.readline(), file.readline()

    try:
        first, second = unstale(read)
    except OSError:
        return {}, False
    return from_line(first.removesuffix(b"\n")) or {}, second.endswith(b"\n")


def is_held(folder: Path, number: int) -> bool | None:
    """Whether nobody has claimed a segment after this one, as the server has it; ``None`` if the segment cannot tell."""
    name = first_lines(folder, number)[0].get("held")
    return can_be_opened(folder / name) if isinstance(name, str) and HELD_NAME.match(name) else None


def await_newest(folder: Path) -> None:
    """Wait until this host sees the newest segment. At once, except where another host has only just claimed it."""
    deadline = time.monotonic() + _SEEN_WITHIN
    while is_held(folder, newest_segment(folder)) is False and is_shared(folder) and time.monotonic() < deadline:
        time.sleep(0.2)


def parse(number: int, data: bytes, sealed_at: int | None) -> Segment:
    """A segment of these bytes, up to where a later one seals it."""
    valid = data if sealed_at is None else data[:sealed_at]
    whole = valid.rfind(b"\n") + 1
    read = [from_line(raw) for raw in valid[:whole].split(b"\n")[:-1]]
    short = 0 if sealed_at is None else max(0, sealed_at - whole)
    return Segment(
        number,
        [line for line in read if line is not None],
        whole,
        torn=len(valid) - whole,
        void=len(data) - len(valid),
        short=short,
        unreadable=tuple(at for at, line in enumerate(read, 1) if line is None),
        disorder=tuple(disorder(number, read)),
        crc=zlib.crc32(memoryview(valid)[:whole]),
        due=max((int(line["n"]) + 1 for line in read if line is not None and "n" in line), default=1),
    )


def read_ledger(folder: Path, *, below: int | None = None) -> Reading:
    """Read all segments, each up to its seal; only those `below` a number, all of which are there.

    Raises:
        StorageError: The disk does not let us read.
        LedgerTooNew: A later version has written decisions that this one does not know.
    """
    numbers = segment_numbers(folder)
    if below is not None:
        numbers = [n for n in numbers if n < below]
        numbers += range(numbers[-1] + 1 if numbers else below, below)
    seals: dict[int, int] = {}
    segments: list[Segment] = []
    for number in reversed(numbers):
        data = segment_content(segment_path(folder, number))
        if data is None:
            continue
        segment = parse(number, data, seals.get(number))
        for line in segment.lines:
            for kind in kinds_of_later(line):
                raise LedgerTooNew(f"{segment_path(folder, number)}, decision {line.get('n', '?')}", kind)
            for sealed, length in seals_of(line).items():
                seals.setdefault(sealed, length)
        segments.append(segment)
    segments.reverse()
    base = max((int(line["base"]) for s in segments for line in s.lines[:1] if "base" in line), default=1)
    segments = [s for s in segments if s.number >= base]
    expected = {n for n in {*range(base, max(numbers, default=0) + 1), *seals} if n >= base}
    return Reading(segments, tuple(sorted(expected - {s.number for s in segments})))


def segment_content(path: Path) -> bytes | None:
    """What a segment holds; ``None`` where there is none, or something else by its name: a folder, a link to nowhere."""
    try:
        return read_bytes(path)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ELOOP):
            return None
        raise StorageError.of(error, f"cannot read {path}") from error
