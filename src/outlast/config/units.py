"""Durations and sizes as people write them.

One duration type everywhere: ``90s``, ``30m``, ``1h30m``, ``2d``, ``24:00:00``, ``5-00:00:00``, or plain seconds.
Sizes are ``16G``, ``512M``, ``1.5GiB``, in powers of 1024, or plain bytes.
"""

from __future__ import annotations

import re
from typing import Any

from outlast.space.distributions import is_finite

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_FIGURE = r"[0-9]+(?:\.[0-9]+)?"
_WORDS = rf"(?:{_FIGURE}d)? ?(?:{_FIGURE}h)? ?(?:{_FIGURE}m)? ?(?:{_FIGURE}s?)?"
_CLOCK = r"(?:[0-9]+-)?[0-9]+:[0-9]{2}:[0-9]{2}"
_DAYS = r"[0-9]+-[0-9]{1,2}(?::[0-9]{2})?"
#: ECMA-compatible, for the JSON Schema too. At least one digit; ``30:00`` is refused: minutes to some, hours to others.
DURATION_PATTERN = rf"^(?=.*[0-9])(?:{_WORDS}|{_CLOCK}|{_DAYS})$(?!\n)"
#: Of today or tomorrow, whichever comes next; or with its day.
CLOCK_PATTERN = (
    r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?$(?!\n)"
)
SIZE_PATTERN = rf"^{_FIGURE} ?(?:[KMGTkmgt](?:i?[Bb])?|[Bb])?$(?!\n)"

_LARGEST = 2**63
_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_EXAMPLES = "write 90s, 30m, 12h, 1h30m, 24:00:00, 5-00:00:00 or seconds"


def parse_duration(value: Any) -> float:
    """Seconds of a duration.

    Raises:
        ValueError: Not a duration; the message shows the forms that are.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not is_finite(value) or value < 0:
            raise ValueError(f"{value!r} is not a duration: {_EXAMPLES}")
        return float(value)
    if not isinstance(value, str) or not re.search(DURATION_PATTERN, value):
        raise ValueError(f"{value!r} is not a duration: {_EXAMPLES}")
    if ":" in value or "-" in value:
        days, _, clock = value.rpartition("-")
        parts = [float(part) for part in clock.split(":")] + [0.0, 0.0]
        seconds = float(days or 0) * 86400 + parts[0] * 3600 + parts[1] * 60 + parts[2]
    else:
        pieces = re.findall(rf"({_FIGURE})([dhms]?)", value)
        seconds = float(sum(float(figure) * _SECONDS[unit or "s"] for figure, unit in pieces))
    if not is_finite(seconds):
        raise ValueError(f"{value[:20]}… is longer than any duration")
    return seconds


def format_duration(seconds: float) -> str | float:
    """A duration that `parse_duration` reads back exactly: ``1h30m``; plain seconds where there are fractions."""
    if seconds != int(seconds) or seconds >= 1e15:
        return seconds
    rest, text = int(seconds), ""
    for unit, size in _SECONDS.items():
        if rest >= size:
            text += f"{rest // size}{unit}"
            rest %= size
    return text or "0s"


def parse_deadline(value: Any) -> float | str:
    """Seconds since a session began, or the clock time that is meant: ``15:00``, ``2026-11-30 15:00``.

    Raises:
        ValueError: Neither; the message shows the forms that are.
    """
    if isinstance(value, str) and re.search(CLOCK_PATTERN, value) and not re.search(DURATION_PATTERN, value):
        return value
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is neither a time since the session began (11h) nor one on the clock (15:00, 2026-11-30 15:00)"
        ) from None


def parse_size(value: Any) -> int:
    """Bytes of a size.

    Raises:
        ValueError: Not a size; the message shows the forms that are.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1 and value >= 0:
        size: float = value
    elif isinstance(value, str) and re.search(SIZE_PATTERN, value):
        figure, unit = re.findall(rf"({_FIGURE}) ?([A-Za-z]?)", value)[0]
        size = float(figure) * float(1024 ** _POWERS[unit.lower()])
    else:
        raise ValueError(f"{value!r} is not a size: write 16G, 512M or bytes")
    if size > _LARGEST:
        raise ValueError(f"{str(value)[:20]}… is more than any machine has")
    return int(size)


def format_size(size: int) -> str | int:
    """A size that `parse_size` reads back exactly: ``16G``; plain bytes where it is no whole unit."""
    for unit in ("t", "g", "m", "k"):
        if size and size % 1024 ** _POWERS[unit] == 0:
            return f"{size // 1024 ** _POWERS[unit]}{unit.upper()}"
    return size
