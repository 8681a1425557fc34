"""Samplers and pruners handed over as Optuna objects: what a record can say of one, so that every later process makes the same.

An object does not say what it was made with, so its options are looked up in what it keeps; another one is then made of them and
compared with it. One that differs anywhere is refused: nothing may run that the next process could not go on with.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from optuna import pruners, samplers
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.samplers._lazy_random_state import LazyRandomState

from outlast.config.plugins import quiet
from outlast.errors import UsageError
from outlast.optimizer.bridge.alike import difference, seed_of_numbers
from outlast.optimizer.bridge.sampler_view import silent

#: Those that are made anew from the record by rules of our own, and mean the same there.
_OUR_WORDS: dict[type, str] = {
    samplers.QMCSampler: "qmc",
    samplers.CmaEsSampler: "cmaes",
    pruners.HyperbandPruner: "hyperband",
    pruners.SuccessiveHalvingPruner: "asha",
    pruners.MedianPruner: "median",
    pruners.PercentilePruner: "percentile",
    pruners.PatientPruner: "patient",
    pruners.WilcoxonPruner: "wilcoxon",
    pruners.NopPruner: "none",
}
#: Those that go through a finite space in an order that lives as long as the object.
_IN_ORDER = (samplers.GridSampler, samplers.BruteForceSampler)
#: Options of a sampler that no record holds: its trials keep the constraints, and a seed is the study's.
_APART = ("seed", "constraints_func")
_MISSING: Any = object()


def sampler_of(given: BaseSampler) -> tuple[dict[str, Any], Callable[..., Any] | None]:
    """A sampler as a study file says it, with its seed if it has one, and its function of constraints.

    Raises:
        UsageError: It holds something that cannot be on record.
    """
    if isinstance(given, _IN_ORDER):
        raise UsageError(
            f"sampler: {type(given).__name__} tries everything in an order that only this object knows",
            cure='sampler="grid" does, over parameters={"x": {"values": […]}} and a function of them',
        )
    constraints = getattr(given, "_constraints_func", None)
    said = _said(given, "sampler", {"constraints_func": constraints} if constraints else {})
    seed = _seed_of(given)
    return said if seed is None else {**said, "seed": seed}, constraints


def pruner_of(given: BasePruner) -> dict[str, Any]:
    """A pruner as a study file says it.

    Raises:
        UsageError: It holds something that cannot be on record.
    """
    return _said(given, "pruner", {})


def _said(given: Any, what: str, apart: Mapping[str, Any]) -> dict[str, Any]:
    cls = type(given)
    if "<locals>" in cls.__qualname__:
        raise _refused(given, what, "its class is made inside a function, where no other process finds it")
    options: dict[str, Any] = {}
    for name in inspect.signature(cls).parameters:
        value = next(_kept_as(given, name), _MISSING)
        if name not in _APART and value is not _MISSING and (isinstance(value, BasePruner) or _is_plain(value)):
            options[name] = value
    if trouble := _trouble(given, options, apart):
        raise _refused(given, what, trouble)
    for name in list(options):  # a record says no more than it must
        less = {other: value for other, value in options.items() if other != name}
        options = options if _trouble(given, less, apart) else less
    said = {name: pruner_of(value) if isinstance(value, BasePruner) else value for name, value in options.items()}
    return {"name": _name_of(cls), **said}


def _name_of(cls: type) -> str:
    if cls in _OUR_WORDS:
        return _OUR_WORDS[cls]
    for module in (samplers, pruners):
        if cls.__name__ in module.__all__ and getattr(module, cls.__name__) is cls:
            return f"{module.__name__}.{cls.__name__}"
    return f"{cls.__module__}:{cls.__qualname__}"


def _trouble(given: Any, options: Mapping[str, Any], apart: Mapping[str, Any]) -> str:
    """Why one that is made anew with these options would be another; the empty text where it is the same."""
    seed = _seed_of(given)
    seeded = {} if seed is None or "seed" not in inspect.signature(type(given)).parameters else {"seed": seed}
    try:
        with quiet(), silent():
            again = type(given)(**options, **apart, **seeded)
    except Exception as error:
        return f"what it was made with is not seen in it ({error})"
    # Unscrambled and without a seed, this one draws one that says nothing.
    beside = ("_seed",) if isinstance(given, samplers.QMCSampler) and seed is None else ()
    other = difference(given, again, beside=beside)
    return f"no record can hold its {other}" if other else ""


def _refused(given: Any, what: str, why: str) -> UsageError:
    cls = type(given)
    cure = (
        f'a class of your own in a module can: {what}={{"name": "package.module.MyClass", …}}, whose __init__ takes plain '
        f"values and makes the {cls.__name__} of them"
    )
    if "<locals>" in cls.__qualname__:
        cure = f'move it into a module: {what}={{"name": "package.module.{cls.__name__}", OPTION: VALUE}}'
    elif not cls.__module__.startswith("optuna."):
        cure = f'say what it is made with: {what}={{"name": "{cls.__module__}:{cls.__qualname__}", OPTION: VALUE}}'
    return UsageError(f"{what}: this {cls.__name__} cannot be kept with the study: {why}", cure=cure)


def _kept_as(given: Any, name: str) -> Iterator[Any]:
    """The values that an object, or what it holds, keeps under the name of an option."""
    inside = [value for value in vars(given).values() if not _is_plain(value)]
    for holder in (given, *inside):
        for attribute in (f"_{name}", name):
            if (found := getattr(holder, attribute, _MISSING)) is not _MISSING and not inspect.ismethod(found):
                yield found


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return type(value) in (list, tuple) and all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def _seed_of(given: Any) -> int | None:
    """What its random numbers descend from; ``None`` where nobody gave a seed, or nobody can say which."""
    inside = [found for value in vars(given).values() if hasattr(value, "__dict__") for found in vars(value).values()]
    for value in (*vars(given).values(), *inside):
        if isinstance(value, (LazyRandomState, np.random.RandomState, np.random.Generator)):
            seed = seed_of_numbers(value)
            if isinstance(seed, int):
                return seed
    if isinstance(given, samplers.QMCSampler) or "seed" not in inspect.signature(type(given)).parameters:
        return None
    return next(
        (kept for kept in _kept_as(given, "seed") if type(kept) is int), None
    )  # `random.Random` does not say it
