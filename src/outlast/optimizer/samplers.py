"""The samplers that a study file can name."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from outlast.config.native import SAMPLERS
from outlast.config.plugins import build, check_options, is_dotted, quiet
from outlast.config.settings import Settings
from outlast.core.nearest import nearest
from outlast.errors import MissingExtra, StudyFileError
from outlast.optimizer.auto import FEW_TRIALS, FIRST_TRIALS, asks_gaussian, is_gaussians_turn, said_of_auto
from outlast.optimizer.failure_feedback import Lesson
from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.ranges import Range
from outlast.optimizer.suggester import Suggester

if TYPE_CHECKING:  # what loads NumPy or Optuna is loaded when it is needed
    from optuna.samplers import BaseSampler

    from outlast.optimizer.bridge.sampler_view import View
    from outlast.optimizer.gaussian.gaussian_search import GaussianSearch
    from outlast.optimizer.tpe.long_tpe import LongTPE
    from outlast.optimizer.tpe.trial_columns import TrialColumns

#: The options that TPE takes without Optuna, and of which type; any other is Optuna's to judge.
_OF_TPE = {"n_startup_trials": int, "n_ei_candidates": int, "multivariate": bool, "group": bool, "constant_liar": bool}


class SamplerFactory:
    """A checked choice of sampler, built anew for every trial.

    A fresh sampler with a seed of its own makes a suggestion depend on nothing but the ledger: what a sampler would
    carry from one suggestion to the next in memory cannot be lost, because it is never there.

    Optuna is not loaded where a sampler of our own suggests: at random, a Gaussian process, and TPE for one objective.

    Raises:
        StudyFileError: Unknown name or option, or a sampler that does not fit the study.
        MissingExtra: The sampler needs a package that is not installed.
    """

    def __init__(self, study: Settings) -> None:
        settings, objectives = study.sampler, len(study.metrics)
        conditional = any(parameter.when for parameter in study.parameters) or not study.parameters
        is_auto = settings.name == "auto"
        self.name = "tpe" if is_auto else settings.name
        #: What people are told it is.
        self.said = said_of_auto(study) if is_auto else self.name
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
        if self.name == "gaussian" and not study.parameters:
            raise StudyFileError("gaussian needs parameters in the study file", key="sampler", cure="use tpe")
        self._options = _completed(self.name, settings.options, conditional)
        self._random = RandomDraws() if self.name == "random" and not self._options else None
        self._tpe: LongTPE | None = None
        #: The Gaussian process, which suggests all trials, or takes turns.
        self.gaussian: GaussianSearch | None = None
        #: How it learns that a configuration cannot run.
        self.lesson = Lesson.PRUNED
        #: What the sampler knows of all trials, if it takes that in columns.
        self.columns: TrialColumns | None = None
        #: The private study that Optuna's samplers look at.
        self.view: Callable[[], View] | None = None
        self._class: type[BaseSampler] | None = None  # of Optuna's
        self._kept: BaseSampler | None = None
        if self.name == "gaussian" or (is_auto and asks_gaussian(study)):
            from outlast.optimizer.gaussian.gaussian_search import GaussianSearch

            check_options("gaussian", settings.options, "sampler", of=GaussianSearch, beside=("seed",))
            self.gaussian = GaussianSearch(**settings.options)
        if self.name == "grid":
            check_options("grid", self._options, "sampler", of=None, beside=("seed",))
        elif self.name == "tpe" and objectives == 1 and _known_to_tpe(self._options):
            from outlast.optimizer.tpe.long_tpe import LongTPE

            self._tpe = LongTPE(**self._options)
        elif self._random is None and self.name != "gaussian":
            self._look_at_optunas()

    def _look_at_optunas(self) -> None:
        """What is wrong with a choice of Optuna's is said now, not at the first trial."""
        from outlast.optimizer.bridge.optuna_rows import lesson_of

        made = self._build(0)
        self.lesson = lesson_of(type(made))
        if self.is_custom and "seed" not in inspect.signature(type(made)).parameters:
            self._kept = made  # it cannot be made anew for each trial

    @property
    def wants_columns(self) -> bool:
        """Whether it takes what it knows of trials in columns."""
        return self._tpe is not None

    def suggester(self, number: int, seed: int, whole: Mapping[str, Range] | None = None) -> Suggester:
        """What draws for a trial, its random numbers descending from the seed; in use until the next one is asked for.

        Args:
            whole: The parameters that one of Optuna's always draws together; ``None``: those that it infers.
        """
        if self._random is not None:
            self._random.reseed(seed)
            return self._random
        if self.gaussian is not None and (self.name == "gaussian" or self._is_gaussians_turn(number)):
            self.gaussian.suggest_for(number, seed)
            return self.gaussian
        if self._tpe is not None and self.columns is not None and self.columns.fits():
            self._tpe.by_turns = self.gaussian is not None and self.gaussian.seen.others(number) < FEW_TRIALS
            self._tpe.suggest_for(number, seed, self.columns)
            return self._tpe
        from outlast.optimizer.bridge.optuna_suggester import OptunaSuggester

        assert self.view is not None
        return OptunaSuggester(self._build(seed), self.view(), number, whole)

    def _is_gaussians_turn(self, number: int) -> bool:
        assert self.gaussian is not None
        others = self.gaussian.seen.others(number)
        ended = self.columns.ended if self.columns is not None and self.columns.fits() else others
        return is_gaussians_turn(number, others, ended, self._options.get("n_startup_trials", FIRST_TRIALS))

    def tell_ended(self, number: int, seed: int) -> None:
        """Give one of Optuna's its say about a finished trial."""
        from outlast.optimizer.bridge.optuna_suggester import tell_ended

        assert self.view is not None
        tell_ended(self._build(seed), self.view(), number)

    def _build(self, seed: int) -> BaseSampler:
        """One of Optuna's."""
        from outlast.optimizer.bridge.optuna_samplers import class_of

        if self._kept is not None:
            return self._kept
        self._class = self._class or class_of(self.name, self._options)
        options, signature = dict(self._options), inspect.signature(self._class).parameters
        if "seed" in signature:
            options["seed"] = seed
        if "warn_independent_sampling" in signature and self.name != "tpe":
            options.setdefault("warn_independent_sampling", False)
        with quiet():
            return build(self._class, self.name, options, "sampler")


def _completed(name: str, given: Mapping[str, Any], conditional: bool) -> dict[str, Any]:
    """The options with what is chosen here where nothing is said."""
    options = dict(given)
    if name == "tpe" and conditional and options.get("multivariate", True):
        options.setdefault("multivariate", True)
        options.setdefault("group", True)
    elif name == "tpe":
        options.setdefault("multivariate", True)
    elif name == "qmc":
        options.setdefault("scramble", True)  # unscrambled, the first point is the lowest corner
    return options


def _known_to_tpe(options: Mapping[str, Any]) -> bool:
    """Whether TPE can do without Optuna, which says what is wrong with others."""
    if any(type(value) is not _OF_TPE.get(name) for name, value in options.items()):
        return False
    return options.get("n_ei_candidates", 1) >= 1 and (options.get("multivariate", True) or not options.get("group"))
