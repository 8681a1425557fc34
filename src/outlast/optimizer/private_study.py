"""What the sampler sees of the trials: rows of Optuna's, or columns; made of the ledger's trials when somebody looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.optimizer.failure_feedback import Lesson, standing, teaches, worst_values
from outlast.optimizer.samplers import SamplerFactory
from outlast.optimizer.trial_groups import Seen
from outlast.optimizer.trial_lessons import Lessons

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from outlast.optimizer.trial_columns import TrialColumns
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
        self._attrs = dict(study.study_attrs)
        self._view: View | None = None
        self._unseen: set[int] = set()  # of which the view knows nothing, as long as there is none
        factory.view, factory.seen = self.view, self.seen
        self._seen: dict[int, Seen] = {}
        self._to_see: set[int] = set()
        self.columns: TrialColumns | None = None
        if factory.wants_columns:
            from outlast.optimizer.trial_columns import TrialColumns  # loads NumPy

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

    def view(self) -> View:
        """The rows that samplers of Optuna's own look at; made, and Optuna loaded, when the first of them does."""
        if self._view is None:
            from optuna.study import StudyDirection

            from outlast.optimizer.view import View

            goals = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in self._maximize]
            self._view = View(goals, self._row)
            self._view.attrs = self._attrs
            self._view.stale(self._unseen)
        return self._view

    def seen(self) -> list[Seen]:
        """The trials in order of their numbers, as a sampler of our own sees them that takes no columns."""
        for number in self._to_see:
            found = self._as_seen(self._trial(number))
            if found is None:
                self._seen.pop(number, None)
            else:
                self._seen[number] = found
        self._to_see.clear()
        return [self._seen[number] for number in sorted(self._seen)]

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
        self._to_see.discard(number)
        self._seen.pop(number, None)
        if self._view is not None:
            self._view.drop(number)
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
        if self._factory.wants_trials:
            self._to_see.update(numbers)
        if self._view is None:
            self._unseen.update(numbers)
        else:
            self._view.stale(numbers)
        if self.columns is not None:
            self.columns.stale(numbers)

    def _trial(self, number: int) -> Trial:
        return self._earlier[number] if number < 0 else self._trials[number]

    def _as_seen(self, trial: Trial) -> Seen | None:
        try:
            params, _ = self._lessons.known(trial)
        except ValueError:  # of an earlier revision, and does not fit this one
            return None
        state, values = standing(trial, self._factory.lesson, None)
        last = list(values or ())[:1]
        if trial.state is TrialState.PRUNED:
            last = [value for _, value in sorted(trial.judged_curve().items()) if math.isfinite(value)][-1:]
        value = (-last[0] if self._maximize[0] else last[0]) if last and math.isfinite(last[0]) else None
        return Seen(trial.number, params, state, value)

    def _row(self, number: int) -> FrozenTrial | None:
        """A trial as the sampler sees it, if it does."""
        from outlast.optimizer.optuna_rows import frozen

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
