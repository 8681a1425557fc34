"""One tracker, driven in a thread of its own: it is given what it lacks, and tried again later and later when it fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from outlast.config.secrets import mask_text
from outlast.core.file_names import TrackerPaths
from outlast.core.plan import backoff
from outlast.engine.sending.memory_file import MemoryFile
from outlast.tracking.sink import EverythingAgain, Sink, SinkError, TrackedStudy, TrackedTrial

_FIRST_WAIT, _LONGEST_WAIT = 5.0, 600.0  # seconds after a failure
_AT_ONCE = 50  # trials: what was taken of a long study is kept in between


class Batch(Struct, frozen=True):
    """What a tracker is given at once."""

    study: TrackedStudy
    study_token: str
    trials: Sequence[TrackedTrial]
    tokens: Mapping[int, str]
    last: bool = False  # the study has come to rest, or we have to leave: it is closed after that


class Courier:
    """Brings a tracker what it lacks, one batch at a time. All but the sink's own calls is for one thread.

    Args:
        name: The tracker's.
        make: Makes its sink; asked again after every failure, so that nothing half done is gone on with.
        paths: Its files.
        done: Is set whenever something was brought, or could not be.
    """

    def __init__(
        self, name: str, make: Callable[[], Sink], paths: TrackerPaths, done: threading.Event | None = None
    ) -> None:
        self.name, self._make, self._paths, self._done = name, make, paths, done or threading.Event()
        self.trouble, self.cure = "", ""  # why it does not have what it lacks
        self.lasting = False  # it helps nothing to try again soon
        self.sent, self.failures = 0, 0  # trials that it took, and tries that failed in a row
        self.closed = False  # it has everything, and was closed
        self._due, self._since = 0.0, time.monotonic()
        self._memory: MemoryFile | None = None
        self._sink: Sink | None = None
        self._busy = False
        self._thread: threading.Thread | None = None
        self._batches: queue.SimpleQueue[Batch] = queue.SimpleQueue()

    @property
    def busy(self) -> bool:
        """Whether it is at work."""
        return self._busy

    @property
    def busy_for(self) -> float:
        """Seconds that its sink has been at work on one batch."""
        return time.monotonic() - self._since if self.busy else 0.0

    def lacking(self, study: TrackedStudy, tokens: Mapping[int, str]) -> list[int]:
        """The trials that are otherwise than it took them, by number."""
        taken = self._remembered(study).taken
        return sorted(number for number, token in tokens.items() if taken.get(number) != token)

    def lacks(self, study: TrackedStudy, token: str, tokens: Mapping[int, str]) -> bool:
        """Whether anything is otherwise than it took it."""
        return self._remembered(study).study != token or bool(self.lacking(study, tokens))

    def is_due(self, now: float) -> bool:
        """Whether it may be given something."""
        return not self.busy and now >= self._due

    def give(
        self, study: TrackedStudy, token: str, tokens: Mapping[int, str], trial: Callable[[int], TrackedTrial],
        *, last: bool,
    ) -> None:  # fmt: skip
        """Have the next part of what it lacks brought; returns at once.

        Args:
            study: As it is now.
            token: What that is known by.
            tokens: The same of its trials.
            trial: A trial as it is now.
            last: The study has come to rest, or whoever sends has to leave.
        """
        lacking = self.lacking(study, tokens)
        lacks = bool(lacking) or self._remembered(study).study != token
        closes = last and len(lacking) <= _AT_ONCE and (lacks or not self.closed)
        if not (lacks or closes):
            return
        numbers = lacking[:_AT_ONCE]
        trials = [trial(number) for number in numbers]
        batch = Batch(study, token, trials, {number: tokens[number] for number in numbers}, closes)
        self.closed, self._since = False, time.monotonic()
        self._busy = True
        if self._thread is None:  # one for all calls of a sink: a tracker's client may be bound to its own
            self._thread = threading.Thread(target=self._work, daemon=True, name=f"to {self.name}")
            self._thread.start()
        self._batches.put(batch)

    def _remembered(self, study: TrackedStudy) -> MemoryFile:
        if self._memory is None:
            self._memory = MemoryFile(self._paths, study.identity)
        return self._memory

    def _work(self) -> None:
        while True:
            self._bring(self._batches.get())

    def _bring(self, batch: Batch) -> None:
        memory = self._remembered(batch.study)
        try:
            self._sent(batch, memory)
        except SinkError as error:
            if isinstance(error, EverythingAgain):
                memory.forget()
            self._failed(error)
        except BaseException as error:  # whatever a tracker's package does: nobody else is to suffer
            self._failed(SinkError(f"{type(error).__name__}: {error}"))
        finally:
            self._busy = False
            self._done.set()

    def _sent(self, batch: Batch, memory: MemoryFile) -> None:
        if self._sink is None:
            sink = self._make()
            sink.open(batch.study, memory)
            self._sink = sink
        if batch.trials or memory.study != batch.study_token:
            self._sink.send(batch.study, batch.trials)
            memory.taken = {**memory.taken, **batch.tokens}
            memory.study = batch.study_token
        if batch.last:
            self._sink.close(batch.study)
            self.closed, self._sink = True, None
        memory.keep()
        self.sent += len(batch.trials)
        self.trouble, self.cure, self.failures, self.lasting = "", "", 0, False

    def _failed(self, error: SinkError) -> None:
        self._sink = None
        self.failures += 1
        self.lasting = error.lasting
        wait = _LONGEST_WAIT if error.lasting else backoff(self.failures, first=_FIRST_WAIT, most=_LONGEST_WAIT)
        self._due = time.monotonic() + (0.0 if isinstance(error, EverythingAgain) and self.failures == 1 else wait)
        self.trouble, self.cure = mask_text(" ".join(error.reason.split()))[:500], error.cure
