"""What Optuna's own `study.optimize` does after a trial: callbacks, and an end where an exception was not expected."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Limits
from outlast.core.records import AttemptEnded, Event, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.coming_to_rest import limits_of
from outlast.engine.coordinator.listener import Ask, Listener
from outlast.errors import OutlastError
from outlast.objective.kept_values import CAUGHT

if TYPE_CHECKING:
    import optuna

_UNLIMITED = dict.fromkeys(("failures_alike", "failures_in_all", "failures_in_a_row"), sys.maxsize)
#: Called with the study and the trial that has ended.
Callback: TypeAlias = Callable[["optuna.Study", "optuna.trial.FrozenTrial"], None]


class After(Struct, frozen=True):
    """What is done when a trial has ended.

    Attributes:
        callbacks: As Optuna's; called in this process, one after the other.
        strict: A trial that fails otherwise than by an exception that `catch` names ends the search, and only that does.
    """

    callbacks: tuple[Callback, ...] = ()
    strict: bool = False


class CalledBack(Listener):
    """Hands everything on to another listener, and does what is to be done after each trial.

    Attributes:
        raised: What a callback raised, if one did; the search comes to rest then.
    """

    def __init__(self, hears: Listener, after: After) -> None:
        self._hears, self._callbacks, self._strict = hears, after.callbacks, after.strict
        self.raised: BaseException | None = None
        self._lost: OutlastError | OSError | None = (
            None  # what kept something that a callback asked for from being decided
        )
        self.steers = bool(after.callbacks) or after.strict

    def limits(self, settings: Settings) -> Limits | None:
        """The totals of a search that failures do not halt; ``None`` for the study file's."""
        return replace(limits_of(settings), **_UNLIMITED) if self._strict else None

    def holding(self, ask: Ask) -> None:
        """Keep the way to ask."""
        self._ask = ask
        self._hears.holding(ask)

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """Hand it on."""
        self._hears.looked(study, running)

    def said(self, text: str) -> None:
        """Hand it on."""
        self._hears.said(text)

    def decided(self, events: Sequence[Event], study: Study) -> None:
        """Hand it on; then whoever waits for trials to end is called."""
        self._hears.decided(events, study)
        for event in events:
            if isinstance(event, AttemptEnded) and event.state.finished:
                trial = study.trials[event.trial]
                if self._strict and _unexpected(trial, event):
                    why = f"trial {event.trial}: {event.reason}; `catch` does not name it"
                    self._ask({"op": "end", "why": why})
                else:
                    self._call(event.trial)

    @cached_property
    def _study(self) -> optuna.Study:
        from outlast.objective.told_study import told_study

        def ask(question: dict[str, Any]) -> Any:
            if self._lost is not None:  # the callback goes on all the same
                raise self._lost
            try:
                answer = self._ask(question)
            except (OutlastError, OSError) as error:
                self._lost = error
                raise
            if "error" in answer:
                raise ValueError(answer["error"])
            return answer

        return told_study(ask)

    def _call(self, number: int) -> None:
        for callback in self._callbacks if self.raised is None else ():
            try:
                callback(self._study, self._study._storage.get_trial(number))
            except BaseException as error:  # the caller's own: it comes out of `optimize`, once nothing runs any more
                self.raised = error
            if self._lost is not None:  # the study here is not the one on record: nothing more may be decided on it
                lost, self.raised, self._lost = self._lost, None, None
                raise lost
            if self.raised is not None:
                why = f"a callback raised {type(self.raised).__name__} after trial {number}"
                self.said(f"{why}: the search comes to rest")
                self._ask({"op": "end", "why": why})
                return


def _unexpected(trial: Trial, event: AttemptEnded) -> bool:
    if (event.state, event.cause) != (TrialState.FAILED, Cause.CRASH):
        return False
    caught = trial.optuna_attrs.get(CAUGHT)
    return caught["attempt"] != event.attempt if isinstance(caught, dict) else caught is None
