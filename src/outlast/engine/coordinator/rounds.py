"""The coordinator: rounds of evidence → decision → one ledger line → action.

A round reads what changed (ended attempts, new reports, requests, signals), decides with the pure core, makes all decisions
durable in one append, and only then acts on them. Nothing that happens outside the append changes what the study is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from outlast._system import Clock
from outlast.config.settings import Settings
from outlast.core.layout import attempt_name
from outlast.core.plan import (
    Limits,
    Starts,
    Verdict,
    halting,
    plan_starts,
    target_value_reached,
    used_up,
    verdict,
)
from outlast.core.records import AttemptOpened, Event, StudyEnded, Trial
from outlast.core.states import Cause, StudyState
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.engine.attempts.code_snapshot import working_tree
from outlast.engine.attempts.folds import ensure_splits, study_parts
from outlast.engine.attempts.gpu_memory import cards_to_avoid
from outlast.engine.attempts.prepare import Prepared, draws_as_it_goes, next_attempt, prepare_attempt
from outlast.engine.attempts.running import Pulse, Running
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.ask_server import AskServer
from outlast.engine.coordinator.backoff import Backoff
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.disk_guard import DiskGuard
from outlast.engine.coordinator.inbox import Inbox
from outlast.engine.coordinator.limits import ComingToRest, limits_of
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.new_trials import Creation
from outlast.engine.coordinator.take_over import take_over
from outlast.engine.coordinator.watch import Watch
from outlast.engine.derived.writer import DerivedFiles
from outlast.errors import NO_ROOM, DiskFull, JobRefused, LeaseLost, StorageError, StudyFileError
from outlast.executors.base import Executor
from outlast.optimizer.pruning import Pruning
from outlast.optimizer.sampling import Optimizer
from outlast.study import requests
from outlast.study.attempts import close_attempt, put_away, request_stop, void_start, withdraw
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

__all__ = ["Coordinator"]

_SOON = 0.05  # seconds between two rounds, at most, where somebody waits for decisions
_TURN = 5.0  # seconds of a turn in which further requests are answered
_STARTS = 8  # in one round, where there is a pruner
_ROOM_AGAIN = 5.0  # seconds of a pause at least


class Coordinator:
    """Runs one study that was opened. Single-threaded; the index writer works behind it."""

    def __init__(
        self,
        paths: StudyPaths,
        settings: Settings,
        opened: Opened,
        executor: Executor,
        listener: Listener,
        *,
        slots: Slots,
        clock: Clock | None = None,
        limits: Limits | None = None,
        pulses: dict[str, Pulse] | None = None,
        unattended: bool = False,
    ) -> None:
        self.paths, self.settings, self.slots = paths, settings, slots
        self.unattended = unattended  # nobody is there to type the same command again once the disk has room
        self.study, self.coming_to_rest = opened.study, ComingToRest()
        self._opened, self._listener, self._executor = opened, listener, executor
        self._ledger, self._clock = opened.ledger, clock or Clock()
        self._derived = DerivedFiles(paths, settings, fence=opened.ledger.check)
        optimizer, pruning = Optimizer(settings, self.study), Pruning(settings, self.study)
        self._decisions = Decisions(
            self.study, self._ledger, optimizer, pruning, self._derived, listener, self._clock
        )  # fmt: skip
        self._watch = Watch(paths, settings, self._decisions, executor, slots, pulses)
        self._inbox = Inbox(paths, settings, slots, self._watch, self._decisions, self.come_to_rest)
        self._ask_server = AskServer(settings, self._decisions, self._watch, executor, self.come_to_rest)
        self._creation = Creation(settings, self._decisions, self._derived.index)
        self._limits = limits or limits_of(settings)
        self._in_parts = bool(study_parts(settings))  # then the pruner judges between parts, not within one
        self._backoff = Backoff(self.study)
        self._disk_guard = DiskGuard(paths)
        self._untidy: list[Running] = []  # whose files wait for room to be put away
        self._room_at = 0.0  # when it is worth looking whether there is room again
        self._stepping_down = ""
        self._momentary = False  # we hold the study for a turn
        self._barrier = bool((settings.slurm or {}).get("barrier")) and executor.outlives
        self._began = self._clock.monotonic() - opened.elapsed
        self._code = working_tree(settings.working_directory) if settings.command else ""

    # -- life ---------------------------------------------------------------------------------------------------------

    def run(self) -> Verdict | None:
        """Recover what an earlier coordinator left, then go round until the study comes to rest.

        Returns:
            The verdict; ``None`` if we stepped down before.

        Raises:
            LeaseLost: Another coordinator took over; everything that runs goes on under it.
            StorageError: The ledger cannot be written; what runs goes on, and the same command takes it up again.
        """
        ensure_splits(self.paths.root, self.settings, self.study.study_seed)
        self._ledger.reserve()
        self._derived.start(self.study, doubtful=self._opened.taken_over, rivalled=self._opened.rivalled)
        try:
            self._take_over(momentary=False)
            while True:
                end = self._round()
                if end is not None or self._stepping_down:
                    break
                soon = self.coming_to_rest.reason or self._judges
                self._executor.wait(min(_SOON, self._executor.pause) if soon else self._executor.pause)
        except BaseException:
            self._derived.abandon()  # what was taken in may not be durable, or the study somebody else's
            raise
        for warning in self._derived.close(self.study):
            self._decisions.say(warning)
        return end

    def turn(self, *, derive: bool = True) -> Verdict | None:
        """Hold the study for a moment: take in what ended, answer whoever asks, and leave the rest to the next holder.

        Args:
            derive: Bring the index and the tables up to date as well.

        Returns:
            The verdict if the study has come to rest.

        Raises:
            LeaseLost, StorageError: As `run`.
        """
        ensure_splits(self.paths.root, self.settings, self.study.study_seed)
        self._momentary = True
        if derive:
            self._derived.start(self.study, doubtful=False, rivalled=False)
        try:
            self._take_over(momentary=True)
            self._backoff.recall(self._clock.monotonic(), self._clock.now())
            if self.study.ended is not None:
                self.come_to_rest(
                    "over", drain=True
                )  # what runs may finish; nothing new begins until somebody runs it again
            self._inbox.let_gather()
            began = self._clock.monotonic()
            while True:
                end = self._round()
                if end is None and (self.coming_to_rest.by_hand or self.coming_to_rest.reason == "halted"):
                    self._stand(self._verdict() or Verdict(StudyState.STOPPED, "the same command goes on"))
                asked = self.slots.most or requests.pending(self.paths)
                if end is not None or not asked or self._clock.monotonic() - began > _TURN:
                    break
        except BaseException:
            self._derived.abandon()
            raise
        if end is not None and not derive:  # the last word is there for everyone to read
            self._derived.start(self.study, doubtful=False, rivalled=False)
        if end is not None or derive:
            for warning in self._derived.close(self.study):
                self._decisions.say(warning)
        return end

    def _round(self) -> Verdict | None:
        """`round`, with what a disk refused said in our words."""
        try:
            return self.round()
        except OSError as error:
            if error.filename is None and error.errno not in NO_ROOM:
                raise  # not of a file: of the terminal, say
            self._ledger.check()  # a newer coordinator may be working on the same files
            refused = StorageError.of(error)
            if not isinstance(refused, DiskFull) or not self._ledger.free_reserve():
                raise refused from error
            self.pause(refused.fact)  # with what was kept in reserve the study can be brought to rest
            return None

    def round(self) -> Verdict | None:
        """One round; the verdict if the study has come to rest."""
        self._ledger.check()
        now = self._clock.monotonic()
        self._poll()
        self._ask_server.serve()
        self._inbox.read()
        ended = self._gather(now)
        self._prune()
        starts = self._plan(now)
        self._decisions.commit()
        self._inbox.answer()
        self._put_away(ended)
        for attempt, prepared in starts:
            if self.coming_to_rest.paused or self.coming_to_rest.halt:
                break  # never started: the next run does
            self._start(attempt, prepared)
        for job in self._executor.take_submissions():
            self._decisions.take(job)
            self._watch.submitted(job)
        self._decisions.commit()
        note = self._executor.take_note()
        if note:
            self._decisions.warn("isolation", f"every trial gets a process of its own: the function's module {note}")
        running = list(self._watch.running.values())
        for warning in self._derived.looked(self.study, running):
            self._decisions.say(warning)
        self._listener.looked(self.study, running)
        return self._rest()

    def come_to_rest(self, reason: str = "user", *, drain: bool = False, now: bool = False) -> None:
        """Come to rest: no new starts; running trials are asked to stop (or left to finish with `drain`)."""
        self.coming_to_rest.ask(reason, drain=drain, now=now)

    def halt(self, why: str) -> None:
        """Come to rest because going on makes no sense."""
        self.come_to_rest("halted")
        self.coming_to_rest.halt = Verdict(StudyState.HALTED, why)
        self._decisions.say(why)

    def step_down(self, why: str) -> None:
        """Leave the study to the next coordinator after this round: what runs goes on, and nothing is decided about it."""
        if not self._stepping_down:
            self._stepping_down = why
            self._decisions.say(f"{why}: the next coordinator takes over")

    def record(self, event: Event) -> None:
        """Make something durable that was done for the study from outside."""
        self._decisions.take(event)
        self._decisions.commit()

    def close_with(self, end: Verdict) -> None:
        """Bring the study to rest for a reason from outside; what runs may finish."""
        self._stand(end)

    def pause(self, why: str) -> None:
        """The machine has no room: start nothing more, let what runs go on, and come to rest without blaming any trial."""
        if not self.coming_to_rest.paused:
            self.coming_to_rest.paused = why
            self._room_at = self._clock.monotonic() + _ROOM_AGAIN
            if not self.coming_to_rest.reason:
                self.come_to_rest("paused", drain=True)
            then = "; it goes on by itself once there is room" if self._waits_for_room else ""
            if not self._momentary:  # turn after turn: whoever takes them says it once
                self._decisions.say(
                    f"paused: {why}. No trial is to blame; running ones go on, no new ones are started{then}"
                )

    @property
    def _waits_for_room(self) -> bool:
        """Whether a disk without room only holds us up, and does not bring the study to rest."""
        waits = self.unattended or self._momentary
        return waits and not self.coming_to_rest.by_hand and self.coming_to_rest.reason in ("", "paused")

    def _mind_the_room(self, now: float) -> None:
        lacking = self._disk_guard.lacking(now)
        if lacking or self._ledger.lacking_room:
            self.pause(lacking or self._ledger.lacking_room)
        if lacking or not self.coming_to_rest.paused or not self._waits_for_room or now < self._room_at:
            return
        if not self._momentary and not self._ledger.reserve():
            return  # a quota, which is not seen from outside
        self._ledger.lacking_room = ""
        self.coming_to_rest.go_on()
        self._decisions.say("there is room again: the search goes on")
        untidy, self._untidy = self._untidy, []
        self._put_away(untidy)

    @property
    def running(self) -> Sequence[Running]:
        """The attempts that run now."""
        return list(self._watch.running.values())

    @property
    def elapsed(self) -> float:
        """Seconds that the study was run for, earlier runs included."""
        if self.study.ended is not None:
            return self.study.elapsed_before
        return self.study.elapsed_before + self._clock.monotonic() - self._began

    def _poll(self) -> None:
        try:
            self._executor.poll()
        except JobRefused as refused:  # a job that had to wait, and the next one would be refused as well
            self._refused(refused)

    def _refused(self, refused: JobRefused) -> None:
        if self.coming_to_rest.halt is None:
            self.halt(f"{refused.by} refuses the jobs: {refused.fact}")

    def _take_over(self, *, momentary: bool) -> None:
        unclean = self._opened.taken_over
        take_over(
            self.paths, self.study, self._watch, self._derived, self.settings, unclean=unclean, momentary=momentary
        )

    # -- decide -------------------------------------------------------------------------------------------------------

    def _gather(self, now: float) -> list[Running]:
        ended = []
        for attempt, event in self._watch.gather(now):
            self._ask_server.end(attempt.name)
            if event.cause is Cause.DISK_FULL:
                self.pause(event.reason)
            self._backoff.note(event, now)
            self._creation.ended(event)
            ended.append(attempt)
        return ended

    @property
    def _judges(self) -> bool:
        """Whether the pruner waits for reports: the sooner it hears of one, the fewer steps a hopeless trial goes on."""
        return self._decisions.pruning.active and not self._in_parts and bool(self._watch.running)

    def _prune(self) -> None:
        for attempt in self.running:
            self._watch.end_if_diverged(attempt)
            if attempt.name in self._ask_server:
                attempt.read_reports()  # the objective asks by itself whether to go on
            elif not self._in_parts and self._watch.judge(attempt):
                self._watch.prune(attempt)

    def _plan(self, now: float) -> list[tuple[Running, Prepared]]:
        """Ask running attempts to stop where that is due; otherwise fill the free slots."""
        self._halt_or_expire()
        self._mind_the_room(now)
        if self.coming_to_rest.reason:
            self._tell_to_stop()
            self.slots.available(0)
            if self._waits_for_room:
                self.slots.let_wait(self.paths, soon=True, lacking=self.coming_to_rest.paused)
            else:
                self.slots.send_away(self.paths)
            return []
        if self._barrier and self._watch.running:
            return []  # a whole batch at a time
        starts, free = self._fill(now)
        opened: list[tuple[Running, Prepared]] = []
        try:
            trials = [self.study.trials[number] for number in self._numbers(starts)]
            free = self.slots.with_other_cards(free, [cards_to_avoid(trial) for trial in trials])
            for trial, slot in zip(trials, free, strict=False):
                opened.append(self._open(trial, slot))
        except StudyFileError as error:  # of the base configuration, say, which is read anew for each trial
            if self._momentary:
                raise  # it may be this host that lacks it: others go on
            self.halt(str(error))
        self.slots.give_back()
        if self._watch.running or self._verdict() is None:  # otherwise this round is the last, and sends everybody away
            self.slots.let_wait(self.paths, soon=self._backoff.any_after(now))
        return opened

    def _numbers(self, starts: Starts) -> list[int]:
        """The trials to start; new ones are created, as many as the space still has."""
        numbers = list(starts.existing)
        while len(numbers) < len(starts.existing) + starts.new:
            number = self._creation.create()
            if number is None:
                break
            numbers.append(number)
        return numbers

    def _fill(self, now: float) -> tuple[Starts, list[str]]:
        """What to start in which slots. Cards are locked only for as many as could be started, and may be fewer."""

        def planned(slots: int) -> Starts:
            return plan_starts(
                self.study, self._limits, slots,
                not_before=self._backoff.not_before, now=now, exhausted=self._creation.exhausted,
            )  # fmt: skip

        # Each start takes a moment, and while one waits for 64 of them nobody is pruned: a few a round.
        # (A batch begins whole, or it would be as small as that.)
        few = self._decisions.pruning.active and not self._barrier
        could = planned(min(self.slots.most, _STARTS) if few else self.slots.most)
        wanted = len(could.existing) + could.new
        avoid = {card for number in could.existing for card in cards_to_avoid(self.study.trials[number])}
        free = self.slots.available(wanted, avoid)
        for text in self.slots.news:
            self._decisions.say(text)
        self.slots.news.clear()
        return could if len(free) >= wanted else planned(len(free)), free

    def _halt_or_expire(self) -> None:
        if self.coming_to_rest.reason:
            return
        end = halting(self.study, self._limits)
        if end is not None:
            self.halt(end.reason)
        elif self._used_up or target_value_reached(self.study, self._limits):
            self.come_to_rest("budget")

    @property
    def _used_up(self) -> bool:
        return used_up(self.study, self._limits, self.elapsed, self._watch.gpu_seconds()) is not None

    def _open(self, trial: Trial, slot: str) -> tuple[Running, Prepared]:
        name = attempt_name(trial.number, next_attempt(trial))
        pipe_fd = self._ask_server.open(name, trial.number) if draws_as_it_goes(self.settings) else None
        cards = self.slots.locks(slot)
        others = len(self.slots.local) != 1 or slot not in self.slots.local or any(a.worker for a in self.running)
        try:
            prepared = prepare_attempt(
                self.paths, self.settings, trial, cards=cards, pipe_fd=pipe_fd,
                cpus_per_trial=self.slots.cpus_per_trial, shared=others,
                segment=0 if self._executor.outlives else self._ledger.number,
            )  # fmt: skip
        except StudyFileError:
            self._ask_server.end(name)
            if pipe_fd is not None:
                os.close(pipe_fd)
            raise
        if prepared.nothing_but:
            text = f"trial {trial.number} starts over: what lies in its checkpoint folder is no checkpoint"
            cure = "checkpoints.pattern says what is one"
            self._decisions.warn("no-checkpoint", f"{text} ({prepared.nothing_but}); {cure}")
        asked = self.slots.asked(slot)
        self._decisions.take(
            AttemptOpened(
                trial.number,
                prepared.number,
                self._clock.now(),
                slot,
                prepared.resume,
                self._code,
                gpus=tuple(card.uuid for card in cards) or tuple(asked.get("gpus", ())),
                job=str(asked.get("job", "")),
                restarts=int(asked.get("restarts", 0)),
                worker=asked.get("worker", {}),
            )
        )
        return self._watch.track(trial, prepared.number, slot), prepared

    def _tell_to_stop(self) -> None:
        if self.coming_to_rest.drain:
            return
        for attempt in self.running:
            if (attempt.name, self.coming_to_rest.now) not in self.coming_to_rest.told:
                self.coming_to_rest.told.add((attempt.name, self.coming_to_rest.now))
                reason = attempt.stop_reason or self.coming_to_rest.told_as
                grace, now, step = self.settings.trial.grace, self.coming_to_rest.now, attempt.pruned_at
                request_stop(attempt.paths, reason, grace=grace, now=now, step=step)
                if not attempt.claimed and not attempt.worker and void_start(attempt.paths):
                    self._executor.cancel(attempt.name)  # it need not start any more

    def _rest(self) -> Verdict | None:
        """The verdict, made durable, once nothing runs any more."""
        if self.running:
            return None
        end, before = self._verdict(), self.study.ended
        if end is not None and end.state is StudyState.STOPPED and self.coming_to_rest.reason == "over":
            end = None  # nobody asked for that: what brought it to rest before stands
        if before is not None and (end is None or end.state.value == before.state):
            return Verdict(StudyState(before.state), before.reason)  # it had come to rest before this turn
        if end is not None:
            self._stand(end)
            self.slots.send_away(self.paths)
            requests.clear_unread(self.paths)
        return end

    def _verdict(self) -> Verdict | None:
        """Where the study stands, or will once nothing runs any more; ``None`` while there is something to do."""
        end = verdict(self.study, self._limits, elapsed=self.elapsed, exhausted=self._creation.exhausted)
        if end is None:
            end = self.coming_to_rest.halt
        if end is None and self._waits_for_room:
            return None
        if end is None and self.coming_to_rest.paused:
            end = Verdict(StudyState.PAUSED, f"{self.coming_to_rest.paused}; free space, then the same command goes on")
        elif end is None and self.coming_to_rest.reason:
            end = Verdict(StudyState.STOPPED, "the same command goes on")
        return end

    def _stand(self, end: Verdict) -> None:
        """Make a verdict durable."""
        if self.study.ended is not None and self.study.ended.state == end.state.value:
            return
        elapsed = 0.0 if self.study.ended is not None else self._clock.monotonic() - self._began
        self._decisions.take(StudyEnded(self._clock.now(), end.state.value, end.reason, elapsed))
        self._decisions.commit()

    # -- act ----------------------------------------------------------------------------------------------------------

    def _put_away(self, ended: Sequence[Running]) -> None:
        finished = False
        for attempt in ended:
            trial = self.study.trials[attempt.trial]
            set_bad_aside(attempt.trial_paths, trial, self.settings.checkpoints.pattern)
            if trial.state.finished:
                try:
                    put_away(attempt.trial_paths, trial)
                except OSError as error:
                    if error.errno not in NO_ROOM:
                        raise
                    self.pause(StorageError.of(error).fact)
                    self._untidy.append(attempt)
                    continue  # its marker stays: whoever goes on once there is room puts it away
                finished = True
            close_attempt(self.paths, attempt.trial, attempt.number)
        if finished:
            self._derived.retain(self.study)

    def _start(self, attempt: Running, prepared: Prepared) -> None:
        self._ledger.check()
        prepared.lay_out(self.paths)
        try:
            self._ledger.check()
        except LeaseLost:  # we were away in between: the attempt is void, and nobody may find it
            withdraw(self.paths, attempt.trial, attempt.number)
            raise
        if attempt.worker:
            self._inbox.hand_over(attempt)
            return
        marker = str(self.paths.open_marker(attempt.trial, attempt.number))
        cards = tuple(card.fd for card in self.slots.locks(attempt.slot))
        keep = cards if prepared.pipe_fd is None else (*cards, prepared.pipe_fd)
        try:
            self._executor.submit(attempt.name, marker, str(attempt.paths.runner_log), keep_fds=keep)
        except JobRefused as refused:  # the next one would be refused as well
            self._refused(refused)
            return
        attempt.submitted = True
        self.slots.started(attempt.slot)
        if prepared.pipe_fd is not None:
            os.close(prepared.pipe_fd)
