"""Few configurations in which every value of every small categorical occurs, for trying a training out.

A covering, not the product: values of several parameters share a configuration, so that about as many are needed as the
longest list of values has entries. Conditions and constraints hold for all of them.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.space.parameters import Parameter
from outlast.space.space import Space, same

MOST_VALUES = 8
_TRIES = 200

#: A parameter's name and one of its values.
Value = tuple[str, Any]


class Covering(Struct, frozen=True):
    """What `covering` found.

    Attributes:
        configurations: The first is the usual one; each of the others brings in a value that none before it has.
        unreached: Values that no configuration was found for, because of constraints or conditions.
    """

    configurations: tuple[dict[str, Any], ...]
    unreached: tuple[Value, ...] = ()


def small_categoricals(space: Space, most: int = MOST_VALUES) -> dict[str, Sequence[Any]]:
    """The categorical parameters with at most so many values, and these."""
    found = {}
    for parameter in space.sampled:
        values = parameter.choices
        if parameter.distribution == "categorical" and values is not None and len(values) <= most:
            found[parameter.name] = values
    return found


def covering(space: Space, usual: Mapping[str, Any] | None = None, most: int = MOST_VALUES) -> Covering:
    """Configurations in which each value of each categorical with at most `most` values occurs at least once.

    Args:
        space: The search space.
        usual: Values that are known to be good: used wherever nothing else has to be tried. Where it says nothing, a
            categorical has its first value and a number the middle of its range.
        most: Categoricals with more values are left at their usual one.
    """
    small = small_categoricals(space, most)
    missing = {_key(name, value): (name, value) for name, values in small.items() for value in values}
    found: list[dict[str, Any]] = []
    unreached: list[Value] = []
    first = _find(space, usual or {}, {}, {})
    if first is not None:
        found.append(first)
        _strike(missing, first)
    while missing:
        key, (name, value) = next(iter(missing.items()))
        configuration = _find(space, usual or {}, missing, {name: value})
        if configuration is None:
            unreached.append(missing.pop(key))
            continue
        found.append(configuration)
        _strike(missing, configuration)
    return Covering(tuple(found), tuple(unreached))


def with_value(space: Space, base: Mapping[str, Any], name: str, value: Any) -> dict[str, Any] | None:
    """The configuration nearest to `base` in which one parameter has this value; ``None`` where none was found."""
    return _find(space, base, {}, {name: value})


def _strike(missing: dict[str, Value], params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        missing.pop(_key(name, value), None)


def _key(name: str, value: Any) -> str:
    return f"{name}={json.dumps(value, sort_keys=True, default=str)}"


def _find(
    space: Space, usual: Mapping[str, Any], missing: Mapping[str, Value], wanted: Mapping[str, Any]
) -> dict[str, Any] | None:
    """A configuration with the wanted values, and with missing ones as far as constraints allow."""
    rng = random.Random(0)
    for attempt in range(_TRIES):
        forced = _with_parents(space, wanted, missing, attempt)
        if forced is None:
            continue
        params: dict[str, Any] = {}
        while left := [p for p in space.active(params) if p.name not in params]:
            parameter = left[0]
            if parameter.name in forced:
                params[parameter.name] = forced[parameter.name]
            else:
                params[parameter.name] = _choose(parameter, usual, missing if attempt % 2 == 0 else {}, attempt, rng)
        if all(name in params for name in wanted) and space.satisfies(params):
            return params
    return None


def _choose(
    parameter: Parameter, usual: Mapping[str, Any], missing: Mapping[str, Value], attempt: int, rng: random.Random
) -> Any:
    """First a missing value, or the usual one; where that broke a constraint, anything."""
    for name, value in missing.values():
        if name == parameter.name and (attempt == 0 or rng.random() < 0.5):
            return value
    if attempt <= 1:
        return _fitting(parameter, usual) if parameter.name in usual else _middle(parameter)
    choices = parameter.choices
    if choices is not None:
        return choices[rng.randrange(len(choices))]
    latent = parameter.latent
    assert latent is not None  # a sampled parameter has one
    share = rng.random()
    if latent.log:
        return parameter.decode(math.exp(math.log(latent.low) * (1 - share) + math.log(latent.high) * share))
    return parameter.decode(latent.low * (1 - share) + latent.high * share)


def _fitting(parameter: Parameter, usual: Mapping[str, Any]) -> Any:
    try:
        parameter.encode(usual[parameter.name])
    except ValueError:
        return _middle(parameter)
    return usual[parameter.name]


def _middle(parameter: Parameter) -> Any:
    latent = parameter.latent
    assert latent is not None  # a sampled parameter has one
    if parameter.distribution == "categorical":
        return (parameter.choices or ())[0]
    middle = math.sqrt(latent.low * latent.high) if latent.log else (latent.low + latent.high) / 2
    return parameter.decode(round(middle) if latent.kind == "int" else middle)


def _with_parents(
    space: Space, wanted: Mapping[str, Any], missing: Mapping[str, Value], attempt: int
) -> dict[str, Any] | None:
    """The wanted values and those of other parameters that make them active; ``None`` if this choice contradicts itself."""
    by_name = {parameter.name: parameter for parameter in space.parameters}
    forced: dict[str, Any] = {}
    todo = list(wanted.items())
    while todo:
        name, value = todo.pop()
        if name in forced:
            if not same(forced[name], value):
                return None
            continue
        forced[name] = value
        for parent, allowed in (by_name[name].when or {}).items():
            if by_name[parent].constant:
                if not any(same(by_name[parent].value, one) for one in allowed):
                    return None
                if not by_name[parent].when:
                    continue
            values = allowed if by_name[parent].constant else [_spelled(by_name[parent], one) for one in allowed]
            order = sorted(values, key=lambda one: _key(parent, one) not in missing)
            todo.append((parent, wanted.get(parent, order[attempt % len(order)])))
    return forced


def _spelled(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter itself has it: a condition may say 1 where the choice is 1.0."""
    return parameter.decode(parameter.encode(value))
