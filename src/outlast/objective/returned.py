"""What an Optuna objective returned, as values: one number for each objective of the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def values_of(result: Any, names: Sequence[str]) -> list[float]:
    """The values of an objective that returned this.

    Args:
        result: What `float` takes, or a sequence of that, one for each name.
        names: Of the objectives.

    Raises:
        ValueError: It is something else; the message is for people.
    """
    found = list(result) if isinstance(result, Sequence) and not isinstance(result, str) else [result]
    if result is None or len(found) != len(names):
        what = "nothing" if result is None else f"{len(found)} values" if len(found) != 1 else "1 value"
        raise ValueError(f"the objective returned {what}, and the search asks for {len(names)}: {', '.join(names)}")
    return [_number(value) for value in found]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"the objective returned {value!r:.200}, which is no number") from None
