"""Decisions of a round: taken in at once, durable with one ledger line, told to everyone who follows."""

from __future__ import annotations

from collections.abc import Callable

from outlast._system.clock import Clock
from outlast.core.fold import Study
from outlast.core.records import Event, StudyAttributeSet, Warned
from outlast.engine.coordinator.listener import Listener
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.optimizer.pruners.pruning import Pruning
from outlast.optimizer.sampling import Optimizer
from outlast.study.ledger import Ledger


class Decisions:
    """The study's state, the sampler's and the pruner's, and the ledger that makes them durable, kept in step.

    Args:
        make_optimizer: Makes it of the study as it is then. It is made when something is first asked of it.
    """

    def __init__(
        self, study: Study, ledger: Ledger, make_optimizer: Callable[[], Optimizer], pruning: Pruning, derived: DerivedFiles,
        listener: Listener, clock: Clock,
    ) -> None:  # fmt: skip
        self.study, self.pruning = study, pruning
        self._make_optimizer = make_optimizer
        self._optimizer: Optimizer | None = None
        self.clock, self._listener = clock, listener
        self._ledger, self._derived = ledger, derived
        self._events: list[Event] = []  # taken in, and not durable yet
        self._untold: list[Event] = []  # durable, and nobody has heard of them yet

    @property
    def optimizer(self) -> Optimizer:
        """Who proposes configurations.

        Raises:
            StudyFileError, MissingExtra: As `Optimizer`, the first time.
        """
        if self._optimizer is None:
            self._optimizer = self._make_optimizer()
        return self._optimizer

    def take(self, event: Event) -> None:
        """Take a decision in. Nothing may be done about it before `commit` has returned."""
        self.study.apply(event)
        if self._optimizer is not None:
            self._optimizer.apply(event)
        self.pruning.apply(event)
        self._events.append(event)

    def commit(self, *, tell: bool = True) -> None:
        """Make everything that was taken in durable, in one line.

        Args:
            tell: Whoever follows hears of it now; if not, with what is committed next, or by `tell`.

        Raises:
            LeaseLost: A newer coordinator is there.
            StorageError: The disk refused.
        """
        events, self._events = self._events, []
        self._ledger.append(events)
        self._untold += events
        if tell:
            self.tell()

    def tell(self) -> None:
        """Tell everyone who follows what is durable by now."""
        events, self._untold = self._untold, []
        if events:
            touched = {event.trial: self.study.trials[event.trial] for event in events if hasattr(event, "trial")}
            self._derived.decided(list(touched.values()))
            if any(isinstance(event, StudyAttributeSet) for event in events):
                self._derived.noted(self.study)
            self._listener.decided(events, self.study)

    def let_steer(self) -> None:
        """What ended is durable now where the listener may ask for something then: that counts before anything else begins."""
        if self._listener.steers:
            self.commit()

    def say(self, text: str) -> None:
        """Tell the person."""
        self._listener.said(text)

    def warn(self, key: str, text: str) -> None:
        """Tell the person once in the study's life, and keep it on record."""
        if key not in self.study.warnings:
            self.take(Warned(self.clock.now(), text, key))
            self.say(text)
