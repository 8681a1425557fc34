"""One line of the ledger: a JSON object with a checksum of itself, and how the lines of a segment follow each other.

Nearly every line is decoded in one go, decisions included, by their types. A decision that is not of these (words for numbers
that JSON lacks, a later version's) is read by the standard library, and so is a whole line that cannot be taken apart (text that
is no UTF-8): that library takes all that was ever written.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from outlast.core.records import Event, from_json, is_event, is_known

_KEY = b',"crc":'
_DECODER = json.JSONDecoder()


class _About(TypedDict, total=False):
    """What a line may say beside its decisions; whatever else is there is of a later version, and passed over."""

    v: int
    n: int
    at: str
    seals: dict[str, int]
    segment: int
    base: int
    held: str
    holder: dict[str, Any]
    note: str
    crc: int


class _Line(_About, total=False):
    events: list[Event]


class _Parts(_About, total=False):
    events: list[msgspec.Raw]


_TYPED, _PARTS = msgspec.json.Decoder(_Line), msgspec.json.Decoder(_Parts)
_DECISION: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def to_line(obj: Mapping[str, Any]) -> bytes:
    """The line of an object; its last key is the CRC-32 of the line without that key."""
    text = json.dumps(obj, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    body = text.encode("utf-8", "surrogatepass")  # a path need not be UTF-8; `json.loads` reads it back
    return b'%b,"crc":%d}\n' % (body[:-1], zlib.crc32(body))


def from_line(raw: bytes) -> dict[str, Any] | None:
    """The object of a line (without its end), its decisions as `events_of` takes them; ``None`` if it is none, or no longer what
    was written.

    Lines of versions before 0.2 have no checksum; their records must at least be readable.
    """
    body, key, end = raw.rpartition(_KEY)
    sealed = bool(key) and end[-1:] == b"}" and end[:-1].isdigit() and len(end) <= 11
    if sealed and zlib.crc32(b"}", zlib.crc32(body)) != int(end[:-1]):
        return None
    if sealed and raw[:1] == b"{":
        for decode in (_TYPED.decode, _from_parts):
            try:
                line: dict[str, Any] = decode(raw)  # type: ignore[assignment]
                return line
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
    try:
        if not sealed:
            obj = json.loads(raw)
            return obj if isinstance(obj, dict) and _is_sound(obj) else None
        text = raw.decode("utf-8", "surrogatepass")
        obj, length = _DECODER.raw_decode(text)  # `json.loads` would guess the encoding and look for blanks
    except (ValueError, RecursionError):
        return None
    return obj if isinstance(obj, dict) and length == len(text) else None


def _from_parts(raw: bytes) -> dict[str, Any]:
    """A line of which some decisions are not of our types: an import is one line, and one of its thousands may be."""
    line: dict[str, Any] = {**_PARTS.decode(raw)}
    if "events" in line:
        line["events"] = [_decision(part) for part in line["events"]]
    return line


def _decision(raw: msgspec.Raw) -> Any:
    try:
        return _DECISION.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return json.loads(bytes(raw).decode("utf-8", "surrogatepass"))


def _is_sound(obj: Mapping[str, Any]) -> bool:
    try:
        seals_of(obj)
        if kinds_of_later(obj):  # later versions write checksums
            return False
        events_of(obj)
        int(obj.get("base", 1))
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
    return isinstance(obj.get("holder", {}), dict)


def seals_of(line: Mapping[str, Any]) -> dict[int, int]:
    """Segment → where this line seals it."""
    return {int(number): int(length) for number, length in line.get("seals", {}).items()}


def events_of(line: Mapping[str, Any]) -> list[Event]:
    """The decisions of a line."""
    return [obj if is_event(obj) else from_json(obj) for obj in line.get("events", ())]


def kinds_of_later(line: Mapping[str, Any]) -> list[str]:
    """The kinds of a line's decisions that this version does not know."""
    told = line.get("events", ())
    return [str(obj.get("kind")) for obj in told if not is_event(obj) and not is_known(obj)]


def disorder(number: int, lines: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """What is out of order in a segment: a header, the seals of those before, then decisions that count from 1.

    A line that cannot be read is ``None``, and counts as one of those that are missing.
    """
    if not lines:
        return []
    found = []
    header = lines[0]
    if header is not None and header.get("segment") != number:
        found.append("line 1 is not its header" if "segment" not in header else f"is segment {header['segment']}'s")
    rebuilt = header is not None and "base" in header
    if len(lines) > 1 and not rebuilt and lines[1] is not None and "seals" not in lines[1]:
        found.append("line 2 does not seal the segment before")
    due = 1
    for at, line in enumerate(lines, 1):
        if line is None:
            due += at > 2
        elif "n" in line:
            if line["n"] != due:
                found.append(_out_of_order(at, int(line["n"]), due))
            due = int(line["n"]) + 1
        elif at > 1 and ("segment" in line or (at > 2 and "seals" in line)):
            found.append(_out_of_order(at, 0, due))
    return found


def _out_of_order(at: int, serial: int, due: int) -> str:
    if serial > due:
        missing = serial - due
        return f"lacks {missing} line{'' if missing == 1 else 's'} before line {at}"
    return f"line {at} is there twice, or out of order"


def continued(data: bytes, due: int) -> tuple[list[Mapping[str, Any]], int]:
    """Whole lines that go on with a segment behind its header and seals, whose next decision is number `due`.

    Returns:
        The lines, and the number that is due then.

    Raises:
        ValueError: They do not go on with it, or a later version has written them.
    """
    found: list[Mapping[str, Any]] = []
    for raw in data.split(b"\n")[:-1]:
        line = from_line(raw)
        if line is None or kinds_of_later(line) or "segment" in line or "seals" in line or line.get("n", due) != due:
            raise ValueError(due)
        due += "n" in line
        found.append(line)
    return found, due


def in_order(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Lines of a segment in the order in which they were written, each once."""
    seen: dict[int, Mapping[str, Any]] = {}
    others = []
    for line in lines:
        if "n" in line:
            seen.setdefault(int(line["n"]), line)
        else:
            others.append(line)
    return [*others, *(seen[serial] for serial in sorted(seen))]
