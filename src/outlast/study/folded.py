"""The fold of a ledger up to a place in it, kept beside it: who reads a long ledger decodes what was appended since.

It is derived, and nobody's word: it is believed only while every byte of the ledger up to its place is the one that was folded
(reading and summing up bytes costs a hundredth of decoding them), no later line contradicts it, and the same code would fold
today. Whatever else is found is read from the beginning, by who knows how to say what is wrong (`outlast.study.segments`).
"""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from outlast._system.files import write_atomic
from outlast._system.reading import unstale
from outlast._version import __version__
from outlast.core import fold, kept_trials, moments, plain_json, records, states, sums, tally
from outlast.core.fold import Study
from outlast.core.kept_trials import PackedTrials
from outlast.core.sums import Sums
from outlast.core.tally import KeptTally
from outlast.study import ledger_lines
from outlast.study.layout import StudyPaths
from outlast.study.ledger_lines import continued, events_of, kinds_of_later, seals_of
from outlast.study.segments import Place, Reading, Segment, parse, segment_content, segment_numbers, segment_path

_CHUNK = 1 << 20
_ABOUT = msgspec.msgpack.Decoder(tuple[Study, KeptTally, Sums, list[int], list[int], list[tuple[float, ...] | None]])
_LEAST, _SHARE = 256 * 1024, 50  # bytes that were folded anew, and their share of all, from which on it is kept again


def _this_code() -> str | None:
    """What tells the code that folds from any other: the versions, and the text of the modules whose work is kept; ``None``:
    their text cannot be read."""
    crc = 0
    try:
        for module in (fold, kept_trials, moments, plain_json, records, states, sums, tally, ledger_lines):
            with open(str(module.__file__), "rb") as file:
                crc = zlib.crc32(file.read(), crc)
    except OSError:
        return None
    return f"{__version__} {msgspec.__version__} {crc:08x}"


_FOLDED_BY = _this_code()  # as it was loaded: in a run of hours, another may lie there by the time it is kept
_DOUBTS = (
    OSError,
    msgspec.MsgspecError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)


def keep_folded(paths: StudyPaths, reading: Reading, study: Study, *, least: int | None = None) -> bool:
    """Keep what a sound ledger was folded into, where that took a while and will again. Nobody waits for the disk.

    Args:
        paths: The study's files.
        reading: The ledger, whole or read on from what was kept before.
        study: Its fold, nothing applied since.
        least: Bytes that have to have been folded anew; by default what takes longer than to read what is kept.

    Returns:
        Whether it is kept now.
    """
    place, least = reading.place, _LEAST if least is None else least
    anew = sum(segment.length - segment.skipped for segment in reading.segments)
    if _FOLDED_BY is None or place is None or anew < least or (least and anew < place.length // _SHARE):
        return False
    try:
        rest, tally, added, trials = study.kept()
        about = msgspec.msgpack.encode((rest, tally, added, trials.numbers, trials.ends, trials.scores))
        head = msgspec.json.encode((_FOLDED_BY, place, len(about)))
        checked = zlib.crc32(trials.packed, zlib.crc32(about, zlib.crc32(head)))
        write_atomic(paths.folded, b"%08x\n%b\n%b%b" % (checked, head, about, trials.packed), durable=False)
    except _DOUBTS:  # a full disk; half a surrogate pair, a number beyond 64 bits: what msgpack cannot say
        return False
    return True


def read_folded(paths: StudyPaths) -> tuple[Reading, Study] | None:
    """The ledger from where it was folded up to, and what all of it adds up to; ``None``: read it from its beginning."""
    try:
        with open(paths.folded, "rb") as file:
            checked, head = int(file.readline(9), 16), file.readline()[:-1]
            made_by, place, size = msgspec.json.decode(head, type=tuple[str, Place, int])
            if _FOLDED_BY is None or made_by != _FOLDED_BY or not place.segments:
                return None
            reading = _read_on(paths.ledger, place)
            about, packed = file.read(size), file.read()
        if zlib.crc32(packed, zlib.crc32(about, zlib.crc32(head))) != checked:
            return None
        rest, tally, added, numbers, ends, known = _ABOUT.decode(about)
        study = Study.resumed(rest, tally, added, PackedTrials(numbers, ends, known, packed))
        for segment in reading.segments:
            for line in segment.lines:
                for event in events_of(line):
                    study.apply(event)
    except _DOUBTS:
        return None
    return reading, study


def ends_at(folder: Path, place: Place) -> bool:
    """Whether a ledger has, byte for byte, what stood before a place, and nothing behind it: as a file server has it."""
    behind = b""
    try:
        for number, (length, crc) in enumerate(place.segments, place.first):
            behind = _same(segment_path(folder, number), length, crc)
        return not behind and segment_numbers(folder)[-1:] == [place.last]
    except (OSError, ValueError):
        return False


def _read_on(folder: Path, place: Place) -> Reading:
    """What was appended behind a place. Raises ``ValueError`` where that is not all that happened."""
    numbers = [number for number in segment_numbers(folder) if number >= place.first]
    if not numbers or numbers != list(range(place.first, len(numbers) + place.first)) or numbers[-1] < place.last:
        raise ValueError(place.last)
    seals: dict[int, int] = {}
    segments: list[Segment] = []
    for number in reversed(numbers):
        sealed_at = seals.get(number)
        if number < place.last:
            length, crc = place.segments[number - place.first]
            _same(segment_path(folder, number), length, crc)
            if sealed_at not in (None, length):
                raise ValueError(number)
            continue
        segment = _behind(folder, place, sealed_at) if number == place.last else _later(folder, number, sealed_at)
        for line in segment.lines:
            for sealed, length in seals_of(line).items():
                seals.setdefault(sealed, length)
        segments.append(segment)
    return Reading(segments[::-1], before=place)


def _later(folder: Path, number: int, sealed_at: int | None) -> Segment:
    """A segment behind the place: as everybody reads it, and flawless."""
    data = segment_content(segment_path(folder, number))
    if data is None:
        raise ValueError(number)
    segment = parse(number, data, sealed_at)
    if segment.flaws or any("base" in line or kinds_of_later(line) for line in segment.lines):
        raise ValueError(number)
    return segment


def _behind(folder: Path, place: Place, sealed_at: int | None) -> Segment:
    """The segment that the place is in."""
    at, crc = place.segments[-1]
    data = _same(segment_path(folder, place.last), at, crc)
    valid = data if sealed_at is None else data[: max(0, sealed_at - at)]
    whole = valid.rfind(b"\n") + 1
    if sealed_at is not None and sealed_at != at + whole:
        raise ValueError(place.last)
    lines, due = continued(valid[:whole], place.due)
    return Segment(
        place.last,
        lines,
        at + whole,
        torn=len(valid) - whole,
        void=len(data) - len(valid),
        crc=zlib.crc32(memoryview(valid)[:whole], crc),
        skipped=at,
        due=due,
    )


def _same(path: Path, length: int, crc: int) -> bytes:
    """What a file holds behind its first bytes. Raises ``ValueError`` where those are others than they were."""

    def read() -> bytes:
        found, left, buffer = 0, length, memoryview(bytearray(min(length, _CHUNK)))
        with open(path, "rb", buffering=0) as file:
            while left and (count := file.readinto(buffer[: min(left, _CHUNK)])):
                found, left = zlib.crc32(buffer[:count], found), left - count
            if left or found != crc:
                raise ValueError(path)
            return file.read()

    return unstale(read)
