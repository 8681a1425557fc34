"""Ending attempts: the request to a running one, and the files of one that is over."""

from __future__ import annotations

from collections.abc import Callable

from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.file_names import attempt_name
from outlast.core.fold import Study
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.instructions import PutAway
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.errors import NO_ROOM, StorageError
from outlast.executors.base import Executor
from outlast.executors.heard import EndRequest
from outlast.study.attempts import ask_to_end, close_attempt, void_start
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import put_away


class Ending:
    """What a round does to attempts that end; `refused` is told when the disk has no room for files that are to be put away."""

    def __init__(
        self, paths: StudyPaths, settings: Settings, study: Study, executor: Executor, derived: DerivedFiles,
        refused: Callable[[str], object],
    ) -> None:  # fmt: skip
        self._paths, self._settings, self._study = paths, settings, study
        self._executor, self._derived, self._refused = executor, derived, refused
        self._heard: dict[str, Evidence] = {}  # of attempts that are not put away yet
        self._left: list[PutAway] = []  # whose files wait for room
        self._finished = False  # a trial has, since checkpoints were last looked at

    def ask(self, attempt: Running, reason: str, *, now: bool = False) -> None:
        """Ask an attempt to end. It keeps the reason that it was given first; one that nobody has begun need not begin."""
        grace, step = self._settings.trial.grace, attempt.pruned_at
        ask_to_end(attempt.paths, attempt.stop_reason or reason, grace=grace, now=now, step=step)
        self._executor.pass_on(attempt.name, EndRequest(attempt.stop_reason or reason, grace, now, step))
        if not attempt.claimed and not attempt.worker and void_start(attempt.paths):
            self._executor.cancel(attempt.name)

    def over(self, attempt: Running) -> None:
        """An attempt ended; what its runner told need not be in its folder."""
        if attempt.evidence is not None:
            self._heard[attempt.name] = attempt.evidence

    def put_away(self, over: PutAway) -> None:
        """Bring the files of an attempt that is over into their final form."""
        trial, files = self._study.trials[over.trial], self._paths.trial(over.trial)
        name = attempt_name(over.trial, over.attempt)
        set_bad_aside(files, trial, self._settings.checkpoints.pattern)
        if trial.state.finished:
            try:
                put_away(files, trial, evidence=self._heard.get(name))
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                self._left.append(over)
                self._refused(StorageError.of(error).fact)
                return  # its marker stays: whoever goes on once there is room puts it away
            self._finished = True
        close_attempt(self._paths, over.trial, over.attempt)
        self._heard.pop(name, None)
        self._executor.settled([name])  # not before: what its folder was to say otherwise is not needed any more

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
