"""Starting attempts: worked out and decided in one round, laid out and handed to an executor or a worker once that is durable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

from outlast._system.mounts import is_shared
from outlast.config.settings import Settings
from outlast.core.file_names import attempt_name
from outlast.core.kept_words import Train
from outlast.core.records import KEPT, AttemptOpened, Trial
from outlast.engine.attempts.code_snapshot import working_tree
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.kept_attempts import prepare_kept
from outlast.engine.attempts.prepare import Prepared, draws_as_it_goes, next_attempt, prepare_attempt
from outlast.engine.attempts.running import Running
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.ask_server import AskServer
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.instructions import Open
from outlast.engine.coordinator.new_trials import Creation
from outlast.engine.coordinator.watch import Watch
from outlast.errors import LeaseLost, StudyFileError
from outlast.executors.base import Executor
from outlast.executors.kept_workers import KeptExecutor
from outlast.study.attempts import withdraw
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger


class Starting:
    """Opens attempts and starts them; those of this machine by its executor, a worker's by handing it over."""

    def __init__(
        self, paths: StudyPaths, settings: Settings, ledger: Ledger, decisions: Decisions, watch: Watch, slots: Slots,
        executor: Executor, ask_server: AskServer, creation: Creation,
    ) -> None:  # fmt: skip
        self._paths, self._settings, self._ledger, self._decisions = paths, settings, ledger, decisions
        self._watch, self._slots, self._executor = watch, slots, executor
        self._ask_server, self._creation = ask_server, creation
        # To be started once that is durable. One that never is was never laid out: the next round, or run, knows it by that.
        self.opened: list[tuple[Running, Prepared]] = []
        self._asks = draws_as_it_goes(settings)
        self._judges = decisions.pruning.active and not study_parts(settings)
        self._polled = executor.outlives or is_shared(paths.root)

    @cached_property
    def _code(self) -> str:
        """The commit that is trained, asked of git once something begins."""
        return working_tree(self._settings.working_directory) if self._settings.command else ""

    def open(self, wanted: Sequence[Open]) -> bool:
        """Decide about attempts in these slots; new trials are created first, as many as the space still has.

        Returns whether it has one more.

        Raises:
            StudyFileError: The base configuration, or the derive hook, which are read anew for each trial.
        """
        study, trials, more = self._decisions.study, [], True
        for number in [each.trial for each in wanted]:
            if number is None:
                number, created = study.next_number, self._creation.create()
                if len(created) != 1:  # used up; or ruled out by the derive hook: again in the next round
                    more = bool(created)
                    break
            trials.append(study.trials[number])
        for trial, each in zip(trials, wanted, strict=False):
            self.opened.append(self._open(trial, each.slot))
        return more

    def _open(self, trial: Trial, slot: str) -> tuple[Running, Prepared]:
        name = attempt_name(trial.number, next_attempt(trial))
        if slot.startswith(KEPT):
            return self._opened(trial, slot, prepare_kept(self._paths, self._settings, trial, prunes=self._judges))
        pipe_fd = self._ask_server.open(name) if self._asks else None
        local, cards = self._slots.local, self._slots.locks(slot)
        others = len(local) != 1 or slot not in local or any(each.worker for each in self._watch.running.values())
        try:
            prepared = prepare_attempt(
                self._paths, self._settings, trial, cards=cards, pipe_fd=pipe_fd,
                cpus_per_trial=self._slots.cpus_per_trial, shared=others,
                segment=0 if self._executor.outlives else self._ledger.number, slot_fd=self._slots.held_by(slot),
            )  # fmt: skip
        except (StudyFileError, OSError):
            self._ask_server.end(name)
            _close(pipe_fd)
            raise
        if prepared.nothing_but:
            text = f"trial {trial.number} starts over: what lies in its checkpoint folder is no checkpoint"
            cure = "checkpoints.pattern says what is one"
            self._decisions.warn("no-checkpoint", f"{text} ({prepared.nothing_but}); {cure}")
        return self._opened(trial, slot, prepared)

    def _opened(self, trial: Trial, slot: str, prepared: Prepared) -> tuple[Running, Prepared]:
        cards = self._slots.locks(slot)
        asked = self._slots.asked(slot)
        self._decisions.take(
            AttemptOpened(
                trial.number, prepared.number, self._decisions.clock.now(), slot, prepared.resume, self._code,
                gpus=tuple(card.uuid for card in cards) or tuple(asked.get("gpus", ())), job=str(asked.get("job", "")),
                restarts=int(asked.get("restarts", 0)), worker=asked.get("worker", {}),
            )
        )  # fmt: skip
        return self._watch.track(trial, prepared.number, slot), prepared

    def drop(self) -> None:
        """Start none of what was opened."""
        while self.opened:
            _close(self.opened.pop()[1].pipe_fd)

    def start(self) -> None:
        """Start the first of what was opened, which is on record.

        Raises:
            LeaseLost: Somebody else holds the study; nobody will find the attempt.
            JobRefused: The scheduler would refuse the next one as well.
        """
        attempt, prepared = self.opened.pop(0)
        try:
            self._start(attempt, prepared)
        finally:
            _close(prepared.pipe_fd)

    def _start(self, attempt: Running, prepared: Prepared) -> None:
        if prepared.kept is not None:
            self._ledger.check()
            self._train(attempt, prepared.kept, prepared.seconds_before)
            return
        prepared.lay_out(self._paths, polled=self._polled or attempt.worker)
        try:
            self._ledger.fence()
        except LeaseLost:  # we were away in between: the attempt is void
            withdraw(self._paths, attempt.trial, attempt.number)
            raise
        if attempt.worker:
            self.hand_over(attempt)
            return
        marker = str(self._paths.open_marker(attempt.trial, attempt.number))
        cards = (card.fd for card in self._slots.locks(attempt.slot))
        keep = tuple(fd for fd in (*cards, self._slots.held_by(attempt.slot), prepared.pipe_fd) if fd is not None)
        log = str(attempt.paths.runner_log)
        self._executor.submit(attempt.name, marker, log, told=prepared.marker, keep_fds=keep)
        attempt.submitted = True
        self._slots.started(attempt.slot)

    def _train(self, attempt: Running, train: Train, seconds_before: float) -> None:
        assert isinstance(self._executor, KeptExecutor)
        self._executor.train(
            attempt.slot, train, grace=self._settings.trial.grace, seconds_before=seconds_before,
            still_ours=self._ledger.check,
        )  # fmt: skip
        attempt.submitted = attempt.claimed = True

    def hand_over(self, attempt: Running) -> None:
        """Tell the worker that asked for it which attempt is its own."""
        grace = self._settings.trial.grace
        self._slots.hand_over(self._paths, attempt.slot, attempt.name, grace=grace, judges=self._judges)


def _close(fd: int | None) -> None:
    if fd is not None:
        os.close(fd)
