"""What other programs call the figures of a parameter: Optuna, Ray Tune, Hyperopt, NNI, SMAC, scikit-optimize. For cures only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIGURES = {
    "min": ("low", "lower", "minimum", "start", "from", "lo", "left", "min_value", "lower_bound"),
    "max": ("high", "upper", "maximum", "stop", "to", "end", "hi", "right", "max_value", "upper_bound"),
    "q": ("step", "step_size", "stepsize", "quantize", "quantum", "resolution"),
    "values": ("choices", "options", "categories", "items", "enum", "list", "candidates", "grid", "range", "bounds"),
    "probabilities": ("weights", "probs", "p", "prior_weights"),
    "mu": ("mean", "loc"),
    "sigma": ("std", "stddev", "sd"),
}
_WORDS = {
    "log_uniform_values": ("loguniform", "log", "reciprocal", "uniformlog", "logfloat", "floatlog", "loguniformvalues"),
    "int_log_uniform": ("intlog", "logint", "lograndint", "loguniformint", "intloguniform"),
    "int_uniform": ("int", "integer", "randint", "uniformint", "intuniform", "qrandint"),
    "uniform": ("float", "double", "real", "continuous", "linear", "uniformfloat"),
    "q_uniform": ("quniform", "discreteuniform"),
    "q_log_uniform_values": ("qloguniform", "qloguniformvalues"),
    "categorical": ("choice", "choices", "cat", "discrete", "ordinal", "str", "string", "bool", "boolean"),
    "normal": ("gaussian", "norm", "randn"),
    "log_normal": ("lognormal", "lognorm"),
    "q_normal": ("qnormal",),
    "constant": ("fixed", "const"),
}
_SCALES = ("log", "log_scale", "logscale", "scale", "is_log", "use_log", "prior", "log_base")
_KINDS = ("type", "dist", "kind", "sampling", "distribution_type")
_FIRST = ("default", "init", "initial", "guess", "start_value")


def distribution_for(word: Any) -> str | None:
    """Our word for somebody else's distribution, such as ``loguniform``; ``None`` where it is not known."""
    plain = "".join(letter for letter in str(word).lower() if letter.isalpha()).removeprefix("suggest")
    return next((ours for ours, theirs in _WORDS.items() if plain in theirs), None)


def figure_for(key: str, definition: Mapping[str, Any]) -> str | None:
    """What to write for a key of somebody else's; ``None`` where it is not known."""
    plain = key.lower().replace("-", "_")
    if plain in _SCALES:
        ends = [definition.get("min", definition.get("low")), definition.get("max", definition.get("high"))]
        whole = all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
        word = "int_log_uniform" if whole else "log_uniform_values"
        return f"write `distribution: {word}`, or `{'logint' if whole else 'log'}({ends[0]}, {ends[1]})`"
    if plain in _KINDS:
        word = distribution_for(definition[key]) or str(definition[key])
        return "leave it out: `values` says it" if word == "categorical" else f"write `distribution: {word}`"
    if plain in _FIRST:
        return "`enqueue:` beside `parameters:` tries a configuration first"
    ours = next((ours for ours, theirs in _FIGURES.items() if plain in theirs), None)
    return f"write `{ours}`" if ours else None
