"""New trials: enqueued by hand, by the study file, or drawn; with what the derive hook makes of them."""

from __future__ import annotations

from outlast.config.settings import Settings
from outlast.config.trial_config import Infeasible, derive
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.decisions import Decisions
from outlast.errors import StudyFileError
from outlast.optimizer.index import ForeignRow, IndexWriter, claimed
from outlast.optimizer.sampling import Draw

__all__ = ["Creation"]


class Creation:
    """Creates trials.

    Attributes:
        exhausted: The search space holds no further configuration.
    """

    def __init__(self, settings: Settings, decisions: Decisions, index: IndexWriter) -> None:
        self.exhausted = False
        self._settings, self._decisions, self._index = settings, decisions, index
        self._wanted: list[ForeignRow] = []

    def create(self) -> int | None:
        """Create the next trial.

        Returns:
            Its number; ``None`` if the space is used up, or if the derive hook ruled the draw out (try again next round).

        Raises:
            StudyFileError: The derive hook fails, or no draw satisfies the constraints.
        """
        number = self._decisions.study.next_number
        draw = self._enqueued_by_hand(number) or self._decisions.optimizer.ask(number)
        if draw is None:
            self.exhausted = True
            return None
        derived = derive(self._settings, self._settings.space.complete(draw.params)) if self._settings.derive else {}
        now = self._decisions.clock.now()
        event = TrialCreated(
            trial=number,
            at=now,
            params=draw.params,
            seed=draw.seed,
            revision=self._decisions.study.revisions[-1].number,
            source=draw.source,
            system_attrs=draw.system_attrs,
            study_attrs=draw.study_attrs,
            latent=draw.latent,
            derived={} if isinstance(derived, Infeasible) else derived,
        )
        self._decisions.take(event)
        if not isinstance(derived, Infeasible):
            return number
        why = "ruled out by the derive hook"
        self._decisions.take(AttemptOpened(number, 1, now, "none"))
        self._decisions.take(AttemptEnded(number, 1, now, TrialState.INFEASIBLE, Cause.CONSTRAINT, why))
        return None

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
