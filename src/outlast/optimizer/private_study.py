"""What the sampler sees of the trials: rows of Optuna's, or columns; made of the ledger's trials when somebody looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import Lesson, teaches, worst_values
from outlast.optimizer.samplers import SamplerFactory
from outlast.optimizer.taken_over import TakenOver
from outlast.optimizer.trial_lessons import Lessons

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from outlast.optimizer.bridge.sampler_view import View
    from outlast.optimizer.gaussian.seen_rows import SeenRows
    from outlast.optimizer.gaussian.unit_rows import UnitRows
    from outlast.optimizer.tpe.trial_columns import TrialColumns
    from outlast.optimizer.tpe.trial_groups import Group


class PrivateStudy:
    """Kept in step with the trials of a fold by whoever changes it.

    Args:
        maximize: For each objective.
        trials: Of the fold, by number.
        study: The fold; trials of earlier searches come before all others, under numbers that no trial has.
    """

    def __init__(
        self, maximize: list[bool], factory: SamplerFactory, lessons: Lessons, trials: TakenOver, study: Study
    ) -> None:
        self._maximize, self._factory, self._lessons, self._trials = maximize, factory, lessons, trials
        self._earlier = {
            -1 - at: Trial(-1 - at, TrialState.COMPLETE, params=dict(each.params), values=each.values)
            for at, each in enumerate(study.earlier)
        }
        self._attrs = dict(study.study_attrs)
        self._view: View | None = None
        self._unseen: set[int] = set()  # of which the view knows nothing, as long as there is none
        factory.view = self.view
        self.columns: TrialColumns | None = None
        if factory.wants_columns:
            from outlast.optimizer.tpe.trial_columns import TrialColumns  # loads NumPy

            self.columns = factory.columns = TrialColumns(
                self._groups,
                maximize=maximize[0],
                lowest=-len(self._earlier),
            )
        self._rows: SeenRows | None = None
        lessons.read_again = lambda numbers: self._stale(number for number in numbers if number in trials)
        self._worst: list[float] | None = None
        self._constrained = False
        self._learn_limits()
        self._stale(self._earlier)

    def view(self) -> View:
        """The rows that samplers of Optuna's own look at; made, and Optuna loaded, when the first of them does."""
        if self._view is None:
            from optuna.study import StudyDirection

            from outlast.optimizer.bridge.sampler_view import View

            goals = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in self._maximize]
            self._view = View(goals, self._row)
            self._view.attrs = self._attrs
            self._view.stale(self._unseen)
        return self._view

    def rows_of(self, rows: UnitRows) -> SeenRows:
        """The trials as rows of numbers, kept in step from now on: asked for once, before any trial is told of."""
        from outlast.optimizer.gaussian.seen_rows import SeenRows

        self._rows = SeenRows(
            rows, self._trial, lambda trial: self._lessons.known(trial)[0], maximize=self._maximize[0]
        )
        self._rows.stale(self._earlier)
        return self._rows

    @property
    def attrs(self) -> dict[str, Any]:
        """What samplers noted about the study."""
        return self._attrs if self._view is None else self._view.attrs

    @attrs.setter
    def attrs(self, attrs: dict[str, Any]) -> None:
        self._attrs = attrs
        if self._view is not None:
            self._view.attrs = attrs

    def changed(self, *numbers: int) -> None:
        """Trials are new, or got a value or a note."""
        self._stale(numbers)

    def drop(self, number: int) -> None:
        """A trial is gone."""
        self._unseen.discard(number)
        if self._view is not None:
            self._view.drop(number)
        for kept in (self.columns, self._rows):
            if kept is not None:
                kept.drop(number)

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
        if self._view is None:
            self._unseen.update(numbers)
        else:
            self._view.stale(numbers)
        for kept in (self.columns, self._rows):
            if kept is not None:
                kept.stale(numbers)

    def _groups(self, numbers: Sequence[int]) -> tuple[list[Group], list[int]]:
        self._trials.expect(len(numbers))
        return self._lessons.groups(map(self._trial, numbers))

    def _trial(self, number: int) -> Trial:
        return self._earlier[number] if number < 0 else self._trials[number]

    def _row(self, number: int) -> FrozenTrial | None:
        """A trial as the sampler sees it, if it does."""
        from outlast.optimizer.bridge.optuna_rows import frozen

        trial = self._trial(number)
        try:
            params, ranges = self._lessons.known(trial)
        except ValueError:  # of an earlier revision, and does not fit this one
            return None
        return frozen(
            trial,
            params,
            ranges,
            objectives=len(self._maximize),
            lesson=self._factory.lesson,
            worst=self._worst,
            constrained=self._constrained,
        )
