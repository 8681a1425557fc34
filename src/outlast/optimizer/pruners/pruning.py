"""Pruning: one decision per report, the same before and after any restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from outlast.config.plugins import check_options, quiet
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, Event, TrialRetried
from outlast.core.states import TrialState
from outlast.errors import StudyFileError
from outlast.optimizer.pruners.pruning_fields import Fields
from outlast.optimizer.pruners.pruning_rules import OWN_RULES, Curve, Known, Rule, rule_of

if TYPE_CHECKING:
    from outlast.optimizer.pruners.optuna_pruner import OptunaPruner


class Watched(Struct):
    """What is known of a trial. The row shares the points' dictionary: a report costs no new row."""

    state: TrialState = TrialState.RUNNING
    points: dict[int, float] = {}
    settled: dict[int, float] = {}  # those of attempts that ended
    value: float | None = None


class Pruning:
    """Decides for each report whether its trial goes on.

    A decision is a function of the reports known by then, of all trials; nothing is noted on the way that a restart
    could lose. Reports of attempts that ended come with the ledger; those of running attempts are handed in with
    `replay`. What a trial went on to report after it was given up is kept in its curve and counts for nothing here:
    how much that is depends on when the script noticed. For a pruner that may note things about
    trials, every trial's reports are replayed one by one in step order.

    The folded ledger is read once; later events come through `apply`.

    Resources that a rule takes from the trials (``auto``) are those of the trial that completed first, once and for all.

    Raises:
        StudyFileError: Unknown pruner or option, or several objectives.
    """

    def __init__(self, settings: Settings, study: Study) -> None:
        self._rule: Rule | None = None
        self._optuna: OptunaPruner | None = None
        chosen = settings.pruner
        if chosen.name in OWN_RULES:
            rule = OWN_RULES[chosen.name]
            check_options(chosen.name, chosen.options, "pruner", of=rule, hidden=("_bracket", "_key"))
            self._rule = rule_of(chosen.name, chosen.options)
        elif chosen.name == "none":
            check_options(chosen.name, chosen.options, "pruner", of=None)
        else:
            from outlast.optimizer.pruners.optuna_pruner import OptunaPruner

            self._optuna = OptunaPruner(chosen, maximize=settings.metrics[0].goal == "maximize")
        if self.active and len(settings.metrics) > 1:
            raise StudyFileError(
                "a pruner compares one metric, and this study has several", key="pruner", cure="write `pruner: none`"
            )
        self.trouble = ""  # what people should be told of a pruner that fails
        self._in_parts = bool(settings.trial.seeds or settings.trial.folds)
        self._name = chosen.name
        self._keeps_notes = self._optuna is not None and self._optuna.keeps_notes
        # A rule of our own sees curves turned so that smaller is better.
        self._sign = -1.0 if settings.metrics[0].goal == "maximize" else 1.0
        self._watched: dict[int, Watched] = {}
        self._curves: dict[int, Curve] = {}
        self._fields = Fields(self._curves)
        self._first_completed = study.first_completed_step
        for number in sorted(study.trials) if self.active else ():
            trial, watched = study.trials[number], self._watch(number)
            watched.settled = trial.judged_curve()
            self.replay(number, sorted(watched.settled.items()))
            self._settle(watched, trial.state, trial.value)
            self._show(number)

    @property
    def active(self) -> bool:
        """Whether there is a pruner at all."""
        return self._rule is not None or self._optuna is not None

    def should_prune(self, trial_number: int, step: int, value: float) -> bool:
        """Take a report in and decide.

        A step that was reported before (a resumed attempt repeats it) is judged by what led up to it. The value is of the first
        objective.
        """
        return self.active and self._take(trial_number, int(step), float(value), decide=True)

    def replay(self, trial_number: int, reports: Iterable[tuple[int, float]]) -> None:
        """Take reports in that were answered before a restart, in step order."""
        if not self.active:
            return
        self._watch(trial_number)
        for step, value in reports:
            self._take(trial_number, int(step), float(value), decide=self._keeps_notes)

    def apply(self, event: Event) -> None:
        """Take in an event of the ledger."""
        if not self.active:
            return
        if isinstance(event, AttemptEnded):
            watched = self._watch(event.trial)
            ended = event.judged_curve()
            self.replay(event.trial, [(step, value) for step, value in ended.items() if step not in watched.points])
            watched.settled.update(ended)
            self._put_points(event.trial, watched.settled)
            ended_with = event.values[0] if event.values else None
            self._settle(watched, event.state, ended_with if event.state.finished else watched.value)
            if event.state is TrialState.COMPLETE and self._first_completed is None:
                self._first_completed = max(watched.points, default=None)
        elif isinstance(event, TrialRetried) and event.trial in self._watched:
            watched = self._watched[event.trial]
            anew = event.from_scratch or (self._in_parts and watched.state is TrialState.COMPLETE)
            watched.state, watched.value = TrialState.INTERRUPTED, None
            watched.settled = {} if anew else dict(watched.settled)
            if anew:
                self._put_points(event.trial, {})
        else:
            return
        self._show(event.trial)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _settle(self, watched: Watched, state: TrialState, value: float | None) -> None:
        """Of a trial that has finished nothing is unsettled, so that nothing is kept twice."""
        watched.state, watched.value = state, value
        if state.finished:
            watched.settled = watched.points

    def _watch(self, number: int) -> Watched:
        if number not in self._watched:
            self._watched[number] = Watched()
            self._curves[number] = Curve()
            self._show(number)
        return self._watched[number]

    def _put_points(self, number: int, points: Mapping[int, float]) -> None:
        """Make these all that is known of a trial's reports."""
        watched = self._watched[number]
        watched.points = dict(sorted(points.items()))
        self._curves[number] = Curve({step: self._sign * value for step, value in watched.points.items()})
        self._fields.reported(number)

    def _take(self, number: int, step: int, value: float, *, decide: bool) -> bool:
        if not self.active:
            return False
        watched = self._watch(number)
        watched.points[step] = value
        place = self._curves[number].add(step, self._sign * value)
        self._fields.reported(number)
        if not decide:
            return False
        if self._rule is not None:
            return self._rule(Known(number, place + 1, self._curves, self._first_completed, self._fields))
        upto = watched.points
        if place + 1 < len(upto):
            upto = {s: v for s, v in upto.items() if s <= step}
        assert self._optuna is not None
        try:
            with quiet():
                return self._optuna.prune(number, watched, upto)
        except Exception as error:  # somebody else's code; a search does not end for it
            self.trouble = f"the pruner {self._name} fails and prunes nothing: {type(error).__name__}: {error}"
            return False

    def _show(self, number: int) -> None:
        if self._optuna is not None:
            self._optuna.show(number, self._watched[number])
