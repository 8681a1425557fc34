"""Times and numbers for people."""

from __future__ import annotations

import math
import re
from datetime import datetime


def local_time(moment: datetime) -> str:
    """A moment on the reader's own clock, with its date: ``2026-01-31 14:32:05``."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def time_span(began: datetime, ended: datetime | None) -> str:
    """``2026-01-31 14:32 to 15:10`` on the reader's own clock; the day is named again only where it is another one."""
    start = began.astimezone()
    if ended is None:
        return f"since {start:%Y-%m-%d %H:%M}"
    end = ended.astimezone()
    day, clock = "" if end.date() == start.date() else f"{end:%Y-%m-%d} ", "%H:%M"
    if not day and end.replace(second=0, microsecond=0) == start.replace(second=0, microsecond=0):
        clock = "%H:%M:%S"
    return f"{start:%Y-%m-%d} {start.strftime(clock)} to {day}{end.strftime(clock)}"


def duration(seconds: float) -> str:
    """Seconds as people say them, in at most two units: ``3.2s``, ``48s``, ``12m 05s``, ``2h 05m``, ``3d 04h``."""
    if not math.isfinite(seconds):
        return "?"
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02d}m"
    hours = round(seconds / 3600)
    return f"{hours // 24}d {hours % 24:02d}h"


def figure(value: float) -> str:
    """A number with four significant digits, whole numbers in full: ``0.9712``, ``1e-05``, ``128``, ``12.35``."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.1f}"
    return f"{value:.4g}"


_PERCENT = re.compile(r"%|(^|[^a-z])(percent|percentage|pct)([^a-z]|$)")
_ACCURACY = re.compile(r"(^|[^a-z])(acc|accuracy)([^a-z]|$)|(^|[^a-z])top[-_ ]?\d")


def is_percentage(name: str, value: float) -> bool:
    """Whether a metric's value is given in percent: its name says so, or it is an accuracy above 1 and up to 100."""
    words = _words(name)
    return bool(_PERCENT.search(words)) or (1.0 < value <= 100.0 and bool(_ACCURACY.search(words)))


def metric_value(name: str, value: float, *, both: bool = False) -> str:
    """A metric's value for people: percentages with two decimals, anything else with exactly four significant digits.

    Args:
        name: The metric's name.
        value: Its value; it is shown as it is, never rescaled.
        both: Show an accuracy between 0 and 1 in percent as well: ``0.8745 (87.45%)``.
    """
    if is_percentage(name, value):
        return f"{value:.2f}%"
    digits = f"{value:#.4g}".removesuffix(".")  # the zeros stay, so that values stand under each other
    if both and 0.0 <= value <= 1.0 and _ACCURACY.search(_words(name)):
        return f"{digits} ({100 * value:.2f}%)"
    return digits


def _words(name: str) -> str:
    """`valAcc` and `val_acc` alike."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
