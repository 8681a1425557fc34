"""One line of the ledger: a JSON object with a checksum of itself, and how the lines of a segment follow each other."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from outlast.core.records import Event, from_json, is_known

_KEY, _CHECKSUM = b',"crc":', re.compile(rb"(\d{1,10})\}")
_DECODER = json.JSONDecoder()


def to_line(obj: Mapping[str, Any]) -> bytes:
    """The line of an object; its last key is the CRC-32 of the line without that key."""
    text = json.dumps(obj, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    body = text.encode("utf-8", "surrogatepass")  # a path need not be UTF-8; `json.loads` reads it back
    return b'%b,"crc":%d}\n' % (body[:-1], zlib.crc32(body))


def from_line(raw: bytes) -> dict[str, Any] | None:
    """The object of a line (without its end); ``None`` if it is none, or no longer what was written.

    Lines of versions before 0.2 have no checksum; their records must at least be readable.
    """
    body, key, end = raw.rpartition(_KEY)
    sealed = _CHECKSUM.fullmatch(end) if key else None
    if sealed is not None and zlib.crc32(b"}", zlib.crc32(body)) != int(sealed[1]):
        return None
    try:
        if sealed is None:
            obj = json.loads(raw)
            return obj if isinstance(obj, dict) and _is_sound(obj) else None
        text = raw.decode("utf-8", "surrogatepass")
        obj, length = _DECODER.raw_decode(text)  # `json.loads` would guess the encoding and look for blanks
    except (ValueError, RecursionError):
        return None
    return obj if isinstance(obj, dict) and length == len(text) else None


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
    return [from_json(obj) for obj in line.get("events", ())]


def kinds_of_later(line: Mapping[str, Any]) -> list[str]:
    """The kinds of a line's decisions that this version does not know."""
    return [str(obj.get("kind")) for obj in line.get("events", ()) if not is_known(obj)]


def disorder(number: int, lines: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """What is out of order in a segment: a header, the seals of those before, then decisions that count from 1.

    Args:
        number: The segment's.
        lines: As they stand in the file; ``None`` for one that cannot be read. It counts as one of those that are missing.
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
