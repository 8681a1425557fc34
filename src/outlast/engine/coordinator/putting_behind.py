"""Files of finished trials are put away behind the decider's back: it takes what a disk has time for, and decides nothing."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from msgspec import Struct

from outlast.core.evidence import Evidence
from outlast.core.records import Trial
from outlast.engine.coordinator.instructions import PutAway
from outlast.study.attempts import close_attempt
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import put_away

_ABANDON_WITHIN = 5.0  # seconds for what is in the making; a disk that hangs must not keep whoever leaves
_MOST = 64  # that wait: whoever has more waits for the disk, too


class Put(Struct, frozen=True):
    """An attempt whose files are put away, or why they are not: then its marker is there still."""

    over: PutAway
    error: Exception | None = None


class PuttingBehind:
    """One thread, in the order in which trials finished.

    Args:
        fence: Asked before each; raises where somebody else decides by now.
    """

    def __init__(self, paths: StudyPaths, fence: Callable[[], object]) -> None:
        self._paths, self._fence = paths, fence
        self._work: queue.Queue[tuple[PutAway, Trial, Evidence | None] | None] = queue.Queue(_MOST)
        self._done: queue.SimpleQueue[Put] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._abandoned = False

    @property
    def runs(self) -> bool:
        """Whether the thread was started."""
        return self._thread is not None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._go, name="outlast-putting-away", daemon=True)
        self._thread.start()

    def add(self, over: PutAway, trial: Trial, evidence: Evidence | None) -> None:
        """Have a trial's files put away; `trial` is its own from now on."""
        self._work.put((over, trial, evidence))

    def done(self) -> Put | None:
        """The next one that was done, if there is one: each is told once."""
        try:
            return self._done.get_nowait()
        except queue.Empty:
            return None

    def drain(self) -> None:
        """Wait until everything is done that was asked for."""
        self._work.join()

    def close(self, *, abandon: bool = False) -> None:
        """End the thread, after what was asked for; `abandon`: without that."""
        if self._thread is None:
            return
        if abandon:
            self._abandoned = True
            with contextlib.suppress(queue.Full):  # then it finds out by itself
                self._work.put_nowait(None)
            self._thread.join(_ABANDON_WITHIN)
        else:
            self._work.put(None)
            self._thread.join()
        self._thread = None

    def _go(self) -> None:
        while (work := self._work.get()) is not None and not self._abandoned:
            over, trial, evidence = work
            try:
                self._fence()
                self.put(over, trial, evidence)
                self._done.put(Put(over))
            except Exception as error:  # the decider's to judge
                self._done.put(Put(over, error))
            finally:
                self._work.task_done()

    def put(self, over: PutAway, trial: Trial, evidence: Evidence | None) -> None:
        """Put one away, here and now; its marker goes last."""
        put_away(self._paths.trial(over.trial), trial, evidence=evidence, fence=self._fence)
        close_attempt(self._paths, over.trial, over.attempt)
