"""The coordinator's life: round after round until the study comes to rest, or for one turn; and what others ask of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from outlast.config.settings import Settings
from outlast.core.file_names import attempt_name
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.records import Event
from outlast.core.states import TrialState
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.engine.attempts.folds import ensure_splits
from outlast.engine.attempts.running import Running, end_attempt
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.coming_to_rest import ComingToRest
from outlast.engine.coordinator.round import Holding
from outlast.engine.coordinator.shell import Shell
from outlast.engine.coordinator.watch import Watch
from outlast.engine.derived.catching_up import caught_up, leave_behind
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.study import requests
from outlast.study.attempts import close_attempt
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import is_untidy, put_away
from outlast.study.recovery import had_a_folder

_TURN = 5.0  # seconds of a turn in which further requests are answered
_SOON = 0.05  # seconds after which a worker that waited for the holder before asks again


class Coordinator(Shell):
    """Runs one study that was opened."""

    def run(self) -> Verdict | None:
        """Recover what an earlier coordinator left, then go round until the study comes to rest.

        Returns the verdict; ``None`` if we stepped down before.

        Raises:
            LeaseLost: Another coordinator took over; everything that runs goes on under it.
            StorageError: The ledger cannot be written; what runs goes on, and the same command takes it up again.
        """
        ensure_splits(self.paths.root, self.settings, self.study.study_seed, fence=self._ledger.check)
        self._ledger.reserve()
        opened = self._opened
        try:
            self._derived.start(self.study, doubtful=opened.taken_over, rivalled=opened.rivalled, drawn=opened.drawn)
            caught_up(self.paths)  # what turns left is ours to draw
            self._take_over()
            self._teller.start()
            self._sender.start()
            self._ending.work_behind()
            while (end := self.round()) is None and not self._stepping_down:
                judging = self._decisions.pruning.active and not self._in_parts and bool(self._watch.running)
                self._executor.wait(self._round.next_in(self._executor.pause, judging=judging))
            left = self._ending.close()
        except BaseException:
            self._ending.abandon()
            self._derived.abandon()  # what was taken in may not be durable, or the study somebody else's
            self._teller.close(wait=0.0)
            self._sender.close()
            raise
        if end is None:
            with contextlib.suppress(OSError):  # our words may go to a disk that is full: we leave all the same
                self._decisions.say(f"{self._stepping_down}: the next coordinator takes over")
        if left:
            with contextlib.suppress(OSError):
                self._decisions.say(left)
        self._derive_last()
        self._sender.leave()
        self._teller.close()
        return end

    def turn(self, *, derive: bool = True) -> Verdict | None:
        """Hold the study for a moment: take in what ended, answer whoever asks, and leave the rest to the next holder.

        Args:
            derive: Bring the index and the tables up to date as well. Otherwise that is left to others, where there are any.

        Returns:
            The verdict if the study has come to rest.

        Raises:
            LeaseLost, StorageError: As `run`.
        """
        ensure_splits(self.paths.root, self.settings, self.study.study_seed, fence=self._ledger.check)
        self._round.holding = Holding.TURN
        try:
            if derive:
                self._derived.start(self.study, doubtful=False, rivalled=False)
            self._take_over()
            self._round.backoff.recall(self._clock.monotonic(), self._clock.now())
            if self.study.ended is not None:  # what runs may finish; nothing begins until somebody runs it again
                self.coming_to_rest.ask("over", drain=True)
            self._inbox.let_gather()
            began = self._clock.monotonic()
            while True:
                end = self.round()
                if end is None:
                    self._carry_out(self._round.turn_over(self._clock.now(), self._lasted))
                    self._decisions.commit()
                asked = self._slots.most or requests.pending(self.paths)
                if end is not None or not asked or self._clock.monotonic() - began > _TURN:
                    break
        except BaseException:
            self._derived.abandon()
            raise
        self._draw_or_leave(end)
        return end

    def _draw_or_leave(self, end: Verdict | None) -> None:
        """Have everything drawn, or leave that to those whose trials run. The last word is there for everyone to read."""
        if not self._derived.begun:
            news, others = self._derived.decided_anything, bool(self.study.in_state(TrialState.RUNNING))
            if end is None and (others or not news):
                if news:
                    leave_behind(self.paths, len(self.study.trials))
                for warning in self._derived.leave():
                    self._decisions.say(warning)
                return
            self._derived.start(self.study, doubtful=False, rivalled=False)
        self._derive_last()
        caught_up(self.paths)
        if end is None and not self._derived.is_whole and self.study.in_state(TrialState.RUNNING):
            leave_behind(self.paths, len(self.study.trials), again=True)

    def _take_over(self) -> None:
        take_over(
            self.paths, self.study, self._watch, self._derived, self.settings,
            unclean=self._opened.taken_over, momentary=self._round.holding is Holding.TURN,
            asked_before=self._opened.asked_before, fence=self._ledger.fence,
        )  # fmt: skip

    def _derive_last(self) -> None:
        for warning in self._derived.close(self.study, within=None if self._ends is None else self._ends.seconds):
            self._decisions.say(warning)

    # -- from outside -------------------------------------------------------------------------------------------------

    @property
    def coming_to_rest(self) -> ComingToRest:
        """What was asked for; a signal handler may ask as well."""
        return self._round.rest

    @property
    def running(self) -> Sequence[Running]:
        """The attempts that run now."""
        return list(self._watch.running.values())

    def nobody_watches(self) -> None:
        """The person who watched the run is gone: it waits for room on a full disk from now on."""
        self._round.holding = Holding.UNATTENDED

    def step_down(self, why: str) -> None:
        """Leave the study to the next coordinator after this round: what runs goes on, and nothing is decided about it.

        A signal handler may ask for it: it is said once the last round is over.
        """
        self._stepping_down = self._stepping_down or why

    def asked_here(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer what an objective may ask about its study to somebody in this process."""
        return self._ask_server.answer(question, "a callback")

    def record(self, event: Event) -> None:
        """Make something durable that was done for the study from outside."""
        self._decisions.take(event)
        self._decisions.commit()

    def close_with(self, end: Verdict) -> None:
        """Bring the study to rest for a reason from outside; what runs may finish."""
        self._carry_out(self._round.closed(end, self._clock.now(), self._lasted))
        self._decisions.commit()


def take_over(
    paths: StudyPaths,
    study: Study,
    watch: Watch,
    derived: DerivedFiles,
    settings: Settings,
    *,
    unclean: bool,
    momentary: bool,
    asked_before: Collection[str] = (),
    fence: Callable[[], object] = lambda: None,
) -> None:
    """Begin where the holder before ended, whatever it was doing. Repeating it is harmless.

    Live attempts are adopted, what is left of dead ones ended, files put away.

    Args:
        watch: Over the study's attempts; empty so far.
        unclean: The holder before did not end its run: any finished trial's files may be untidy.
        momentary: We hold the study for a turn: requests are meant for whoever has one, and stay.
        asked_before: Keys of the requests that were there before we held it.
        fence: Raises where somebody else does by now.
    """
    for trial in study.in_state(TrialState.RUNNING):  # an attempt that is open runs: nobody else is looked at
        attempt = trial.open_attempt
        if attempt is not None:
            watch.track(trial, attempt.number, attempt.slot)
    closed = [key for key in paths.open_attempts() if attempt_name(*key) not in watch.running]
    fence()  # else those that we do not know are a later holder's, and run
    for number, attempt_number in closed:  # decided about; one that a new revision ruled out may still run
        end_attempt(paths, number, attempt_number)
    for trial in study.in_state(TrialState.INTERRUPTED):
        set_bad_aside(paths.trial(trial.number), trial, settings.checkpoints.pattern, fence=fence)
    _tidy(paths, study, {number for number, _ in closed}, unclean=unclean, fence=fence)
    for number, attempt_number in closed:
        close_attempt(paths, number, attempt_number)
    derived.retain(study)
    if not momentary:
        _turn_away(paths, asked_before, {running.slot for running in watch.running.values()}, fence=fence)
    watch.take_over(unclean=unclean, fence=fence)


def _turn_away(paths: StudyPaths, before: Collection[str], granted: set[str], *, fence: Callable[[], object]) -> None:
    """Requests to stop from before were meant for a coordinator that is gone, later ones are meant for us; a worker that asked it
    for a trial, if it lives, asks again.

    Where an attempt was opened for a request already it stays: its answer has perhaps not reached the worker.
    """
    asked = requests.pending(paths)
    fence()
    for request in asked:
        if request.kind == "stop" and request.key in before:
            requests.take(paths, request)
        elif request.kind == "trial" and Slots.name_of(request) not in granted:
            requests.answer(paths, request, wait=_SOON)


def _tidy(paths: StudyPaths, study: Study, touched: set[int], *, unclean: bool, fence: Callable[[], object]) -> None:
    """Put away the finished trials whose files are not in their final form: these, or after an unclean end any."""
    numbers = sorted(
        study.trials.keys() if unclean else touched & study.trials.keys()
    )  # of a long study few are unpacked
    for trial in (study.trials[number] for number in numbers):
        if trial.state.finished:
            files = paths.trial(trial.number)
            if is_untidy(files) or trial.number in touched or (had_a_folder(trial) and not files.folder.exists()):
                fence()  # else it may go on under a later holder
                put_away(files, trial, fence=fence)
