"""What `optimize` takes in Optuna's own form, in ours: samplers and pruners as objects, and words of `study.optimize`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from outlast.errors import UsageError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Sampler: TypeAlias = "str | Mapping[str, Any] | BaseSampler"
Pruner: TypeAlias = "str | Mapping[str, Any] | BasePruner"

#: Words of `optuna.create_study` and `study.optimize`, and what is said instead.
_WORDS = {
    "n_trials": "trials=, the total of the study over all calls",
    "n_jobs": "parallel=, trials side by side",
    "study_name": "name=",
    "func": "the objective comes first, without a name",
    "storage": "dir=, the study's folder: an Optuna database, study.db, is kept in it",
    "load_if_exists": "the same call goes on by itself; fresh=True begins anew",
    "gc_after_trial": "leave it out: a trial is a process of its own, and its memory is gone with it",
    "show_progress_bar": "leave it out: a line is printed for each trial, and `outlast watch` shows the search as it runs",
    "constraints_func": "the sampler takes it, as with Optuna: sampler=optuna.samplers.TPESampler(constraints_func=…)",
    "study": "a search has a study of its own; `outlast import` brings an Optuna study's trials into one",
}


def refuse_words(given: Iterable[str], said_in: str = "optimize()", otherwise: Mapping[str, str] | None = None) -> None:
    """Refuse arguments that are Optuna's words, with the right one.

    Args:
        given: Names of arguments.
        said_in: What errors call the call.
        otherwise: Words whose right one is another in this call.

    Raises:
        UsageError: There is one.
    """
    known = {**_WORDS, **(otherwise or {})}
    for name in given:
        if name in known:
            raise UsageError(f"{said_in} has no {name}=", cure=known[name])


def chosen(sampler: Sampler | None, pruner: Pruner | None) -> tuple[Any, Any, Callable[..., Any] | None]:
    """Sampler and pruner as a study file says them, and the sampler's function of constraints, if it has one.

    Raises:
        UsageError: An object that cannot be on record.
    """
    constraints = None
    optuna = sys.modules.get("optuna")  # whoever has such an object has imported it
    if optuna is not None:
        from outlast.optimizer.bridge.given_objects import pruner_of, sampler_of

        if isinstance(sampler, optuna.samplers.BaseSampler):
            sampler, constraints = sampler_of(sampler)
        if isinstance(pruner, optuna.pruners.BasePruner):
            pruner = pruner_of(pruner)
    return _plain(sampler), _plain(pruner), constraints


def caught(catch: Iterable[type[Exception]] | type[Exception]) -> tuple[type[Exception], ...]:
    """The exceptions that `catch` names.

    Raises:
        UsageError: It names something else.
    """
    classes = tuple(catch) if isinstance(catch, Iterable) else (catch,)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, Exception)):
            raise UsageError(f"catch: {each!r} is no class of exceptions", cure="catch=(ValueError, …)")
    return classes


def called(callbacks: Iterable[Callable[..., Any]]) -> tuple[Callable[..., Any], ...]:
    """The callbacks of a search.

    Raises:
        UsageError: They are none, or no list of them.
    """
    cure = "callbacks=[f, …], each called as f(study, trial)"
    if not isinstance(callbacks, Iterable):
        raise UsageError(f"callbacks: {callbacks!r} is no list", cure=cure)
    found = tuple(callbacks)
    for each in found:
        if not callable(each):
            raise UsageError(f"callbacks: {each!r} cannot be called", cure=cure)
    return found


def _plain(said: Any) -> Any:
    return dict(said) if isinstance(said, Mapping) else said
