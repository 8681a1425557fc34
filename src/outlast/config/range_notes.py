"""Ranges that are legal and hardly meant: what comes out of them, in a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outlast.config.notation import definitions
from outlast.space.parameters import Parameter

#: Their ends are exponents of e, as W&B has it.
_EXPONENTS = ("log_uniform", "q_log_uniform", "inv_log_uniform")


def range_notes(group: Any, parameters: Sequence[Parameter]) -> list[str]:
    """What is odd about the ranges of a study file.

    Args:
        group: Its `parameters`, as written.
        parameters: The same, as read.
    """
    read = {parameter.name: parameter for parameter in parameters}
    written = ((".".join(keys), each) for keys, each in definitions(group) if isinstance(each, Mapping))
    found = ((name, definition, read[name]) for name, definition in written if name in read)
    return [note for each in found for note in (_exponents(*each), _coarse(*each), _halfway(*each)) if note]


def _exponents(name: str, definition: Mapping[str, Any], parameter: Parameter) -> str | None:
    word, low = definition.get("distribution"), definition.get("min")
    if word not in _EXPONENTS or not isinstance(low, (int, float)) or low < 0:
        return None
    ends = parameter.options or {"min": parameter.value, "max": parameter.value}
    drawn = f"{ends['min']:.6g} to {ends['max']:.6g}"
    return (
        f"`{name}` is drawn from {drawn}: the ends of {word} are exponents of e  ({word}_values takes them as they are)"
    )


def _coarse(name: str, definition: Mapping[str, Any], parameter: Parameter) -> str | None:
    word, q = str(definition.get("distribution", "")), definition.get("q", 1)
    quantised = (word.startswith("q_") or "q" in definition) and "min" in definition
    if not quantised or not parameter.constant or definition["min"] == definition["max"]:
        return None
    given = f"q is {q}" if "q" in definition else "q is 1 unless it is given"
    return f"`{name}` is always {parameter.value}: everything between its ends is rounded to it, since {given}"


def _halfway(name: str, definition: Mapping[str, Any], parameter: Parameter) -> str | None:
    """``{min: 1, max: 4.0}``: W&B draws fractions unless both ends are whole numbers."""
    low: Any = definition.get("min")
    high: Any = definition.get("max")
    if (
        parameter.distribution != "uniform"
        or "distribution" in definition
        or type(low) is type(high)
        or high - low <= 1
    ):
        return None
    key, end = ("min", low) if isinstance(low, float) else ("max", high)
    if not float(end).is_integer():
        return None
    return f"`{name}` is drawn in fractions, because its {key} is {end}: {end:.0f} makes it whole numbers"
