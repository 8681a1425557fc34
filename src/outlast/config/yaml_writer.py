"""Writing YAML: the one writer, for whatever a training, a person or this program reads later.

Trainings mostly read YAML by PyYAML, which knows YAML 1.1: to it ``1e-05`` is text, ``no`` is false, ``010`` is eight.
Outlast and ruamel.yaml read YAML 1.2. What is written here means the same to both: a float has a point and a signed
exponent, text that either version could take for something else is in quotes, keys like values.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

from outlast.config.yaml11 import AsWritten

_PLAIN_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+-]*\Z")
#: Words that YAML 1.1 or 1.2, or a hasty reader, takes for something else than a text.
_NOT_TEXT = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "none"])
#: Line breaks to YAML, and what it does not read unescaped.
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_ENDLESS = 2**31  # a line is as long as its value


def dump(data: Mapping[str, Any], *, compact: bool = False) -> str:
    """Plain data as YAML whose meaning is the same under YAML 1.1 and 1.2.

    Args:
        data: Keys and values. Tuples become lists; what YAML does not know becomes its text; halves of surrogate pairs
            are written out. `AsWritten` values stand as their file has them.
        compact: The innermost lists and mappings in one line, as people write a study file.
    """
    return "".join(_pair(key, value, compact) for key, value in data.items()) or "{}\n"


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


def dump_quickly(data: Mapping[str, Any]) -> str:
    """What `dump` says, in JSON's form and many times faster: for files of every attempt, which programs read.

    JSON has no word for what is not finite; such data is written by `dump`.
    """
    try:
        json.dumps(data, allow_nan=False, default=str)
    except ValueError:
        return dump(data)
    return dump_json(data) + "\n"


def _json_text(text: str) -> str:
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _pair(key: str, value: Any, compact: bool) -> str:
    """One top-level key, always on a line of its own."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _representer(compact and isinstance(value, (Mapping, list, tuple)) and bool(value))
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = _ENDLESS
    out = io.StringIO()
    yaml.dump(_plain({key: value}), out)
    return out.getvalue()


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


@cache
def _representer(compact: bool) -> Any:
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.representer import SafeRepresenter

    class Representer(SafeRepresenter):
        """Quotes every text that is not certainly one."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_sequence(self, tag: Any, sequence: Any, flow_style: Any = None) -> Any:
            node = super().represent_sequence(tag, sequence, flow_style)
            node.flow_style = (compact and all(isinstance(item, ScalarNode) for item in node.value)) or not node.value
            return node

        def represent_mapping(self, tag: Any, mapping: Any, flow_style: Any = None) -> Any:
            node = super().represent_mapping(tag, mapping, flow_style)
            node.flow_style = (compact and all(isinstance(n, ScalarNode) for _, n in node.value)) or not node.value
            return node

        def text(self, data: str) -> Any:
            plain = _PLAIN_WORD.match(data) and data.lower() not in _NOT_TEXT
            return self.represent_scalar("tag:yaml.org,2002:str", str(data), style=None if plain else '"')

        def number(self, data: float) -> Any:
            return self.represent_scalar("tag:yaml.org,2002:float", _digits(data))

        def written(self, data: AsWritten) -> Any:
            return self.represent_scalar(data.tag, str(data))

    Representer.add_representer(str, Representer.text)
    Representer.add_representer(float, Representer.number)
    Representer.add_representer(AsWritten, Representer.written)
    return Representer


def _digits(value: float) -> str:
    """A float in a form that YAML 1.1 knows too: ``1.0e-05``."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa if '.' in mantissa else f'{mantissa}.0'}e{int(exponent):+03d}" if e else mantissa
