"""What workers and people ask of the holder of the study: read in one round, answered once what follows from it is durable."""

from __future__ import annotations

import time
from collections.abc import Iterator

from outlast._system.clock import Clock
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.instructions import EndWanted, RestWanted, RetryWanted, Wanted, Worker, WorkersAsk
from outlast.engine.coordinator.watch import Watch
from outlast.study import requests
from outlast.study.layout import StudyPaths

_MANY = 32  # workers that start together
_A_MOMENT, _GATHER_WITHIN = 0.5, 10.0  # seconds


class Inbox:
    """The requests of one study."""

    def __init__(self, paths: StudyPaths, slots: Slots, watch: Watch, clock: Clock) -> None:
        self._paths, self._slots, self._watch, self._clock = paths, slots, watch, clock
        self._to_answer: dict[str, requests.Request] = {}  # by key: one that is read again has one answer

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

    def read(self) -> Iterator[Wanted]:
        """What is asked for by every request that is there. One is answered only if it was decided about before the next is
        taken: otherwise it is read again."""
        workers = []
        for request in requests.pending(self._paths):
            content = request.content
            match request.kind:
                case "trial" if self._slots.ask(request):
                    workers.append(self._worker(self._slots.name_of(request)))
                case "trial":  # whoever asked is gone
                    requests.take(self._paths, request)
                case "stop":
                    trial, drain, now = content.get("trial"), bool(content.get("drain")), bool(content.get("now"))
                    yield RestWanted(drain=drain, now=now) if trial is None else EndWanted(trial)
                    self._to_answer[request.key] = request
                case "retry":
                    trials, scratch = tuple(content.get("trials", ())), bool(content.get("from_scratch"))
                    yield RetryWanted(trials, scratch, self._clock.now())
                    self._to_answer[request.key] = request
        if workers:
            yield WorkersAsk(tuple(workers))

    def _worker(self, slot: str) -> Worker:
        attempt = next((attempt for attempt in self._watch.running.values() if attempt.slot == slot), None)
        if attempt is None:
            return Worker(slot)
        laid_out = self._paths.open_marker(attempt.trial, attempt.number).exists()
        return Worker(slot, attempt.name, attempt.claimed, laid_out)

    def answer(self) -> None:
        """Say that what was read is done: it is durable now."""
        for key, request in list(self._to_answer.items()):
            requests.answer(self._paths, request, done=True)
            del self._to_answer[key]

    def turn_away(self, slot: str) -> None:
        """A worker has its trial already, or will never have one for this request."""
        request = self._slots.forget(slot)
        if request is not None:
            requests.take(self._paths, request)
