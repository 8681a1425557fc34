"""CSV that a spreadsheet opens without running anything, and that Python reads back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any

# What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection"), full-width ones too.
_FORMULA = re.compile("^[=+\\-@\t\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def cell(value: Any) -> str:
    """One value as text: numbers exact, ``true``, ``null`` and lists as JSON, no text that becomes a formula."""
    if isinstance(value, bool) or value is None or isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, (int, float)):
        return repr(value)
    text = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value))
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def row(cells: Iterable[str]) -> str:
    """One line of a CSV file, quoted where needed, with its newline."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
