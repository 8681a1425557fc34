"""What MLflow takes as a name or a value, and what is made of everything else.

The limits are those of MLflow 3 (``mlflow/utils/validation.py``, which is what a server checks with).
"""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from outlast.config.secrets import mask_text

T = TypeVar("T")

#: Items of one request: of each kind, and together.
METRICS_AT_ONCE, PARAMS_AT_ONCE, TAGS_AT_ONCE, ITEMS_AT_ONCE = 1000, 100, 100, 1000
#: Bytes of text in one request; MLflow refuses 1,000,000 of JSON.
TEXT_AT_ONCE = 400_000
_LONGEST_NAME, _LONGEST_PARAM, _LONGEST_TAG = 250, 6000, 5000


def taken_names(names: Iterable[str]) -> dict[str, str]:
    """What each name is called in MLflow: itself, as far as MLflow takes it. No two become one.

    Letters, digits, ``_ - . / :`` and blanks are taken, in a form that is no path out of a folder.
    """
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in sorted(set(names), key=lambda each: (_plain(each) != each, each)):
        plain = _plain(name)
        if plain in used:
            digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:6]
            plain = f"{plain[: _LONGEST_NAME - 7]}_{digest}"
        used.add(plain)
        found[name] = plain
    return found


def _plain(name: str) -> str:
    text = re.sub(r"[^/\w.\- :]", "_", name)
    steps = [step if step.strip(".") else "_" * len(step) for step in text.split("/") if step]
    text = posixpath.normpath("/".join(steps)) if steps else "_"
    if len(text) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:6]
        text = f"{text[: _LONGEST_NAME - 7].rstrip('/')}_{digest}"
    return text


def param_text(value: Any) -> str:
    """A parameter as MLflow keeps it: as Python writes it, which is what a script's own `log_param` sends."""
    return _cut(mask_text(str(value)), _LONGEST_PARAM)


def texts_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by the names and with the texts that MLflow takes."""
    names = taken_names(params)
    return {names[name]: param_text(value) for name, value in params.items()}


def tag_text(value: Any) -> str:
    """A tag's value."""
    return _cut(mask_text(str(value)), _LONGEST_TAG)


def _cut(text: str, longest: int) -> str:
    # Lone surrogates are no UTF-8, and NUL is no text to PostgreSQL.
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def kept_value(value: float) -> float:
    """A number as MLflow's databases give it back: infinity is the largest there is, and NaN is itself."""
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else float(value)


def same_number(one: float, other: float) -> bool:
    """Whether two values are one in MLflow."""
    one, other = kept_value(one), kept_value(other)
    return one == other or (math.isnan(one) and math.isnan(other))


def in_parts(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """The items in their order, at most that many at once."""
    return (items[start : start + most] for start in range(0, len(items), most))


def texts_in_parts(items: Sequence[tuple[str, str]], most: int) -> Iterator[Sequence[tuple[str, str]]]:
    """Names and texts, at most that many at once and no more than one request holds, however they are escaped in it."""
    part: list[tuple[str, str]] = []
    size = 0
    for name, text in items:
        length = sum(len(each) if each.isascii() else 6 * len(each) for each in (name, text))
        if part and (len(part) >= most or size + length > TEXT_AT_ONCE):
            yield part
            part, size = [], 0
        part.append((name, text))
        size += length
    if part:
        yield part
