"""Written behind: what a study is, put into a store by a thread of its own, which nothing ever waits for."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping

from outlast.config.settings import Settings
from outlast.core.records import Trial
from outlast.optimizer.index.index_rows import CLAIM, ForeignRow, IndexRow, RowMaker, directions_of

#: How long one attempt waits for a lock, in seconds. Short: a writer that waits for its commit keeps new readers out.
BUSY_SECONDS = 0.5
#: Pauses between attempts after a failure, in seconds.
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: Failures in a row before people are told: readers hold a lock for a moment all the time.
PATIENCE = 4


class WrittenBehind(ABC):
    """Takes what trials are now, and writes what changed at most once per `interval`.

    `update` returns at once. A store that is busy, full, away or broken is tried again later and told about once in
    `warnings`. Call `update` with every trial before `start`: rows that people enqueued and that the ledger has taken in
    already are known from it.

    Args:
        label: What people are told it is.
        interval: Seconds between two transactions.
        poll: Seconds between two looks for rows that somebody enqueued, while there is nothing to write.
        fence: Raises `LeaseLost` when the study is somebody else's by now; asked right before anything becomes visible.
    """

    def __init__(
        self, label: str, settings: Settings, *, interval: float, poll: float, fence: Callable[[], object] | None
    ) -> None:
        self.warnings: list[str] = []  # things to tell people, oldest first; the caller empties it
        self.label = label
        self._fence = fence or (lambda: None)
        self._settings = settings
        self._maker = RowMaker(settings)
        self._interval, self._poll = interval, poll
        self._wake = threading.Condition()
        self._rows: dict[int, IndexRow] = {}  # what the store should hold
        self._as_written: dict[
            int, Trial
        ] = {}  # what it holds already, as it is: rows are made of these when they are needed
        self._dirty: set[int] = set()
        self._refused: dict[str, str] = {}
        self._noted: dict[str, str] = {}  # about the study, as JSON texts
        self._unsaid: set[str] = set()  # of these
        self._found: list[ForeignRow] = []
        self._handed_out: set[str] = set()
        self._urgent = self._closing = False
        self._failures = 0
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None
        # The thread's own:
        self._written: dict[int, IndexRow] = {}
        self._objectives: tuple[list[str], list[str]] = ([], [])  # directions and names, as the store has them
        self._retired = self._at_once = False

    # -- what a store of one kind does -----------------------------------------------------------------------------

    @abstractmethod
    def attempt(self) -> None:
        """Look and write once, in the thread; what is in the way is counted in `_failures`, never raised."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the store."""

    @property
    def _gets_on(self) -> bool:
        """Whether it only takes its time."""
        return not self._failures

    # -- for the coordinator: returns at once ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write."""
        self._thread = threading.Thread(target=self._run, name="outlast-index", daemon=True)
        self._thread.start()

    def update(self, trials: Iterable[Trial], curves: Mapping[int, Mapping[int, float]] | None = None) -> None:
        """Say what these trials, which changed, are now; `curves`: number → step → value of the attempts that run."""
        rows = [self._maker.row(trial, (curves or {}).get(trial.number)) for trial in trials]
        with self._wake:
            behind = self._behind
            for row in rows:
                self._as_written.pop(row.number, None)
                if self._rows.get(row.number) != row:
                    self._rows[row.number] = row
                    self._dirty.add(row.number)
                if row.claim:
                    self._handed_out.add(row.claim)
            if not behind:  # otherwise it will look by itself
                self._wake.notify_all()

    def trust(self, trials: Iterable[Trial]) -> None:
        """Instead of a first `update`: the store holds these trials as they are now, for certain, but for those that were
        updated already."""
        with self._wake:
            self._as_written = {trial.number: trial for trial in trials if trial.number not in self._rows}
            self._handed_out.update(_claims(self._as_written.values()))

    def hand_out(self, rows: Iterable[ForeignRow], trials: Iterable[Trial]) -> None:
        """Before a first `update`: `take_foreign` gives these rows, which wait there, but for those that trials were made of."""
        with self._wake:
            self._handed_out.update(_claims(trials))
            self._find(rows)

    def note_study(self, noted: Mapping[str, str]) -> None:
        """Say what was noted about the study, as JSON texts by name."""
        with self._wake:
            changed = {name: text for name, text in noted.items() if self._noted.get(name) != text}
            self._noted.update(changed)
            self._unsaid.update(changed)
            self._wake.notify_all()

    def take_foreign(self) -> list[ForeignRow]:
        """Rows that people enqueued since the last call. Make each a trial (`claimed`) or `refuse` it."""
        with self._wake:
            found, self._found = self._found, []
            return found

    def refuse(self, row: ForeignRow, reason: str) -> None:
        """An enqueued row does not fit: it is marked as failed, with the reason."""
        with self._wake:
            self._refused[row.key] = reason
            self._wake.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until the file holds everything said so far; ``False`` if it does not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._wake:
            self._urgent = True
            self._wake.notify_all()
            while self._behind and self._alive:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._wake.wait(left)
            return not self._behind

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is left, within `timeout` seconds, and end the thread. Returns whether all of it was written.

        Where nothing stands in the way but a slow machine, as when a broken file is built anew, it is given ten times as long.
        """
        done = self.flush(timeout) or (self._gets_on and self.flush(10 * timeout))
        if not done and timeout and not self.warnings:
            self._tell("behind", f"{self.label} is behind the ledger: the next command that runs the study mends it")
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=BUSY_SECONDS * 4 + 1)
        return done

    # -- the thread ------------------------------------------------------------------------------------------------

    @property
    def _behind(self) -> bool:
        return bool(self._dirty or self._refused or self._unsaid)

    @property
    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                self.attempt()
                with self._wake:
                    self._wake.notify_all()
                    if self._closing or self._retired:
                        return
                    self._rest()
                    if self._closing and not self._behind:
                        return
        finally:
            self.disconnect()
            with self._wake:
                self._thread = None
                self._wake.notify_all()

    def _rest(self) -> None:
        """Wait until there is something to do, and not too soon after the last time."""
        pause = PAUSES[min(self._failures, len(PAUSES)) - 1] if self._failures else self._interval
        self._wake.wait_for(lambda: self._urgent or self._closing, pause)
        if not self._failures:
            self._wake.wait_for(lambda: self._urgent or self._closing or self._behind, self._poll)
        self._at_once, self._urgent = self._urgent, False

    def _wanted(self) -> tuple[dict[int, IndexRow], dict[str, str], tuple[list[str], list[str]]]:
        """What has changed: rows, enqueued rows that do not fit; and what the objectives are."""
        with self._wake:
            changes = {number: self._rows[number] for number in sorted(self._dirty)}
            refused = dict(self._refused)
        return changes, refused, (directions_of(self._settings), [metric.name for metric in self._settings.metrics])

    def _every_row(self) -> dict[int, IndexRow]:
        """What the store should hold, whole."""
        with self._wake:
            for number, trial in self._as_written.items():
                self._rows[number] = self._maker.row(trial)
            self._as_written = {}
            return dict(self._rows)

    def _to_note(self) -> dict[str, str]:
        with self._wake:
            return {name: self._noted[name] for name in sorted(self._unsaid)}

    def _has_noted(self, noted: Mapping[str, str]) -> None:
        with self._wake:
            self._unsaid -= {name for name, text in noted.items() if self._noted[name] == text}

    def _read_back(self, written: dict[int, IndexRow], objectives: tuple[list[str], list[str]]) -> None:
        """What the store holds, as it was found: whatever else it should hold is to be written."""
        self._written, self._objectives = written, objectives
        with self._wake:
            self._unsaid = set(self._noted)
            self._dirty |= {n for n, row in self._rows.items() if written.get(n) != row}

    def _done(self, changes: Mapping[int, IndexRow], refused: Mapping[str, str], foreign: list[ForeignRow]) -> None:
        with self._wake:
            for number, row in changes.items():
                if self._rows[number] is row:
                    self._dirty.discard(number)
            for key in refused:
                self._refused.pop(key, None)
            self._find(foreign)
        others = [row for row in foreign if not row.waiting and row.key not in self._handed_out]
        if others:
            numbers = ", ".join(str(row.number) for row in others[:5])
            self._tell(
                "foreign",
                f"{self.label} holds {len(others)} rows that Outlast did not write (number {numbers}): they are "
                "shown there and change nothing here; use enqueue_trial to ask for a configuration",
            )

    def _find(self, rows: Iterable[ForeignRow]) -> None:
        for row in rows:
            if row.waiting and row.key not in self._handed_out:
                self._handed_out.add(row.key)
                self._found.append(row)

    def _tell(self, key: str, text: str) -> None:
        if key not in self._told:
            self._told.add(key)
            self.warnings.append(text)


def _claims(trials: Iterable[Trial]) -> set[str]:
    """The keys of the rows that trials were made of."""
    claims = (trial.system_attrs.get(CLAIM) for trial in trials if trial.system_attrs)
    return {claim for claim in claims if claim}
