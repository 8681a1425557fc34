"""The samplers that a study file can name."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

from optuna import samplers as optuna_samplers
from optuna.samplers import BaseSampler

from outlast.config.native import SAMPLERS
from outlast.config.plugins import build, check_options, is_dotted, load_class, quiet
from outlast.config.settings import SamplerSettings
from outlast.core.nearest import nearest
from outlast.errors import MissingExtra, StudyFileError
from outlast.optimizer.auto import meant_by_auto
from outlast.optimizer.failure_feedback import lesson_of
from outlast.optimizer.gaussian_search import GaussianSearch
from outlast.optimizer.long_tpe import LongTPE
from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.trial_columns import TrialColumns
from outlast.optimizer.unit_rows import UnitRows

_CLASSES: dict[str, type[BaseSampler]] = {
    "tpe": LongTPE,
    "gaussian": GaussianSearch,
    "gp": optuna_samplers.GPSampler,
    "cmaes": optuna_samplers.CmaEsSampler,
    "random": RandomDraws,
    "qmc": optuna_samplers.QMCSampler,
    "nsga2": optuna_samplers.NSGAIISampler,
}
# Callables and objects, which a file cannot express, and switches for notices that nobody would see.
_HIDDEN = (
    "seed", "constraints_func", "independent_sampler", "source_trials", "gamma", "weights", "mutation", "crossover",
    "elite_population_selection_strategy", "child_generation_strategy", "after_trial_strategy",
    "warn_independent_sampling", "warn_asynchronous_seeding", "restart_strategy", "inc_popsize",
)  # fmt: skip


class SamplerFactory:
    """A checked choice of sampler, built anew for every trial.

    A fresh sampler with a seed of its own makes a suggestion depend on nothing but the ledger: what a sampler would
    carry from one suggestion to the next in memory cannot be lost, because it is never there.

    Raises:
        StudyFileError: Unknown name or option, or a sampler that does not fit the study.
        MissingExtra: The sampler needs a package that is not installed.
    """

    def __init__(self, settings: SamplerSettings, *, objectives: int, conditional: bool) -> None:
        self.name = settings.name
        if self.name == "auto":
            self.name = meant_by_auto(objectives)
        self.is_custom = is_dotted(self.name)
        if not self.is_custom and self.name not in SAMPLERS:
            raise StudyFileError(
                f"unknown sampler {self.name}; known: {', '.join(SAMPLERS)}, or a dotted path to an Optuna sampler",
                key="sampler",
                cure=nearest(self.name, SAMPLERS),
            )
        if self.name == "cmaes" and objectives > 1:
            raise StudyFileError("cmaes searches for one objective", key="sampler", cure="use nsga2, tpe or gp")
        if self.name == "gp" and importlib.util.find_spec("torch") is None:
            raise MissingExtra("the gp sampler needs PyTorch", cure="pip install 'outlast[torch]'")
        if self.name == "gaussian" and objectives > 1:
            raise StudyFileError("gaussian searches for one objective", key="sampler", cure="use nsga2, tpe or gp")
        self._objectives = objectives
        self._options = self._checked(settings, objectives, conditional)
        self.lesson = lesson_of(self._class)
        #: What the sampler knows of all trials, if it takes that in columns.
        self.columns: TrialColumns | None = None
        #: The space as rows of numbers, and what the first trials descend from, for the one that takes them.
        self.rows: UnitRows | None = None
        self.start = 0
        self._again: BaseSampler | None = None
        if self.name != "grid":
            self.build(0)  # wrong values are said now, not at the first trial

    def _checked(self, settings: SamplerSettings, objectives: int, conditional: bool) -> dict[str, Any]:
        options = dict(settings.options)
        if self.name == "grid":
            self._class: type[BaseSampler] = BaseSampler  # type: ignore[type-abstract]
            check_options("grid", options, "sampler", of=None, beside=("seed",))
            return options
        if self.is_custom:
            self._class = load_class(self.name, BaseSampler, "sampler", "an Optuna sampler")  # type: ignore[type-abstract]
            if issubclass(self._class, optuna_samplers.GridSampler):
                raise StudyFileError(
                    f"{self.name} goes through its points in an order that lives as long as the object, and a sampler is made "
                    "anew for each trial: it would repeat points, and never end",
                    key="sampler",
                    cure="`sampler: grid` does, over parameters with `values: […]`",
                )
        else:
            self._class = _CLASSES[self.name]
        hidden = ("seed",) if self.is_custom else _HIDDEN
        check_options(self.name, options, "sampler", of=self._class, hidden=hidden, beside=("seed",))
        if self.name == "tpe" and conditional and options.get("multivariate", True):
            options.setdefault("multivariate", True)
            options.setdefault("group", True)
        elif self.name == "tpe" and objectives == 1:
            options.setdefault("multivariate", True)
        elif self.name == "qmc":
            options.setdefault("scramble", True)  # unscrambled, the first point is the lowest corner
        return options

    @property
    def wants_columns(self) -> bool:
        """Whether it takes what it knows of trials in columns."""
        return issubclass(self._class, LongTPE) and self._objectives == 1

    @property
    def takes_seed(self) -> bool:
        """Whether the sampler can be made anew for each trial."""
        return not self.is_custom or "seed" in inspect.signature(self._class).parameters

    def build(self, seed: int) -> BaseSampler:
        """A sampler whose random numbers descend from the seed; one of ours is seeded again, so that it is in use once."""
        again = self._again
        if not looks_at_rows(again):
            assert isinstance(again, (RandomDraws, LongTPE))
            again.reseed(seed)
            return again
        self._again = self._built(seed)
        if isinstance(self._again, LongTPE):
            self._again.columns = self.columns
        elif isinstance(self._again, GaussianSearch) and self.rows is not None:
            self._again.rows, self._again.start = self.rows, self.start
        return self._again

    def _built(self, seed: int) -> BaseSampler:
        options = dict(self._options)
        signature = inspect.signature(self._class).parameters
        if "seed" in signature:
            options["seed"] = seed
        if "warn_independent_sampling" in signature and self.name != "tpe":
            options.setdefault("warn_independent_sampling", False)
        with quiet():
            return build(self._class, self.name, options, "sampler")


def looks_at_rows(sampler: BaseSampler | None) -> bool:
    """Whether a sampler looks at the trials themselves, and may keep what it saw from one suggestion to the next."""
    return not (isinstance(sampler, RandomDraws) or (isinstance(sampler, LongTPE) and sampler.keeps_nothing))
