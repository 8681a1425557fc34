"""What the arguments of `outlast.Study.create` describe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from outlast.api.as_optuna import chosen, refuse_words
from outlast.api.described import Described, Metric
from outlast.api.handed_over import HandedOver
from outlast.config.settings import Settings
from outlast.engine.hold.opening import Given
from outlast.errors import UsageError

_SAID_IN = "Study.create()"
_VALUE: Metric = ("value", "minimize")  # of an objective: Optuna's default
#: Optuna's words that are others here than in `outlast.optimize`.
_OTHERWISE = {
    "direction": 'maximize="NAME" or minimize="NAME", the metric and its goal in one',
    "directions": 'metric=[{"name": …, "goal": "maximize"}, …]',
    "func": "objective= for one that takes a trial",
}


def described(
    source: str | os.PathLike[str] | Mapping[str, Any] | None,
    keys: Mapping[str, Any],
    *,
    objective: Callable[..., Any] | None,
    maximize: str | None,
    minimize: str | None,
    trials: int | None,
) -> Described:
    """The search that is meant.

    Args:
        source: A study file, or its keys.
        keys: More of them, which change it.
        objective, maximize, minimize, trials: See `outlast.Study.create`.

    Raises:
        UsageError: Two ways to train, or two metrics.
    """
    if callable(source):
        cure = "objective= for one that takes a trial, function= for one that takes the parameters"
        raise UsageError("a function was given where a study file or its keys go", cure=cure)
    refuse_words(keys, _SAID_IN, _OTHERWISE)
    own = {**source} if isinstance(source, Mapping) else {}
    said = {**own, **keys}
    sampler, pruner, constraints = chosen(said.get("sampler"), said.get("pruner"))
    said |= {key: word for key, word in (("sampler", sampler), ("pruner", pruner)) if word is not None}
    if isinstance(said.get("budget"), Mapping) or trials is not None:
        said["budget"] = {**(said.get("budget") or {}), **({} if trials is None else {"trials": trials})}
    metric = _metric(keys, maximize, minimize)
    if metric is not None and "metric" in said:  # of the mapping, which it changes
        del said["metric"]
    handed = _handed_over(said, objective, {} if constraints is None else {"constraints": constraints})
    file = None if source is None or isinstance(source, Mapping) else os.fspath(source)
    if handed is not None:
        if file is not None:
            raise UsageError("a study file says how to train itself", cure="leave it out, or the objective")
        name, goal = metric or _VALUE
        said.setdefault("metric", [{"name": name, "goal": goal}])
        return Described(said, _SAID_IN, objective=handed)
    return Described(said, _SAID_IN, file=file, metric=metric)


def given_from(
    places: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> Callable[[Settings], Given] | None:
    """Earlier studies whose best a new one begins with."""
    if not places:
        return None
    from outlast.engine.care.warm_start import WarmStart

    several = [places] if isinstance(places, (str, os.PathLike)) else places
    return WarmStart([os.fspath(place) for place in several]).prepared


def _metric(keys: Mapping[str, Any], maximize: str | None, minimize: str | None) -> Metric | None:
    if maximize is not None and minimize is not None:
        raise UsageError("maximize and minimize exclude each other", cure="metric=[…] takes several objectives")
    if maximize is None and minimize is None:
        return None
    if "metric" in keys:
        word = "minimize" if maximize is None else "maximize"
        raise UsageError(f"metric and {word}: two metrics", cure="keep one of them")
    return (maximize, "maximize") if maximize is not None else (str(minimize), "minimize")


def _handed_over(
    said: dict[str, Any], objective: Callable[..., Any] | None, around: Mapping[str, Any]
) -> HandedOver | None:
    """The objective, or the function that is none of a module; `said` is left without it."""
    function = said.get("function")
    ways = [
        name
        for name, way in (("objective", objective), ("function", function), ("command", said.get("command")))
        if way
    ]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)}: two ways to train", cure="keep one of them")
    takes_trial = objective is not None and "parameters" not in said
    if around and not takes_trial:
        raise UsageError(
            f"{min(around)}: is for an objective that takes a trial", cure="objective=, without parameters="
        )
    if objective is not None:
        return HandedOver(objective, takes_trial=takes_trial, around=around)
    if not callable(function):
        return None
    del said["function"]
    if not said.get("parameters"):
        raise UsageError(
            "a function is called with its parameters", cure="parameters={…}, or objective= for one that draws"
        )
    return HandedOver(function, takes_trial=False)
