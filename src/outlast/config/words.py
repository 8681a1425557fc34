"""How a value is spelled in an argument, so that the program on the other side takes it for that value.

Python's argparse, before 3.14, takes every word that begins with ``-`` for an option, unless it has digits and a point only:
``-1.2e-05`` is refused where ``-0.000012`` is not (CPython issue 53580). Hydra reads an override by its own grammar: what
it would take for something else than text is in quotes ("Basic override syntax" in its documentation).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_NEGATIVE = r"-[0-9]+|-[0-9]*\.[0-9]+"
_HYDRA_WORD = r"[A-Za-z_/][A-Za-z0-9_./+@-]*"
_HYDRA_NOT_TEXT = ("true", "false", "null", "inf", "nan")
_HYDRA_KEY_ESCAPED = r"([\\()\[\]{}:=, \t])"


def alone(value: Any) -> str:
    """A value as a word of its own: a negative number without an exponent."""
    text = str(value)
    if isinstance(value, float) and value < 0 and math.isfinite(value) and not re.fullmatch(_NEGATIVE, text):
        text = f"{Decimal(text):f}"
        return text if "." in text else f"{text}.0"
    return text


def behind(flag: str, word: str) -> list[str]:
    """A flag and the word that is its value: two arguments, or one where the word would be taken for an option."""
    if not word.startswith("-") or word == "-" or re.fullmatch(_NEGATIVE, word):
        return [flag, word]
    return [f"{flag}{word}" if re.fullmatch(r"-[^-]", flag) else f"{flag}={word}"]


def hydra(value: Any) -> str:
    """A value in Hydra's grammar of overrides."""
    if value is None:
        return "null"
    if isinstance(value, str):
        if re.fullmatch(_HYDRA_WORD, value) and value.lower() not in _HYDRA_NOT_TEXT:
            return value
        return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value) + "'"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(hydra, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_hydra_key(key)}:{hydra(item)}" for key, item in value.items()) + "}"
    return str(value)


def _hydra_key(key: Any) -> str:
    return re.sub(_HYDRA_KEY_ESCAPED, r"\\\1", str(key))
