"""Unquoted words that YAML 1.1, which PyYAML and so W&B and most trainings read, takes otherwise than YAML 1.2.

Sources: "Language-Independent Types for YAML 1.1" (bool, int, float, timestamp); PyYAML's `SafeLoader`, which knows no
``y`` and ``n``, and no number such as ``1e5``, ``1.5e3`` or ``-.5``.
"""

from __future__ import annotations

import re
from typing import Any

_TRUE, _FALSE = ("yes", "Yes", "YES", "on", "On", "ON"), ("no", "No", "NO", "off", "Off", "OFF")
_OCTAL = r"[-+]?0[0-7_]+"
_SIXTIES = r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(\.[0-9_]*)?"
_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9].*)?"
#: Numbers to YAML 1.2 and text to PyYAML: no sign in the exponent, no point before it, no digit after the sign.
_BARE_FLOAT = r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+|\.[0-9_]+(?:[eE][-+]?[0-9]+)?)"
_FLOAT_11 = r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
_BARE_INT = r"[-+]?0(?:o[0-7_]+|[0-9_]*[89][0-9_]*)"


class AsWritten(str):
    """An unquoted word, by its text, that is to stand again as it stood: the versions of YAML may disagree about it.

    Attributes:
        tag: What YAML 1.2 takes it for.
        pyyaml: What PyYAML takes it for; a date as its text. ``None`` where nobody asked.
        number: Whether it is text to PyYAML although it can only be meant as a number (``1e-5``).
    """

    tag: str
    pyyaml: Any
    number: bool

    def __new__(cls, text: str, tag: str, pyyaml: Any = None, *, number: bool = False) -> AsWritten:
        """The word with what is known about it."""
        word = super().__new__(cls, text)
        word.tag, word.pyyaml, word.number = tag, pyyaml, number
        return word

    def __getnewargs__(self) -> tuple[str, str, Any]:  # type: ignore[override]
        return str(self), self.tag, self.pyyaml


def as_written(text: str, tag: str) -> AsWritten | None:
    """The word, if the versions of YAML disagree about it; ``None`` where both read the same.

    Args:
        text: An unquoted word of a YAML file.
        tag: What YAML 1.2 takes it for.
    """
    number = bool(re.fullmatch(_BARE_FLOAT, text)) and not re.fullmatch(_FLOAT_11, text)
    if text in _TRUE or text in _FALSE:
        meaning: Any = text in _TRUE
    elif re.fullmatch(_OCTAL, text) and text.strip("+-0_"):
        meaning = int(text.replace("_", ""), 8)
    elif re.fullmatch(_SIXTIES, text) and (text.lstrip("+-")[0] != "0" or "." in text):
        meaning = _sixties(text.replace("_", ""))
    elif number or re.fullmatch(_BARE_INT, text) or re.fullmatch(_DATE, text):
        meaning = text
    else:
        return None
    return AsWritten(text, tag, meaning, number=number)


def _sixties(text: str) -> int | float:
    """``1:30`` is ninety: every colon a factor of sixty."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    value: int | float = 0
    for part in digits.split(":"):
        value = value * 60 + (float(part) if "." in part else int(part))
    return sign * (float(value) if "." in text else value)
