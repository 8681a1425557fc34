"""Outlast's side: the product's own optimizer over a folded ledger, asked and told as its coordinator does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlast.config.settings import BudgetSettings, MetricSettings, SamplerSettings, Settings
from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, StudyCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.sampling import Optimizer
from outlast.space.definitions import define
from outlast.space.parameters import Parameter
from quality_lab.axes import Space
from quality_lab.simulated_clock import Params

_REAL = {False: "uniform", True: "log_uniform_values"}
_WHOLE = {False: "int_uniform", True: "int_log_uniform"}


def parameter_of(axis: Mapping[str, Any]) -> Parameter:
    """A parameter as a study file defines it."""
    if axis["kind"] == "choice":
        return define(axis["name"], {"values": axis["choices"]}, axis["when"])
    words = _WHOLE if axis["kind"] == "int" else _REAL
    definition = {"distribution": words[axis["log"]], "min": axis["low"], "max": axis["high"]}
    return define(axis["name"], definition, axis["when"])


def settings_of(space: Space, *, sampler: SamplerSettings, trials: int, workers: int, **more: Any) -> Settings:
    """The study file's settings."""
    return Settings(
        name="quality",
        command=("true",),
        metrics=(MetricSettings(name="loss", goal="minimize"),),
        parameters=tuple(parameter_of(axis) for axis in space),
        sampler=sampler,
        budget=BudgetSettings(trials=trials),
        parallel=workers,
        **more,
    )


class Ours:
    """A search by Outlast's optimizer."""

    def __init__(self, space: Space, sampler: SamplerSettings, *, seed: int, trials: int, workers: int) -> None:
        settings = settings_of(space, sampler=sampler, trials=trials, workers=workers)
        self._optimizer = Optimizer(settings, fold([StudyCreated("quality", "", study_seed=seed)]))
        self._count = 0

    def ask(self) -> tuple[int, Params] | None:
        """A trial's number and configuration."""
        draw = self._optimizer.ask(self._count)
        if draw is None:
            return None
        self._optimizer.apply(draw.created(self._count, "", 1))
        self._count += 1
        return self._count - 1, draw.params

    def tell(self, handle: int, value: float | None) -> None:
        """The trial's outcome; without a value it diverged."""
        state, cause = (TrialState.FAILED, Cause.DIVERGED) if value is None else (TrialState.COMPLETE, Cause.COMPLETED)
        self._optimizer.apply(AttemptEnded(handle, 1, "", state, cause, values=None if value is None else (value,)))

    @property
    def warnings(self) -> list[str]:
        """What people would have been told."""
        return self._optimizer.warnings
