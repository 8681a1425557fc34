"""Writing YAML: the one writer, for whatever a training, a person or this program reads later.

Trainings mostly read YAML by PyYAML, which knows YAML 1.1: to it ``1e-05`` is text, ``no`` is false, ``010`` is eight.
Outlast and ruamel.yaml read YAML 1.2. What is written here means the same to both: a float has a point and a signed
exponent, text that either version could take for something else is in quotes, keys like values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from outlast.config.yaml11 import AsWritten

_PLAIN_WORD = r"[A-Za-z_/][A-Za-z0-9_./+-]*\Z"
#: Words that YAML 1.1 or 1.2, or a hasty reader, takes for something else than a text.
_NOT_TEXT = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "none"])
#: Line breaks to YAML, and what it does not read unescaped.
_UNSEEN = "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"
#: Beyond 1024 characters, what stands before a colon is no key to YAML unless a question mark says so.
_LONGEST_KEY = 128


def dump(data: Mapping[str, Any], *, compact: bool = False) -> str:
    """Plain data as YAML whose meaning is the same under YAML 1.1 and 1.2.

    Args:
        data: Keys and values. Tuples become lists; what YAML does not know becomes its text; halves of surrogate pairs
            are written out. `AsWritten` values stand as their file has them.
        compact: The innermost lists and mappings in one line, as people write a study file.
    """
    return "".join(f"{line}\n" for line in _block(_plain(data), compact)) or "{}\n"


def dump_json(data: Any, indent: str = "") -> str:
    """Plain data as JSON that YAML 1.1 and 1.2 read alike, for trainings that read either.

    What is not finite is written as Python's own `json` does, which YAML takes for text.
    """
    inner = f"{indent}  "
    if isinstance(data, Mapping) and data:
        pairs = (f"{inner}{_json_text(str(key))}: {dump_json(value, inner)}" for key, value in data.items())
        return "{\n" + ",\n".join(pairs) + f"\n{indent}}}"
    if isinstance(data, (list, tuple)) and data:
        return "[\n" + ",\n".join(f"{inner}{dump_json(value, inner)}" for value in data) + f"\n{indent}]"
    if isinstance(data, float) and math.isfinite(data):
        return _digits(float(data))
    return _json_text(data) if isinstance(data, str) else json.dumps(data, default=str)


def _json_text(text: str) -> str:
    return re.sub(_UNSEEN, lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _block(data: Mapping[str, Any] | list[Any], compact: bool) -> list[str]:
    """The lines of a list or mapping that is not empty."""
    lines: list[str] = []
    pairs = data.items() if isinstance(data, Mapping) else ((None, item) for item in data)
    for key, value in pairs:
        head = "-" if key is None else f"{_scalar(key)}:"
        if len(head) > _LONGEST_KEY:
            lines.append(f"? {head[:-1]}")
            head = ":"
        if (text := _in_line(value, compact)) is not None:
            lines.append(f"{head} {text}")
            continue
        inner = _block(value, compact)
        if key is None:
            head = f"- {inner.pop(0)}"
        lines += [head, *(line if key is not None and isinstance(value, list) else f"  {line}" for line in inner)]
    return lines


def _in_line(value: Any, compact: bool) -> str | None:
    """What stands behind a key or dash in its line; ``None`` for what needs lines of its own."""
    if not isinstance(value, (Mapping, list)):
        return _scalar(value)
    held = value.values() if isinstance(value, Mapping) else value
    if held and (not compact or any(isinstance(item, (Mapping, list)) for item in held)):
        return None
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    keys = [_scalar(key) for key in value]
    if any(len(key) >= _LONGEST_KEY for key in keys):
        return None
    return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in zip(keys, held, strict=True)) + "}"


def _scalar(value: Any) -> str:
    if isinstance(value, AsWritten) and "\n" not in value:
        return str(value)
    if isinstance(value, str):
        return str(value) if re.match(_PLAIN_WORD, value) and value.lower() not in _NOT_TEXT else _json_text(value)
    return _digits(value) if isinstance(value, float) else json.dumps(value)


def _plain(value: Any) -> Any:
    """The same values without the tuples that YAML does not know and the surrogates that it cannot hold."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {_plain(key if isinstance(key, str) else str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value if isinstance(value, AsWritten) else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, date):  # from TOML; moments are dates too
        return AsWritten(value.isoformat(), "tag:yaml.org,2002:timestamp")
    if value is None or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else float(value) if isinstance(value, float) else str(value)


def _digits(value: float) -> str:
    """A float in a form that YAML 1.1 knows too: ``1.0e-05``."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}e{int(exponent):+03d}" if e else mantissa
