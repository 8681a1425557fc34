"""Ending attempts: the request to a running one, and the files of one that is over."""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.file_names import attempt_name
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.instructions import PutAway
from outlast.engine.coordinator.putting_behind import Put, PuttingBehind
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.errors import NO_ROOM, StorageError
from outlast.executors.base import Executor
from outlast.executors.heard import EndRequest
from outlast.study.attempts import ask_to_end, close_attempt, void_start
from outlast.study.layout import StudyPaths


class Ending:
    """What a round does to attempts that end.

    Args:
        refused: Told when the disk has no room for files that are to be put away.
        fence: Raises where somebody else decides by now; `look` as well, and may do so a moment later.
    """

    def __init__(
        self, paths: StudyPaths, settings: Settings, study: Study, executor: Executor, derived: DerivedFiles,
        refused: Callable[[str], object], *, fence: Callable[[], object] = lambda: None,
        look: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self._paths, self._settings, self._study = paths, settings, study
        self._executor, self._derived, self._refused = executor, derived, refused
        self._fence, self._behind = fence, PuttingBehind(paths, look)
        self._heard: dict[str, Evidence] = {}  # of attempts that are not put away yet
        self._left: list[PutAway] = []  # whose files wait for room
        self._round: list[tuple[PutAway, Trial, Evidence | None]] = []  # to be put away at its end
        self._finished = False  # a trial has, since checkpoints were last looked at

    def ask(self, attempt: Running, reason: str, *, now: bool = False) -> None:
        """Ask an attempt to end. It keeps the reason that it was given first; one that nobody has begun need not begin."""
        grace, step = self._settings.trial.grace, attempt.pruned_at
        if attempt.kept:
            self._executor.pass_on(attempt.name, EndRequest(attempt.stop_reason or reason, grace, now=now))
            return
        ask_to_end(attempt.paths, attempt.stop_reason or reason, grace=grace, now=now, step=step)
        self._executor.pass_on(attempt.name, EndRequest(attempt.stop_reason or reason, grace, now, step))
        if not attempt.claimed and not attempt.worker and void_start(attempt.paths):
            self._executor.cancel(attempt.name)

    def over(self, attempt: Running) -> None:
        """An attempt ended; what its runner told need not be in its folder."""
        if attempt.evidence is not None:
            self._heard[attempt.name] = attempt.evidence

    def put_away(self, over: PutAway) -> None:
        """Bring the files of an attempt that is over into their final form: behind our back, where somebody is there for that.

        A runner that need not leave its evidence is told so at once. What a trial failed of is in its files only.
        """
        trial, name = self._study.trials[over.trial], attempt_name(over.trial, over.attempt)
        if trial.attempts and trial.attempts[-1].kept and not os.path.lexists(self._paths.trial(over.trial).folder):
            self._heard.pop(name, None)
            return  # nothing of it lies anywhere
        if not trial.state.finished:
            files, pattern = self._paths.trial(over.trial), self._settings.checkpoints.pattern
            set_bad_aside(files, trial, pattern, fence=self._fence)
            close_attempt(self._paths, over.trial, over.attempt)
            self._settled(name)
            return
        evidence = self._heard.get(name)
        if trial.state is not TrialState.FAILED:
            self._settled(name)
        if self._behind.runs:
            self._round.append((over, replace(trial, attempts=list(trial.attempts)), evidence))
            return
        self._executor.send()
        try:
            self._behind.put(over, trial, evidence)
        except OSError as error:
            self._take(Put(over, error))
        else:
            self._take(Put(over))

    def take_done(self) -> None:
        """Take in what was put away behind our back.

        Raises:
            LeaseLost: Somebody else holds the study.
            OSError: The disk refused, and not for lack of room.
        """
        while (put := self._behind.done()) is not None:
            self._take(put)

    def _take(self, put: Put) -> None:
        over, error = put.over, put.error
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            self._left.append(over)  # its marker stays: whoever goes on once there is room puts it away
            self._refused(StorageError.of(error).fact)
            return
        if error is not None:
            raise error
        self._finished = True
        self._settled(attempt_name(over.trial, over.attempt))
        self._derived.tidied()

    def _settled(self, name: str) -> None:
        self._heard.pop(name, None)
        self._executor.settled([name])

    def work_behind(self) -> None:
        """From now on files are put away behind our back."""
        self._behind.start()

    def round_over(self) -> None:
        """Files may be put away now that whoever decides is about to wait: so neither is in the other's way."""
        self._executor.send()  # a file that is still open stays behind on a network filesystem
        added, self._round = self._round, []
        for each in added:
            self._behind.add(*each)

    def drain(self) -> None:
        """Wait until all files are put away that can be. Raises as `take_done`."""
        self.round_over()
        self._behind.drain()
        self.take_done()
        self._executor.send()  # what trials failed of is put away, too: their runners wait for nothing more

    def close(self) -> str:
        """Put away what is left, if it can be: whoever takes the study over does the rest. Returns why some is left, or nothing.

        Raises:
            LeaseLost: Somebody else holds the study.
        """
        self.round_over()
        self._behind.close()
        refused: OSError | None = None
        while (put := self._behind.done()) is not None:
            if isinstance(put.error, OSError):
                refused = refused or put.error
            else:
                self._take(put)
        self._executor.send()  # before what else is done at an end: it may take longer than runners wait
        self.retain()
        return (
            "" if refused is None else f"{StorageError.of(refused).fact}; whoever goes on puts that trial's files away"
        )

    def abandon(self) -> None:
        """Put nothing more away: whoever takes the study over does that."""
        self._behind.close(abandon=True)
        while (put := self._behind.done()) is not None:
            if put.error is None:
                self._take(put)

    def put_away_left(self) -> None:
        """There is room again."""
        left, self._left = self._left, []
        for over in left:
            self.put_away(over)

    def retain(self) -> None:
        """Let checkpoints go that nobody wants any more, if a trial has finished."""
        if self._finished:
            self._derived.retain(self._study)
            self._finished = False
