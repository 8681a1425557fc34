"""Optuna's samplers by the words of a study file, their options checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import samplers
from optuna.samplers import BaseSampler

from outlast.config.plugins import check_options, is_dotted, load_class
from outlast.errors import StudyFileError

_CLASSES: dict[str, type[BaseSampler]] = {
    "tpe": samplers.TPESampler,
    "gp": samplers.GPSampler,
    "cmaes": samplers.CmaEsSampler,
    "random": samplers.RandomSampler,
    "qmc": samplers.QMCSampler,
    "nsga2": samplers.NSGAIISampler,
}
# Callables and objects, which a file cannot express, and switches for notices that nobody would see.
_HIDDEN = (
    "seed", "constraints_func", "independent_sampler", "source_trials", "gamma", "weights", "mutation", "crossover",
    "elite_population_selection_strategy", "child_generation_strategy", "after_trial_strategy",
    "warn_independent_sampling", "warn_asynchronous_seeding", "restart_strategy", "inc_popsize",
)  # fmt: skip


def class_of(name: str, options: Mapping[str, Any]) -> type[BaseSampler]:
    """The class of a sampler, by our word or its dotted path.

    Raises:
        StudyFileError: There is none, it goes through its points in an order of its own, or has no such option.
    """
    found = _CLASSES.get(name)
    if found is None:
        found = load_class(name, BaseSampler, "sampler", "an Optuna sampler")  # type: ignore[type-abstract]
        if issubclass(found, samplers.GridSampler):
            raise StudyFileError(
                f"{name} goes through its points in an order that lives as long as the object, and a sampler is made "
                "anew for each trial: it would repeat points, and never end",
                key="sampler",
                cure="`sampler: grid` does, over parameters with `values: […]`",
            )
    hidden = ("seed",) if is_dotted(name) else _HIDDEN
    check_options(name, options, "sampler", of=found, hidden=hidden, beside=("seed",))
    return found
