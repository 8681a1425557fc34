"""What workers and people ask of the holder of the study: read in one round, answered once what follows from it is durable."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from outlast.config.settings import Settings
from outlast.core.records import TrialRetried
from outlast.core.states import Cause
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.running import Running
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.watch import Watch
from outlast.study import requests
from outlast.study.attempts import void_start
from outlast.study.layout import StudyPaths

__all__ = ["Inbox"]

_MANY = 32  # workers that start together
_A_MOMENT, _GATHER_WITHIN = 0.5, 10.0  # seconds


class Inbox:
    """The requests of one study.

    Args:
        paths: The study's.
        settings: In force.
        slots: Those of workers are made from their requests.
        watch: Over the attempts that run.
        decisions: What is asked for becomes one.
        come_to_rest: Brings the study to rest; called with ``drain`` and ``now``.
    """

    def __init__(
        self,
        paths: StudyPaths,
        settings: Settings,
        slots: Slots,
        watch: Watch,
        decisions: Decisions,
        come_to_rest: Callable[..., object],
    ) -> None:
        self._paths, self._settings, self._slots, self._watch = paths, settings, slots, watch
        self._decisions, self._come_to_rest = decisions, come_to_rest
        self._in_parts = bool(study_parts(settings))
        self._to_answer: list[requests.Request] = []

    def let_gather(self) -> None:
        """Of many workers that start together, wait for those who are about to ask: all are answered in one round.

        The runners of the first would only keep the machine from the others.
        """
        asked, deadline = 0, time.monotonic() + _GATHER_WITHIN
        while time.monotonic() < deadline:
            before, asked = asked, len(requests.pending(self._paths))
            if asked < _MANY or asked == before:
                return
            time.sleep(_A_MOMENT)

    def read(self) -> None:
        """Take in every request that is there."""
        pending = requests.pending(self._paths)
        granted = self._granted() if any(request.kind == "trial" for request in pending) else frozenset()
        for request in pending:
            match request.kind:
                case "trial":
                    self._trial_wanted(request, granted)
                    continue
                case "stop":
                    self._stop_wanted(request)
                case "retry":
                    self._retry(request.content.get("trials", ()), bool(request.content.get("from_scratch")))
                case _:
                    continue
            self._to_answer.append(request)

    def answer(self) -> None:
        """Say that what was read is done: it is durable now."""
        while self._to_answer:
            requests.answer(self._paths, self._to_answer.pop(), done=True)

    def hand_over(self, attempt: Running) -> None:
        """Tell the worker that asked for it which attempt is its own."""
        judges = self._decisions.pruning.active and not self._in_parts
        grace = self._settings.trial.grace
        self._slots.hand_over(self._paths, attempt.slot, attempt.name, grace=grace, judges=judges)

    def _granted(self) -> frozenset[str]:
        """Slots of workers that have had their attempt."""
        attempts = (attempt for trial in self._decisions.study.trials.values() for attempt in trial.attempts)
        return frozenset(
            attempt.slot for attempt in attempts
            if attempt.outcome is None or attempt.outcome.cause is not Cause.NEVER_STARTED
        )  # fmt: skip

    def _trial_wanted(self, request: requests.Request, granted: frozenset[str]) -> None:
        """A worker's request; perhaps granted before, by a holder that died over its answer or that the disk refused."""
        if not self._slots.ask(request):
            requests.take(self._paths, request)
            return
        slot = self._slots.name_of(request)
        if slot not in granted:
            return
        attempt = next((attempt for attempt in self._watch.running.values() if attempt.slot == slot), None)
        if attempt is None or attempt.claimed:  # it has its answer
            self._slots.forget(slot)
            requests.take(self._paths, request)
        elif self._paths.open_marker(attempt.trial, attempt.number).exists():
            self.hand_over(attempt)
        else:
            void_start(attempt.paths)  # it was never laid out: the worker gets another one

    def _stop_wanted(self, request: requests.Request) -> None:
        wanted = request.content
        if wanted.get("trial") is None:
            self._come_to_rest(drain=bool(wanted.get("drain")), now=bool(wanted.get("now")))
        for attempt in list(self._watch.running.values()):
            if attempt.trial == wanted.get("trial") and not attempt.stop_reason:
                self._watch.prune(attempt)

    def _retry(self, trials: Sequence[int], from_scratch: bool) -> None:
        for number in trials:
            trial = self._decisions.study.trials.get(number)
            if trial is not None and trial.state.finished:
                self._decisions.take(TrialRetried(number, self._decisions.clock.now(), from_scratch))
