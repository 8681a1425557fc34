"""Search spaces as every side is told them: plain data, which each side turns into its own.

A parameter is ``{"name", "kind": "float" | "int" | "choice", "low", "high", "log", "choices", "when"}``; `when` names a
choice and the values of it under which the parameter exists. Parents stand before their children. Runs in the
environments of peers, too: the standard library only.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

Parameter = dict[str, Any]
Space = Sequence[Parameter]


def real(
    name: str, low: float, high: float, *, log: bool = False, when: Mapping[str, Sequence[Any]] | None = None
) -> Parameter:
    """A real number."""
    return {"name": name, "kind": "float", "low": low, "high": high, "log": log, "when": _plain(when)}


def whole(
    name: str, low: int, high: int, *, log: bool = False, when: Mapping[str, Sequence[Any]] | None = None
) -> Parameter:
    """A whole number, both ends included."""
    return {"name": name, "kind": "int", "low": low, "high": high, "log": log, "when": _plain(when)}


def choice(name: str, choices: Sequence[Any], *, when: Mapping[str, Sequence[Any]] | None = None) -> Parameter:
    """One of several without an order."""
    return {"name": name, "kind": "choice", "choices": list(choices), "when": _plain(when)}


def _plain(when: Mapping[str, Sequence[Any]] | None) -> dict[str, list[Any]]:
    return {parent: list(values) for parent, values in (when or {}).items()}


def exists(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    """Whether a parameter exists, by the values of those before it."""
    return all(params.get(parent) in values for parent, values in parameter["when"].items())


def conditional(space: Space) -> bool:
    """Whether some parameters do not always exist."""
    return any(parameter["when"] for parameter in space)


def existing(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """The values of parameters that exist: for peers that know no conditions and draw them all."""
    kept: dict[str, Any] = {}
    for parameter in space:
        if exists(parameter, kept):
            kept[parameter["name"]] = params[parameter["name"]]
    return kept


def drawn(space: Space, chance: random.Random) -> dict[str, Any]:
    """A configuration drawn at random."""
    params: dict[str, Any] = {}
    for parameter in space:
        if exists(parameter, params):
            params[parameter["name"]] = _value(parameter, chance)
    return params


def _value(parameter: Parameter, chance: random.Random) -> Any:
    if parameter["kind"] == "choice":
        return chance.choice(parameter["choices"])
    low, high = parameter["low"], parameter["high"]
    if parameter["kind"] == "int":
        if not parameter["log"]:
            return chance.randint(low, high)
        value = math.exp(chance.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return min(max(round(value), low), high)
    if parameter["log"]:
        return min(max(math.exp(chance.uniform(math.log(low), math.log(high))), low), high)
    return chance.uniform(low, high)
