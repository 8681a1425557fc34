"""Values as JSON data that every reader takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct

_AS_IT_IS = frozenset({str, int, bool, type(None)})  # most of what there is


def plain_json(value: Any) -> Any:
    """A value as plain JSON data: non-finite numbers as words, enums by value, tuples as lists, structs by field."""
    kind = type(value)
    if kind in _AS_IT_IS or (kind is float and math.isfinite(value)):
        return value
    if isinstance(value, (tuple, list)):
        return [v if type(v) in _AS_IT_IS else plain_json(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(k): plain_json(v) for k, v in value.items()}
    if isinstance(value, Struct):
        return {name: plain_json(getattr(value, name)) for name in value.__struct_fields__}
    return value
