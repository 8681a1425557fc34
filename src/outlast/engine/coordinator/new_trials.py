"""New trials: enqueued by hand, by the study file, or drawn; with what the derive hook makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.config.trial_config import Infeasible, derive
from outlast.core.records import AttemptEnded, AttemptOpened, Event, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.prepare import draws_as_it_goes
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.offers import Offers
from outlast.engine.derived.indexes import Indexes
from outlast.errors import StudyFileError
from outlast.optimizer.index.index_rows import ForeignRow
from outlast.optimizer.index.study_db import claimed
from outlast.optimizer.proposals import Draw


def created(settings: Settings, draw: Draw, number: int, *, revision: int, at: str) -> list[Event]:
    """The trial that a draw becomes; with its end, if the derive hook rules it out.

    Raises:
        StudyFileError: The derive hook fails.
    """
    derived = derive(settings, settings.space.complete(draw.params)) if settings.derive else {}
    ruled_out = isinstance(derived, Infeasible)
    event = replace(draw.created(number, at, revision), derived={} if isinstance(derived, Infeasible) else derived)
    if not ruled_out:
        return [event]
    why = "ruled out by the derive hook"
    return [
        event,
        AttemptOpened(number, 1, at, "none"),
        AttemptEnded(number, 1, at, TrialState.INFEASIBLE, Cause.CONSTRAINT, why),
    ]


class Creation:
    """Creates trials."""

    def __init__(self, settings: Settings, decisions: Decisions, index: Indexes) -> None:
        self._settings, self._decisions, self._index = settings, decisions, index
        self._wanted: list[ForeignRow] = []
        self._offers = (
            Offers(decisions.study) if settings.isolation.mode == "kept" and draws_as_it_goes(settings) else None
        )

    def create(self) -> list[Event]:
        """Create the next trial, and take it in.

        Returns what was decided: one event, or more if the derive hook ruled the draw out; none if the space is used up.

        Raises:
            StudyFileError: The derive hook fails, or no draw satisfies the constraints.
        """
        number = self._decisions.study.next_number
        return self._take(number, self._enqueued_by_hand(number) or self._decisions.optimizer.ask(number))

    def enqueue(self, params: Mapping[str, Any]) -> bool:
        """Create a trial with these parameters, which is the next one to begin; what they leave out is drawn now.

        Returns:
            Whether there is one now; the space may be used up.

        Raises:
            StudyFileError: They do not fit the space.
        """
        number = self._decisions.study.next_number
        draw = self._decisions.optimizer.ask(number, fixed=params, source="foreign")
        return bool(self._take(number, draw))

    def _take(self, number: int, draw: Draw | None) -> list[Event]:
        if draw is None:
            return []
        revision = self._decisions.study.revisions[-1].number
        events = created(self._settings, draw, number, revision=revision, at=self._decisions.clock.now())
        if self._offers is not None and isinstance(events[0], TrialCreated):
            wanted = self._offers.wanted()
            values = self._decisions.optimizer.suggest_ahead(number, wanted)
            events[0] = replace(events[0], offered={name: (wanted[name], value) for name, value in values.items()})
        for event in events:
            self._decisions.take(event)
        return events

    def _enqueued_by_hand(self, number: int) -> Draw | None:
        """The next configuration that somebody enqueued in the index with Optuna's own means."""
        self._wanted += self._index.take_foreign()
        while self._wanted:
            row = self._wanted.pop(0)
            try:
                draw = self._decisions.optimizer.ask(number, fixed=row.params, source="foreign")
            except StudyFileError as error:
                self._index.refuse(row, error.fact)
                self._decisions.say(f"an enqueued trial does not fit the search space: {error.fact}")
                continue
            if draw is not None:
                return claimed(draw, row)
        return None
