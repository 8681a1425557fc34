"""What the sampler sees of the trials: rows of Optuna's, or columns; made of the ledger's trials when somebody looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import Lesson, frozen, teaches, worst_values
from outlast.optimizer.samplers import SamplerFactory
from outlast.optimizer.trial_columns import TrialColumns
from outlast.optimizer.trial_lessons import Lessons
from outlast.optimizer.view import View


class PrivateStudy:
    """Kept in step with the trials of a fold by whoever changes it.

    Args:
        maximize: For each objective.
        trials: Of the fold, by number.
        study: The fold; trials of earlier searches come before all others, under numbers that no trial has.
    """

    def __init__(
        self, maximize: list[bool], factory: SamplerFactory, lessons: Lessons, trials: Mapping[int, Trial], study: Study
    ) -> None:
        self._maximize, self._factory, self._lessons, self._trials = maximize, factory, lessons, trials
        self._earlier = {
            -1 - at: Trial(-1 - at, TrialState.COMPLETE, params=dict(each.params), values=each.values)
            for at, each in enumerate(study.earlier)
        }
        self.view = View([StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in maximize], self._row)
        self.view.attrs = dict(study.study_attrs)
        self.columns: TrialColumns | None = None
        if factory.wants_columns:
            self.columns = factory.columns = TrialColumns(
                lambda numbers: lessons.groups(map(self._trial, numbers)),
                maximize=maximize[0],
                lowest=-len(self._earlier),
            )
        lessons.read_again = lambda numbers: self._stale(number for number in numbers if number in trials)
        self._worst: list[float] | None = None
        self._constrained = False
        self._learn_limits()
        self._stale(self._earlier)

    def changed(self, *numbers: int) -> None:
        """Trials are new, or got a value or a note."""
        self._stale(numbers)

    def drop(self, number: int) -> None:
        """A trial is gone."""
        self.view.drop(number)
        if self.columns is not None:
            self.columns.drop(number)

    def ended(self, trial: Trial) -> None:
        """A trial has another state: how others are seen may depend on it."""
        self._stale((trial.number,))
        if self._factory.lesson is Lesson.PRUNED:
            return
        worst, constrained = self._worst, self._constrained
        if trial.state is TrialState.COMPLETE and trial.values and worst is not None:
            if all(map(math.isfinite, trial.values)):
                self._worst = worst_values((trial, Trial(-1, TrialState.COMPLETE, values=tuple(worst))), self._maximize)
        else:
            self._learn_limits()
        if constrained != self._constrained:
            self._stale(self._trials)
            self._stale(self._earlier)
        elif worst != self._worst:
            self._stale(number for number, each in self._trials.items() if teaches(each))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _learn_limits(self) -> None:
        if self._factory.lesson is not Lesson.PRUNED:
            trials = self._trials.values()
            self._worst = worst_values(trials, self._maximize)
            self._constrained = self._factory.lesson is Lesson.CONSTRAINED and any(map(teaches, trials))

    def _stale(self, numbers: Iterable[int]) -> None:
        numbers = list(numbers)
        self.view.stale(numbers)
        if self.columns is not None:
            self.columns.stale(numbers)

    def _trial(self, number: int) -> Trial:
        return self._earlier[number] if number < 0 else self._trials[number]

    def _row(self, number: int) -> FrozenTrial | None:
        """A trial as the sampler sees it, if it does."""
        trial = self._trial(number)
        try:
            params, distributions = self._lessons.known(trial)
        except ValueError:  # of an earlier revision, and does not fit this one
            return None
        return frozen(
            trial,
            params,
            distributions,
            objectives=len(self._maximize),
            lesson=self._factory.lesson,
            worst=self._worst,
            constrained=self._constrained,
        )
