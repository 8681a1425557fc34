"""From what a study file says about a parameter to a `Parameter`, and back.

The words and their figures are W&B's (``min``, ``max``, ``q``, ``mu``, ``sigma``, ``a``, ``b``, ``values``, ``value``,
``probabilities``, ``distribution``), plus our ``int_log_uniform``. Deprecated forms whose ends are exponents are
converted, so that a `Parameter` knows one form of each distribution only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.core.nearest import nearest
from outlast.space import distributions
from outlast.space.parameters import Parameter, SpaceError

#: Every distribution: the figures that it must have, and those that it may have with their defaults.
FIGURES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "constant": (("value",), {}),
    "categorical": (("values",), {"probabilities": None}),
    "categorical_w_probabilities": (("values", "probabilities"), {}),
    "int_uniform": (("min", "max"), {}),
    "int_log_uniform": (("min", "max"), {}),
    "uniform": (("min", "max"), {}),
    "q_uniform": (("min", "max"), {"q": 1}),
    "log_uniform": (("min", "max"), {}),
    "log_uniform_values": (("min", "max"), {}),
    "q_log_uniform": (("min", "max"), {"q": 1}),
    "q_log_uniform_values": (("min", "max"), {"q": 1}),
    "inv_log_uniform": (("min", "max"), {}),
    "inv_log_uniform_values": (("min", "max"), {}),
    "normal": ((), {"mu": 0.0, "sigma": 1.0}),
    "q_normal": ((), {"mu": 0.0, "sigma": 1.0, "q": 1}),
    "log_normal": ((), {"mu": 0.0, "sigma": 1.0}),
    "q_log_normal": ((), {"mu": 0.0, "sigma": 1.0, "q": 1}),
    "beta": ((), {"a": 1.0, "b": 1.0}),
    "q_beta": ((), {"a": 1.0, "b": 1.0, "q": 1}),
}

#: Beyond this a whole number no longer fits a double, which is what studies are stored in.
_LARGEST_INT = 2**53


def define(name: str, definition: Mapping[str, Any], when: Mapping[str, Sequence[Any]] | None = None) -> Parameter:
    """The parameter that a definition says.

    Args:
        name: Dotted name.
        definition: Figures by W&B's names; ``distribution`` may be left out where the figures say it.
        when: Another parameter's name → the values under which this one is active.

    Raises:
        SpaceError: Unknown or missing figure, wrong type, empty or reversed range, log over zero.
    """
    word = infer(definition)
    figures = _figures(word, definition)
    conditions = {parent: tuple(values) for parent, values in when.items()} if when else None
    word, figures = _canonical(word, figures)
    if word == "constant":
        return Parameter(name, "constant", value=figures["value"], when=conditions)
    return Parameter(name, word, distributions.latent(word, figures), when=conditions, options=figures)


def infer(definition: Mapping[str, Any]) -> str:
    """The distribution's word: the one given, or the one that the figures say.

    Raises:
        SpaceError: An unknown word, or figures that say nothing.
    """
    if "distribution" in definition:
        word = definition["distribution"]
        if not isinstance(word, str) or word not in FIGURES:
            from outlast.space.lookalikes import distribution_for

            raise SpaceError(
                f"unknown distribution {word!r}; known: {', '.join(FIGURES)}",
                key="distribution",
                cure=f"did you mean `{ours}`?" if (ours := distribution_for(word)) else nearest(word, FIGURES),
            )
        return str(word)
    if "value" in definition:
        return "constant"
    if "values" in definition:
        return "categorical"
    if "min" in definition or "max" in definition:
        if "q" in definition:
            return "q_uniform"
        ends = [definition.get("min"), definition.get("max")]
        return "int_uniform" if all(_is_int(end) for end in ends) else "uniform"
    unknown = next((key for key in definition if key not in ALL_FIGURES), None)
    if unknown is not None:
        raise SpaceError(
            f"unknown key; allowed: {', '.join(ALL_FIGURES)}",
            key=unknown,
            cure=_meant(unknown, definition, ALL_FIGURES),
        )
    raise SpaceError("says no value", cure="give `values`, `value`, `min` and `max`, or a `distribution`")


def _meant(key: str, definition: Mapping[str, Any], allowed: Sequence[str]) -> str | None:
    """The cure for a key that is none."""
    from outlast.space.lookalikes import figure_for  # of use where something is wrong only

    return figure_for(key, definition) or nearest(key, allowed)


ALL_FIGURES = ("value", "values", "min", "max", "distribution", "q", "mu", "sigma", "a", "b", "probabilities", "when")


def to_definition(parameter: Parameter) -> dict[str, Any]:
    """The shortest definition that `define` turns into this parameter; ``when`` included."""
    if parameter.constant:
        out: dict[str, Any] = {"value": parameter.value}
    else:
        out = {key: list(v) if isinstance(v, tuple) else v for key, v in (parameter.options or {}).items()}
        if not out.keys() & {"values", "min"} or infer(out) != parameter.distribution:
            out["distribution"] = parameter.distribution
    if parameter.when:
        out["when"] = {
            parent: values[0] if len(values) == 1 and not isinstance(values[0], list) else list(values)
            for parent, values in parameter.when.items()
        }
    return out


def _figures(word: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    required, optional = FIGURES[word]
    allowed = (*required, *optional)
    for key in definition:
        if key not in allowed and key not in ("distribution", "when"):
            raise SpaceError(
                f"unknown key for {word}; allowed: {', '.join((*allowed, 'distribution', 'when'))}",
                key=key,
                cure=_meant(key, definition, allowed),
            )
        if definition[key] is None and key not in ("value", "when"):
            raise SpaceError("says nothing", key=key)
    for key in required:
        if key not in definition:
            raise SpaceError(f"{word} needs `{key}`", cure=f"add `{key}:`")
    figures = {key: definition[key] for key in required}
    figures |= {key: definition.get(key, default) for key, default in optional.items()}
    return figures


def _canonical(word: str, figures: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """One form of each distribution, checked; or ``constant``."""
    if word == "constant":
        _check_value(figures["value"], "value")
        return word, figures
    if word.startswith("categorical"):
        return _categorical(figures)
    if "min" in figures:
        return _range(word, figures)
    return _bell(word, figures)


def _categorical(figures: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    values = figures["values"]
    if not isinstance(values, (list, tuple)):
        raise SpaceError(f"{values!r} is not a list", key="values", cure="write `[a, b]`")
    if not values:
        raise SpaceError("no value to choose from", key="values")
    for value in values:
        _check_value(value, "values")
    seen: set[str] = set()
    for value in values:
        text = json.dumps(value, sort_keys=True)
        if text in seen:
            raise SpaceError(
                f"{value!r} is there twice", key="values", cure="leave one out; `probabilities` make one likelier"
            )
        seen.add(text)
    weights = figures.get("probabilities")
    if weights is None:
        return _choice(list(values), None)
    if not isinstance(weights, (list, tuple)) or len(weights) != len(values):
        raise SpaceError(f"must be a list of {len(values)} numbers, one for each value", key="probabilities")
    for weight in weights:
        if _number("probabilities", weight) < 0:
            raise SpaceError(f"{weight!r} is negative", key="probabilities")
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-6):
        raise SpaceError(f"they add up to {sum(weights):g}, not to 1", key="probabilities")
    return _choice(list(values), [float(w) for w in weights])


def _choice(values: list[Any], weights: list[float] | None) -> tuple[str, dict[str, Any]]:
    likely = [v for i, v in enumerate(values) if weights is None or weights[i] > 0]
    if len(likely) == 1:
        return "constant", {"value": likely[0]}
    return "categorical", {"values": values} if weights is None else {"values": values, "probabilities": weights}


def _range(word: str, figures: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    low, high = _number("min", figures["min"]), _number("max", figures["max"])
    if low > high:
        raise SpaceError(f"{low!r} is above max {high!r}", key="min", cure="swap them")
    if word in ("int_uniform", "int_log_uniform"):
        return _int_range(word, low, high)
    if word in ("log_uniform", "q_log_uniform", "inv_log_uniform"):
        if word == "inv_log_uniform":
            low, high = -high, -low  # log(1/X) is uniform: log X is, between the ends turned round
        low, high = _exp(low, "min"), _exp(high, "max")
    elif "log" in word and low <= 0:
        raise SpaceError(f"{low!r} has no logarithm: a log range begins above 0", key="min", cure="such as 1e-6")
    word = {"log_uniform": "log_uniform_values", "q_log_uniform": "q_log_uniform_values"}.get(word, word)
    word = "log_uniform_values" if word.startswith("inv_") else word
    options: dict[str, Any] = {"min": float(low), "max": float(high)}
    if word.startswith("q_"):
        options["q"] = _positive("q", figures["q"])
        _check_grid(options["min"], options["max"], options["q"])
        values = distributions.choices(word, options) or ()
        if len(values) == 1:
            return "constant", {"value": values[0]}
    if low == high:
        return "constant", {"value": figures["min"] if word == "uniform" else options["min"]}
    return word, options


def _int_range(word: str, low: float, high: float) -> tuple[str, dict[str, Any]]:
    for key, end in (("min", low), ("max", high)):
        if end != int(end):
            raise SpaceError(
                f"{end!r} is not a whole number", key=key, cure="write `distribution: uniform` for fractions"
            )
        if abs(end) > _LARGEST_INT:
            raise SpaceError(f"{end!r} is beyond 2**53", key=key)
    if word == "int_log_uniform" and low < 1:
        raise SpaceError(f"{low!r} has no logarithm: a log range of whole numbers begins at 1 or above", key="min")
    if low == high:
        return "constant", {"value": int(low)}
    return word, {"min": int(low), "max": int(high)}


def _bell(word: str, figures: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    options = {key: _number(key, value) for key, value in figures.items()}
    for key in ("a", "b"):
        if key in options and options[key] <= 0:
            raise SpaceError(f"{options[key]!r} is not above 0", key=key)
    if options.get("sigma", 1.0) < 0:
        raise SpaceError(f"{options['sigma']!r} is negative", key="sigma")
    options = {key: value if key == "q" else float(value) for key, value in options.items()}
    if "q" in options:
        _positive("q", options["q"])
    base = word.removeprefix("q_")
    if base == "log_normal":
        _exp(options["mu"] + 6 * options["sigma"], "mu")
    if "q" in options:
        _check_grid(0.0, _reach(base, options), options["q"])
    if options.get("sigma") == 0:
        value = math.exp(options["mu"]) if base == "log_normal" else options["mu"]
        return "constant", {
            "value": distributions.multiple(round(value / options["q"]), options["q"]) if "q" in options else value
        }
    return word, options


def _reach(base: str, options: Mapping[str, float]) -> float:
    """How far from zero its values come, the far tail left out."""
    if base == "beta":
        return 1.0
    end = abs(options["mu"]) + 6 * options["sigma"]
    return end if base == "normal" else math.exp(options["mu"] + 6 * options["sigma"])


def _number(key: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SpaceError(f"{value!r} is not a number", key=key)
    if not distributions.is_finite(value):
        raise SpaceError("is too large" if isinstance(value, int) else f"{value!r} is not finite", key=key)
    return value


def _positive(key: str, value: Any) -> Any:
    if _number(key, value) <= 0:
        raise SpaceError(f"{value!r} is not above 0", key=key)
    return value


def _exp(exponent: float, key: str) -> float:
    try:
        value = math.exp(exponent)
    except OverflowError:
        value = math.inf
    if not 0 < value < math.inf:
        raise SpaceError(
            f"e to the {exponent:g} is out of range: the ends of this distribution are exponents of e",
            key=key,
            cure="`log_uniform_values` takes the ends themselves",
        )
    return value


def _check_grid(low: float, high: float, q: float) -> None:
    if max(abs(low), abs(high)) / q > _LARGEST_INT:
        raise SpaceError(f"{q!r} is too fine for this range", key="q")


def _check_value(value: Any, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"{value!r} is not finite", key=key)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INT:
        raise SpaceError(f"{value!r} is beyond 2**53", key=key, cure="write it as text, in quotes")
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_value(item, key)
    elif isinstance(value, Mapping):
        for item in value.values():
            _check_value(item, key)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
