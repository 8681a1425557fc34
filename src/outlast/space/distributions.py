"""The distributions: how a drawn number becomes the value that the training gets, and back.

Each is known by W&B's word for it, with W&B's meaning (their sweep documentation, "distribution options"). A sampler
draws only the plain shapes of `Latent`; what those cannot say is drawn as its quantile. ``q_`` in front rounds to
multiples of ``q``. `outlast.space.definitions` turns what a study file says into one of these words and its figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

#: Quantiles are drawn from here to one minus here: the tails beyond are cut, so that every shape has finite ends.
TAIL = 1e-9


class Latent(Struct, frozen=True):
    """What a sampler draws for a parameter: the plain shape that every optimiser understands.

    ``float``: ``low <= x <= high``, on a log scale if ``log``, in multiples of ``step`` from ``low`` if given.
    ``int``: the same over whole numbers. ``categorical``: one of ``choices`` (None, bool, int, float or str).
    """

    kind: Literal["float", "int", "categorical"]
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()


class Multiples(Sequence[Any]):
    """The multiples of ``q`` from ``first * q`` to ``last * q``; whole numbers where ``q`` is one."""

    def __init__(self, first: int, last: int, q: float) -> None:
        self.first, self.last, self.q = first, last, q

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __getitem__(self, index: Any) -> Any:
        return multiple(range(self.first, self.last + 1)[index], self.q)

    def __iter__(self) -> Iterator[Any]:
        return (multiple(k, self.q) for k in range(self.first, self.last + 1))


def multiple(k: int, q: float) -> Any:
    """``k * q`` without the noise of binary fractions (3 * 0.1 is 0.3); an int where ``q`` is one."""
    if isinstance(q, int):
        return k * q
    return float(f"{k * q:.12g}")


def is_finite(value: float) -> bool:
    """Whether a number can be calculated with: neither infinite nor a whole number beyond every float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


# -- the real line: what lies under the rounding ------------------------------------------------------------------


def latent(distribution: str, options: Mapping[str, Any]) -> Latent:
    """What is drawn for this distribution."""
    base = distribution.removeprefix("q_")
    if base == "categorical":
        if "probabilities" in options:
            return Latent("float", 0.0, 1.0)
        values = options["values"]
        return Latent("categorical", choices=tuple(values) if _plain(values) else tuple(range(len(values))))
    if base in ("int_uniform", "int_log_uniform"):
        return Latent("int", options["min"], options["max"], log=base == "int_log_uniform")
    if base in ("uniform", "log_uniform_values"):
        return Latent("float", options["min"], options["max"], log=base == "log_uniform_values")
    return Latent("float", TAIL, 1.0 - TAIL)


def decode(distribution: str, options: Mapping[str, Any], drawn: Any) -> Any:
    """The value that the training gets for what was drawn."""
    base = distribution.removeprefix("q_")
    if base == "categorical":
        values = options["values"]
        if "probabilities" in options:
            return values[_bin(options["probabilities"], float(drawn))]
        return values[_position(values, drawn)] if _plain(values) else values[int(drawn)]
    if base in ("int_uniform", "int_log_uniform"):
        return int(drawn)
    value = _real(base, options, float(drawn))
    return multiple(round(value / options["q"]), options["q"]) if distribution != base else value


def encode(distribution: str, options: Mapping[str, Any], value: Any) -> Any:
    """What would have to be drawn for this value.

    Raises:
        ValueError: The value lies outside; the message says what is allowed.
    """
    base = distribution.removeprefix("q_")
    if base == "categorical":
        position = _position(options["values"], value)
        if "probabilities" in options:
            return _middle(options["probabilities"], position)
        return options["values"][position] if _plain(options["values"]) else position
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        raise ValueError(f"{value!r} is not a number")
    if base in ("int_uniform", "int_log_uniform"):
        if value != int(value):
            raise ValueError(f"{value!r} is not a whole number")
        if not options["min"] <= value <= options["max"]:
            raise ValueError(f"{value!r} is not from {options['min']} to {options['max']}")
        return int(value)
    low, high = _support(base, options)
    if distribution != base:
        return _quantile(base, options, _on_grid(value, options["q"], low, high))
    slack = 1e-9 * max(abs(low), abs(high))
    if not low - slack <= value <= high + slack:
        raise ValueError(f"{value!r} is not from {low:g} to {high:g}")
    return _quantile(base, options, min(max(float(value), low), high))


def choices(distribution: str, options: Mapping[str, Any]) -> Sequence[Any] | None:
    """Every value that can come out, in order; ``None`` where there is no end of them."""
    base = distribution.removeprefix("q_")
    if base == "categorical":
        weights = options.get("probabilities")
        return [v for i, v in enumerate(options["values"]) if weights is None or weights[i] > 0]
    if base in ("int_uniform", "int_log_uniform"):
        return range(options["min"], options["max"] + 1)
    if distribution == base or base in ("normal", "log_normal"):
        return None
    low, high = (0.0, 1.0) if base == "beta" else _support(base, options)
    return Multiples(round(low / options["q"]), round(high / options["q"]), options["q"])


def shown(distribution: str, options: Mapping[str, Any]) -> Latent:
    """The nearest plain shape in the value's own units, for people who look at the index."""
    base = distribution.removeprefix("q_")
    if base == "categorical":
        return Latent("categorical", choices=tuple(shown_value(distribution, options, v) for v in options["values"]))
    if base in ("int_uniform", "int_log_uniform"):
        return latent(distribution, options)
    low, high = _support(base, options)
    log = base in ("log_uniform_values", "log_normal")
    if distribution == base:
        return Latent("float", low, high, log=log and low > 0)
    q = options["q"]
    low, high = multiple(round(low / q), q), multiple(round(high / q), q)
    if isinstance(q, int):
        logged = log and q == 1 and low >= 1
        return Latent("int", low, high, step=None if logged or q == 1 else q, log=logged)
    return Latent("float", low, high, log=log and low > 0)


def shown_value(distribution: str, options: Mapping[str, Any], value: Any) -> Any:
    """The value as `shown`'s distribution has it: lists and mappings as JSON text, everything else as it is."""
    if distribution == "categorical" and not _plain(options["values"]):
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return value


def _real(base: str, options: Mapping[str, Any], drawn: float) -> float:
    if base in ("uniform", "log_uniform_values"):
        return min(max(drawn, float(options["min"])), float(options["max"]))
    quantile = min(max(drawn, TAIL), 1.0 - TAIL)
    if base == "beta":
        from scipy.special import betaincinv  # scipy costs half a second and few studies draw a beta

        return float(betaincinv(options["a"], options["b"], quantile))
    from statistics import NormalDist  # few studies have one, and every command would wait for it

    value = NormalDist().inv_cdf(quantile) * options["sigma"] + options["mu"]
    return math.exp(value) if base == "log_normal" else value


def _quantile(base: str, options: Mapping[str, Any], value: float) -> float:
    if base in ("uniform", "log_uniform_values"):
        return value
    if base == "beta":
        from scipy.special import betainc

        quantile = float(betainc(options["a"], options["b"], value))
    else:
        value = math.log(value) if base == "log_normal" else value
        quantile = 0.5 * math.erfc((options["mu"] - value) / options["sigma"] / math.sqrt(2.0))
    return min(max(quantile, TAIL), 1.0 - TAIL)


def _support(base: str, options: Mapping[str, Any]) -> tuple[float, float]:
    if base in ("uniform", "log_uniform_values"):
        return float(options["min"]), float(options["max"])
    return _real(base, options, TAIL), _real(base, options, 1.0 - TAIL)


def _on_grid(value: float, q: float, low: float, high: float) -> float:
    k = round(value / q)
    if abs(value - k * q) > 1e-9 * max(abs(value), abs(q)):
        raise ValueError(f"{value!r} is not a multiple of {q}")
    if not round(low / q) <= k <= round(high / q):
        raise ValueError(f"{value!r} is not from {multiple(round(low / q), q)} to {multiple(round(high / q), q)}")
    return min(max(k * q, low), high)


# -- choices ------------------------------------------------------------------------------------------------------


def _plain(values: Sequence[Any]) -> bool:
    """Whether an optimiser can take these choices as they are: scalars, and no two equal (``1`` and ``True`` are)."""
    if not all(v is None or isinstance(v, (bool, int, float, str)) for v in values):
        return False
    return len(set(values)) == len(values)


def _position(values: Sequence[Any], value: Any) -> int:
    for i, candidate in enumerate(values):
        if type(candidate) is type(value) and candidate == value:
            return i
    for i, candidate in enumerate(values):
        if not isinstance(candidate, bool) and not isinstance(value, bool) and candidate == value:
            return i
    raise ValueError(f"{value!r} is not one of {', '.join(map(repr, values))}")


def _bin(probabilities: Sequence[float], quantile: float) -> int:
    reached = 0.0
    last = 0
    for i, probability in enumerate(probabilities):
        if probability > 0:
            reached, last = reached + probability, i
            if quantile < reached:
                return i
    return last


def _middle(probabilities: Sequence[float], position: int) -> float:
    if probabilities[position] <= 0:
        raise ValueError("this value has probability 0")
    return sum(probabilities[:position]) + probabilities[position] / 2
