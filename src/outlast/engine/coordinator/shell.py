"""The shell around the pure round: it gathers what happened, makes decisions durable, and then acts on them.

Nothing that happens outside the one append changes what the study is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from outlast._system.clock import Clock
from outlast.config.settings import Settings
from outlast.core.budget import room_for_new, startable
from outlast.core.file_names import attempt_name
from outlast.core.plan import Limits, Verdict
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.running import Pulse, Running
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator import instructions as do
from outlast.engine.coordinator.ask_server import AskServer
from outlast.engine.coordinator.coming_to_rest import limits_of
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.disk_guard import DiskGuard
from outlast.engine.coordinator.ending_attempts import Ending
from outlast.engine.coordinator.inbox import Inbox
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.new_trials import Creation
from outlast.engine.coordinator.round import Holding, Round
from outlast.engine.coordinator.session_end import SessionEnd
from outlast.engine.coordinator.starting import Starting
from outlast.engine.coordinator.watch import Watch
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.engine.sending.sender_behind import SenderBehind
from outlast.engine.telling.teller_behind import TellerBehind
from outlast.errors import NO_ROOM, DiskFull, JobRefused, StorageError, StudyFileError
from outlast.executors.base import Executor
from outlast.optimizer.pruners.pruning import Pruning
from outlast.optimizer.sampling import Optimizer
from outlast.study import requests
from outlast.study.attempts import void_start
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

_STARTS = 8  # in one round, where there is a pruner


class Shell:
    """Goes round. Single-threaded; the index writer works behind it."""

    _ends: SessionEnd | None = None  # what `deadline` means

    def __init__(
        self,
        paths: StudyPaths,
        settings: Settings,
        opened: Opened,
        executor: Executor,
        listener: Listener,
        *,
        slots: Slots,
        holding: Holding = Holding.WATCHED,
        clock: Clock | None = None,
        limits: Limits | None = None,
        pulses: dict[str, Pulse] | None = None,
        ends: SessionEnd | None = None,
    ) -> None:
        self.paths, self.settings, self.study = paths, settings, opened.study
        self._opened, self._listener, self._executor, self._slots = opened, listener, executor, slots
        self._ledger, self._clock = opened.ledger, clock or Clock()
        self._ends = ends
        self._began = self._clock.monotonic() - opened.elapsed
        self._derived = DerivedFiles(paths, settings, fence=opened.ledger.check)
        make, pruning = partial(Optimizer, settings, self.study), Pruning(settings, self.study)
        decisions = Decisions(self.study, opened.ledger, make, pruning, self._derived, listener, self._clock)
        if (
            holding is not Holding.TURN
        ):  # a turn may have nothing to ask of it; a run says at once what is wrong with it
            _ = decisions.optimizer
        self._decisions, self._in_parts = decisions, bool(study_parts(settings))
        in_batches = bool((settings.slurm or {}).get("barrier")) and executor.outlives
        first_wait = os.environ.get("OUTLAST_BACKOFF_SECONDS")
        self._limits = limits or limits_of(settings)
        self._round = Round(
            self.study, self._limits, holding, in_batches=in_batches,
            at_once=_STARTS if pruning.active and not in_batches else None,  # a batch begins whole
            first_wait=float(first_wait) if first_wait else None,
        )  # fmt: skip
        self._watch = watch = Watch(paths, settings, decisions, executor, slots, pulses)
        self._inbox = Inbox(paths, slots, watch, self._clock)
        creation = Creation(settings, decisions, self._derived.index)
        self._ask_server = asks = AskServer(
            settings, decisions, watch, executor, self._round.rest, enqueue=self._enqueue_in(creation)
        )
        self._starting = Starting(paths, settings, opened.ledger, decisions, watch, slots, executor, asks, creation)
        self._ending = Ending(
            paths, settings, self.study, executor, self._derived, self._refused,
            fence=opened.ledger.fence, look=opened.ledger.look,
        )  # fmt: skip
        self._disk_guard = DiskGuard(paths)
        self._teller = TellerBehind(
            paths.root, settings.notify, settings.working_directory, env=settings.env, say=decisions.say
        )
        self._sender = SenderBehind(paths.root, settings, decisions.say)
        self._to_do: list[do.OnceDurable] = []
        self._stepping_down = ""
        self.soon: list[Callable[[], object]] = []  # at a round's end: for a signal's handler, say, that may not itself

    def round(self) -> Verdict | None:
        """One round, with what a disk refused said in our words; the verdict if the study has come to rest."""
        try:
            self._ledger.look()
            self._ending.take_done()
            self._gather()
            end = self._act()
            self._start()
            self._tell()
            if self._watch.running:
                self._ending.round_over()
                return end
            self._ending.drain()
            self._carry_out(self._round.nothing_runs(self._clock.now(), self._lasted))
            end = self._act()
            self._ending.round_over()  # that may have brought more to put away
            self._decisions.tell()
            return end
        except OSError as error:
            if error.filename is None and error.errno not in NO_ROOM:
                raise  # not of a file: of the terminal, say
            self._starting.drop()  # the next round knows what was never started
            with contextlib.suppress(OSError):  # whoever follows may write to the same disk
                self._decisions.tell()
            self._ledger.check()  # a newer coordinator may be working on the same files
            refused = StorageError.of(error)
            if not isinstance(refused, DiskFull) or not self._ledger.free_reserve():
                raise refused from error
            self._refused(refused.fact)  # with what was kept in reserve the study can be brought to rest
            return None

    def _enqueue_in(self, creation: Creation) -> Callable[[Mapping[str, Any]], bool]:
        def enqueue(params: Mapping[str, Any]) -> bool:
            room = room_for_new(self.study, self._limits.trials, self._limits.count)
            return room != 0 and creation.enqueue(params)

        return enqueue

    @property
    def _lasted(self) -> float:
        """Seconds of this run."""
        return self._clock.monotonic() - self._began

    def _refused(self, why: str) -> None:
        self._carry_out(self._round.disk_seen(self._clock.monotonic(), lacking=why))

    def _gather(self) -> None:
        """Everything that happened since the last round, in the order in which it is decided about."""
        now = self._clock.monotonic()
        try:
            self._executor.poll()
        except JobRefused as refused:  # a job that had to wait, and the next one would be refused as well
            self._jobs_refused(refused)
        self._watch.hear()
        self._ask_server.serve()
        for wanted in self._inbox.read():
            self._carry_out(self._round.asked(wanted))
        for attempt, ended, evidence in self._watch.gather(now):  # one by one: the disk may refuse the next
            self._ask_server.end(attempt.name)
            self._ending.over(attempt)
            self._listener.over(ended, evidence)
            self._carry_out(self._round.attempt_over(ended, now))
        self._decisions.let_steer()
        for attempt in list(self._watch.running.values()):
            self._watch.end_if_diverged(attempt)
            if attempt.to_be_told:  # a disk had no room for the request
                self._watch.tell(attempt)
            if attempt.name in self._ask_server:
                attempt.read_reports()  # the objective asks by itself whether to go on
            elif not self._in_parts and self._watch.judge(attempt):
                self._watch.prune(attempt)
        self._carry_out(self._round.budget_seen(self._lasted, self._watch.gpu_seconds()))
        if self._ends is not None:
            left = self._ends.left(self.settings.trial.grace, self._derived.home_seconds)
            self._carry_out(self._round.deadline_seen(left))
        lacking = self._disk_guard.lacking(now) or ""
        self._carry_out(self._round.disk_seen(now, lacking, self._ledger.lacking_room))
        self._carry_out(self._round.slots_seen(self._slots.most, now))

    def _carry_out(self, instructions: Iterable[do.Instruction]) -> None:
        """Do what the round says. What acts on decisions is kept until they are durable."""
        running = self._watch.running
        for instruction in instructions:
            match instruction:
                case do.Record(event):
                    self._decisions.take(event)
                case do.Say(text):
                    self._decisions.say(text)
                case do.LockSlots(wanted, now, avoid):
                    self._fill(wanted, now, avoid)
                case do.TakeReserve():
                    # Only a try tells: a quota is not seen from outside.
                    if self._round.holding is Holding.TURN or self._ledger.reserve():
                        self._ledger.lacking_room = ""
                        self._carry_out(self._round.room_is_back())
                case do.HandOver(name):
                    self._starting.hand_over(running[name])
                case do.TurnAway(slot):
                    self._inbox.turn_away(slot)
                case do.Void(name):
                    void_start(running[name].paths)
                case do.Prune(trial, number):
                    if (attempt := running.get(attempt_name(trial, number))) is not None and not attempt.stop_reason:
                        self._watch.prune(attempt)
                case do.AskToEnd(trial, number, reason, at_once):
                    if (attempt := running.get(attempt_name(trial, number))) is not None:
                        self._ending.ask(attempt, reason, now=at_once)
                        self._round.rest.told.add((trial, number, at_once))  # not before: the disk may have refused it
                case _:
                    self._to_do.append(instruction)

    def _fill(self, wanted: int, now: float, avoid: Collection[str]) -> None:
        """Lock slots, open what the round begins in them, and unlock those that it left."""
        if self._slots.shared is not None:
            left = startable(self.study, self._limits.trials, self._limits.count)
            self._slots.shared.still_to_begin(0 if self._round.rest.reason else left)
        free = self._slots.available(wanted, avoid)
        while self._slots.news:
            self._decisions.say(self._slots.news.pop(0))
        cards = {slot: frozenset(lock.uuid for lock in self._slots.locks(slot)) for slot in free}
        used_up = False
        try:
            used_up = not self._starting.open(self._round.fill(cards, wanted, now))
        except StudyFileError as error:
            if self._round.holding is Holding.TURN:
                raise  # it may be this host that lacks a file: others go on
            self._carry_out(self._round.futile(str(error)))
        self._slots.give_back()
        self._carry_out(self._round.slots_filled(now, self._lasted, space_used_up=used_up))

    def _jobs_refused(self, refused: JobRefused) -> None:
        self._carry_out(self._round.futile(f"{refused.by} refuses the jobs: {refused.fact}"))

    def _act(self) -> Verdict | None:
        """Make the decisions durable; then, and only then, do what follows from them. The verdict, if there is one.

        Whoever follows hears of them when what they begin has begun.
        """
        self._decisions.commit(tell=False)
        self._inbox.answer()
        end = None
        while self._to_do:
            instruction = self._to_do[0]
            match instruction:
                case do.PutAway():
                    self._ending.put_away(instruction)
                case do.PutAwayLeft():
                    self._ending.put_away_left()
                case do.LetWait(soon, lacking):
                    self._slots.let_wait(self.paths, soon=soon, lacking=lacking)
                case do.SendAway(for_good):
                    self._slots.send_away(self.paths)
                    if for_good:
                        requests.clear_unread(self.paths)
                case do.Leave(verdict):
                    end = verdict
            self._to_do.pop(0)  # not before: where a disk refuses it, it is done again
        self._ending.retain()
        return end

    def _start(self) -> None:
        """Start what was opened; what is not started any more never was: the next run does."""
        if any(prepared.number > 1 for _, prepared in self._starting.opened):
            self._ending.drain()  # a trial that goes on has its files in one place
        while self._starting.opened and not (self._round.rest.paused or self._round.rest.halt):
            try:
                self._starting.start()
            except JobRefused as refused:  # the next one would be refused as well
                self._jobs_refused(refused)
        self._starting.drop()
        for job in self._executor.take_submissions():
            self._decisions.take(job)
            self._watch.submitted(job)
        self._decisions.commit()

    def _tell(self) -> None:
        """The round is over: whoever follows it hears so."""
        note = self._executor.take_note()
        if note:
            self._decisions.warn("isolation", f"every trial gets a process of its own: the function's module {note}")
        running: list[Running] = list(self._watch.running.values())
        for warning in self._derived.looked(self.study, running):
            self._decisions.say(warning)
        self._teller.looked()
        self._sender.looked()
        while self.soon:
            self.soon.pop(0)()
        self._listener.looked(self.study, running)
