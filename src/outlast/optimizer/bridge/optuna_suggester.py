"""Samplers of Optuna's own, as what draws for a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.samplers import BaseSampler
from optuna.study import Study as OptunaStudy

from outlast.optimizer.bridge.optuna_distributions import distribution_of
from outlast.optimizer.bridge.sampler_view import View, row_of
from outlast.optimizer.ranges import Range


class OptunaSuggester:
    """Draws for a trial by one of Optuna's samplers.

    Args:
        whole: The parameters that are always drawn together; ``None``: those that the sampler infers.
    """

    def __init__(self, sampler: BaseSampler, view: View, number: int, whole: Mapping[str, Range] | None = None) -> None:
        self._sampler, self._view, self._number = sampler, view, number
        self._whole = None if whole is None else {name: distribution_of(each) for name, each in whole.items()}
        self._study = OptunaStudy(view.name, view, sampler=sampler)
        self._row = row_of(number, attrs=(view.row(number) or row_of(number)).system_attrs)

    @property
    def notes(self) -> Mapping[str, Any]:
        """What the sampler notes about the trial."""
        return self._row.system_attrs

    def begin(self, fixed: Mapping[str, Any]) -> None:
        """The trial is a running one of the private study."""
        self._view.put(self._row)
        self._sampler.before_trial(self._study, self._row)

    def together(self) -> Mapping[str, Any]:
        """Values of the parameters that are drawn together."""
        self._row.params, self._row.distributions = {}, {}
        relative = self._whole
        if relative is None:
            relative = self._sampler.infer_relative_search_space(self._study, self._row)
        return self._sampler.sample_relative(self._study, self._row, relative)

    def alone(self, name: str, range_: Range) -> Any:
        """The value of a parameter by itself."""
        return self._sampler.sample_independent(self._study, self._row, name, distribution_of(range_))

    def took(self, name: str, value: Any, range_: Range) -> None:
        """The row has this one now."""
        self._row.params = {**self._row.params, name: value}
        self._row.distributions = {**self._row.distributions, name: distribution_of(range_)}

    def end(self) -> None:
        """The row is gone from the private study."""
        self._view.drop(self._number)


def tell_ended(sampler: BaseSampler, view: View, number: int) -> None:
    """Give a sampler its say about a finished trial, if it sees it."""
    row = view.row(number)
    if row is not None:
        sampler.after_trial(OptunaStudy(view.name, view, sampler=sampler), row, row.state, row.values)
