"""The round, as values: what happened goes in, what is to be done comes out. No clock, no file, no process.

The shell around it (`shell`) gathers what happened, makes what is to be recorded durable, and carries out the rest in order.
Times `now` are the holder's own seconds, `lasted` are those of this run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from outlast.core.deadline import comes_to_something
from outlast.core.fold import Study
from outlast.core.plan import Limits, Starts, Verdict, halting, plan_starts, target_value_reached, used_up, verdict
from outlast.core.records import AttemptEnded, StudyEnded, TrialRetried
from outlast.core.states import AT_DEADLINE, BY_SIGNAL, FEEDBACK_CAUSES, Cause, StudyState, TrialState
from outlast.engine.attempts.outcome import cards_to_avoid
from outlast.engine.coordinator import instructions as do
from outlast.engine.coordinator.backoff import Backoff
from outlast.engine.coordinator.coming_to_rest import ComingToRest
from outlast.engine.coordinator.instructions import EndWanted, RestWanted, RetryWanted, Wanted, Worker, WorkersAsk

_ROOM_AGAIN = 5.0  # seconds of a pause at least
_STOPPED = Verdict(StudyState.STOPPED, "the same command goes on")
_SIGNALLED = Verdict(StudyState.STOPPED, BY_SIGNAL)
_IN_TIME = Verdict(StudyState.STOPPED, AT_DEADLINE)
_SOON = 0.05  # seconds between two rounds, at most, where somebody waits for decisions


class Holding(Enum):
    """How a study is held, which decides what a full disk means to it."""

    WATCHED = "by a run that a person watches: it comes to rest, and the same command goes on"
    UNATTENDED = "by a run that nobody watches, or a controller: it waits until there is room"
    TURN = "for a turn: whoever has the next one goes on, and says it once"


class Round:
    """Decides; `study` is what it decides about, and is changed by what it asks to record.

    Args:
        at_once: How many attempts begin in one round at most. (Each start takes a moment, and meanwhile nobody is pruned.)
        in_batches: Attempts begin only when none runs: a whole batch at a time.
        first_wait: Of the backoff, in seconds, whatever the cause.
    """

    def __init__(
        self,
        study: Study,
        limits: Limits,
        holding: Holding = Holding.WATCHED,
        *,
        at_once: int | None = None,
        in_batches: bool = False,
        first_wait: float | None = None,
    ) -> None:
        self.study, self.holding = study, holding
        self.rest, self.backoff = ComingToRest(), Backoff(study, first_wait)
        self._limits, self._at_once, self._in_batches = limits, at_once, in_batches
        self._space_used_up = self._too_late = False
        self._room_at = 0.0  # when it is worth looking whether there is room again

    def asked(self, wanted: Wanted) -> list[do.Instruction]:
        """Workers or people want something."""
        match wanted:
            case WorkersAsk(workers):
                return list(_granted_before(self.study, workers))
            case EndWanted(number):
                return [do.Prune(trial, attempt) for trial, attempt in self._running() if trial == number]
            case RetryWanted(numbers, from_scratch, at):
                trials = (self.study.trials.get(number) for number in numbers)
                finished = (trial.number for trial in trials if trial is not None and trial.state.finished)
                return [do.Record(TrialRetried(number, at, from_scratch)) for number in dict.fromkeys(finished)]
            case RestWanted(drain, now):
                self.rest.ask("user", drain=drain, now=now)
        return []

    def next_in(self, usual: float, *, judging: bool) -> float:
        """Seconds until the next round, if nothing wakes us. The sooner a pruner hears of a report, the fewer steps a hopeless
        trial goes on."""
        return min(_SOON, usual) if self.rest.reason or judging else usual

    # -- what ends --------------------------------------------------------------------------------------------------------

    def attempt_over(self, ended: AttemptEnded, now: float) -> list[do.Instruction]:
        """An attempt ended, and what its evidence means is taken in."""
        paused = self._paused(ended.reason, now) if ended.cause is Cause.DISK_FULL else []
        self.backoff.note(ended, now)
        if ended.state is TrialState.FAILED and ended.cause not in FEEDBACK_CAUSES:
            self._space_used_up = False  # a machine spoilt it: its configuration may be drawn again
        return [*paused, do.PutAway(ended.trial, ended.attempt)]

    def _running(self) -> list[tuple[int, int]]:
        """Trial and attempt of whatever is open."""
        trials = self.study.in_state(TrialState.RUNNING)
        return [(trial.number, attempt.number) for trial in trials if (attempt := trial.open_attempt) is not None]

    # -- coming to rest ---------------------------------------------------------------------------------------------------

    def futile(self, why: str) -> list[do.Instruction]:
        """Going on makes no sense: a scheduler refuses the jobs, or the study file is wrong."""
        if self.rest.halt is not None:
            return []
        self.rest.ask("halted")
        self.rest.halt = Verdict(StudyState.HALTED, why)
        return [do.Say(why)]

    def budget_seen(self, lasted: float, gpu_seconds: float = 0.0) -> list[do.Instruction]:
        """The time is looked at, and GPU seconds of the attempts that run now."""
        if self.rest.reason:
            return []
        end = halting(self.study, self._limits)
        if end is not None:
            return self.futile(end.reason)
        elapsed = self._elapsed(lasted)
        if used_up(self.study, self._limits, elapsed, gpu_seconds) or target_value_reached(self.study, self._limits):
            self.rest.ask("budget")
        return []

    def deadline_seen(self, left: float) -> list[do.Instruction]:
        """The session's end is looked at: running attempts have to be asked to leave in so many seconds."""
        if self.rest.reason and not self.rest.drain:
            return []
        in_vain, runs = not comes_to_something(self.study, left), self._running()
        if not runs and verdict(self.study, self._limits, elapsed=self._elapsed(0.0), exhausted=self._space_used_up):
            return []  # it is over
        if left <= 0 or (in_vain and not runs):
            self.rest.ask("deadline")
            what = "running trials save a checkpoint and leave" if runs else "no further trial is started"
            return [do.Say(f"the session's deadline is near: {what}")]
        if in_vain and not self._too_late and not self.rest.reason:
            self._too_late = True
            return [do.Say("no further trial is started: none would come to anything before the session's deadline")]
        self._too_late = in_vain
        return []

    def _resting(self, now: float) -> list[do.Instruction]:
        waits, asked = self._waits_for_room, []
        for trial, attempt in [] if self.rest.drain else self._running():
            if (trial, attempt, self.rest.now) not in self.rest.told:
                asked.append(do.AskToEnd(trial, attempt, self.rest.told_as, self.rest.now))
        return [
            *asked,
            do.LockSlots(0, now),
            do.LetWait(soon=True, lacking=self.rest.paused) if waits else do.SendAway(),
        ]

    # -- disks ------------------------------------------------------------------------------------------------------------

    @property
    def _waits_for_room(self) -> bool:
        """Whether a disk without room only holds us up, and does not bring the study to rest."""
        waits = self.holding is not Holding.WATCHED and not self.rest.by_hand
        return waits and self.rest.reason in ("", "paused")

    def disk_seen(self, now: float, lacking: str = "", lacked: str = "") -> list[do.Instruction]:
        """A look at the disks, or one that refused: what is lacking for certain, and what was when one last refused: it may
        have room again, so it is tried."""
        lacks = lacking or lacked
        paused = self._paused(lacks, now) if lacks else []
        worth_it = self.rest.paused and self._waits_for_room and now >= self._room_at
        return [*paused, do.TakeReserve()] if worth_it and not lacking else paused

    def room_is_back(self) -> list[do.Instruction]:
        """The ledger has its reserve again."""
        self.rest.go_on()
        return [do.Say("there is room again: the search goes on"), do.PutAwayLeft()]

    def _paused(self, why: str, now: float) -> list[do.Instruction]:
        """Start nothing more, let what runs go on, and come to rest without blaming any trial."""
        if self.rest.paused:
            return []
        self.rest.paused, self._room_at = why, now + _ROOM_AGAIN
        if not self.rest.reason:
            self.rest.ask("paused", drain=True)
        if self.holding is Holding.TURN:
            return []
        then = "; it goes on by itself once there is room" if self._waits_for_room else ""
        return [do.Say(f"paused: {why}. No trial is to blame; running ones go on, no new ones are started{then}")]

    # -- starts -----------------------------------------------------------------------------------------------------------

    def slots_seen(self, most: int, now: float) -> list[do.Instruction]:
        """So many slots are free, if there are cards for all of them."""
        if self.rest.reason:
            return self._resting(now)
        if self._too_late:
            return [do.LockSlots(0, now)]
        if self._in_batches and self.study.in_state(TrialState.RUNNING):
            return []
        could = self._planned(min(most, self._at_once or most), now)
        avoid = {card for number in could.existing for card in cards_to_avoid(self.study.trials[number])}
        wanted = len(could.existing) + could.new
        return [do.LockSlots(wanted, now, avoid)]

    def fill(self, cards: Mapping[str, frozenset[str]], wanted: int, now: float) -> list[do.Open]:
        """Which attempts begin in slots that are free for certain: each trial in one, where there is one with other cards than
        it ran out of memory on.

        Args:
            cards: Slot → its cards, which are locked.
            wanted: How many begin at most.
            now: The holder's own seconds.
        """
        if self.rest.reason:
            return []
        starts, left = self._planned(min(len(cards), wanted), now), list(cards)
        opened = []
        for number in starts.existing:
            avoid = cards_to_avoid(self.study.trials[number])
            slot = next((slot for slot in left if not cards[slot] & avoid), left[0])
            left.remove(slot)
            opened.append(do.Open(slot, number))
        return [*opened, *map(do.Open, left[: starts.new])]

    def slots_filled(self, now: float, lasted: float, *, space_used_up: bool = False) -> list[do.Instruction]:
        """What could be opened is open; where a slot was left, perhaps because the sampler has no further configuration."""
        self._space_used_up = self._space_used_up or space_used_up
        last = not self._running() and self._verdict(lasted) is not None  # this round: it sends everybody away
        return [] if self.rest.reason or last else [do.LetWait(soon=self.backoff.any_after(now))]

    def _planned(self, slots: int, now: float) -> Starts:
        return plan_starts(
            self.study, self._limits, slots,
            not_before=self.backoff.not_before, now=now, exhausted=self._space_used_up,
        )  # fmt: skip

    # -- the end ----------------------------------------------------------------------------------------------------------

    def _elapsed(self, lasted: float) -> float:
        """Seconds that the study was run for, earlier runs included."""
        return self.study.elapsed_before + (lasted if self.study.ended is None else 0.0)

    def nothing_runs(self, at: str, lasted: float) -> list[do.Instruction]:
        """No attempt is open."""
        end, before = self._verdict(lasted), self.study.ended
        if end is not None and end.state is StudyState.STOPPED and self.rest.reason == "over":
            end = None  # nobody asked for that: what brought it to rest before stands
        if before is not None and (end is None or end.state.value == before.state):
            return [do.Leave(Verdict(StudyState(before.state), before.reason))]
        return [] if end is None else [*self.closed(end, at, lasted), do.SendAway(for_good=True), do.Leave(end)]

    def turn_over(self, at: str, lasted: float) -> list[do.Instruction]:
        """The study is about to be left to the next holder."""
        if self.rest.by_hand or self.rest.reason == "halted":
            return self.closed(self._verdict(lasted) or _STOPPED, at, lasted)
        return []

    def _verdict(self, lasted: float) -> Verdict | None:
        """Where the study stands, or will once nothing runs any more; ``None`` while there is something to do."""
        end = verdict(self.study, self._limits, elapsed=self._elapsed(lasted), exhausted=self._space_used_up)
        end = end or self.rest.halt
        if end is not None or self._waits_for_room or not self.rest.reason:
            return end
        if self.rest.reason == "deadline" and not self.rest.by_hand:
            return _IN_TIME
        if self.rest.paused:
            by_person = self.rest.by_hand and not self.rest.only_signal
            return Verdict(
                StudyState.STOPPED if by_person else StudyState.PAUSED,
                f"{self.rest.paused}; free space, then the same command goes on",
            )
        return _SIGNALLED if self.rest.only_signal else _STOPPED

    def closed(self, end: Verdict, at: str, lasted: float) -> list[do.Instruction]:
        """The study comes to rest, by a round or by somebody outside; what runs may finish."""
        ended = self.study.ended
        if ended is not None and ended.state == end.state.value:
            return []
        return [do.Record(StudyEnded(at, end.state.value, end.reason, 0.0 if ended is not None else lasted))]


def _granted_before(study: Study, workers: Iterable[Worker]) -> Iterable[do.Instruction]:
    """Those of the workers that had their attempt before, from a holder that died over its answer or that the disk refused.

    The others are given one in this round, if there is one.
    """
    attempts = (attempt for trial in study.trials.values() for attempt in trial.attempts)
    granted = {
        attempt.slot for attempt in attempts
        if attempt.outcome is None or attempt.outcome.cause is not Cause.NEVER_STARTED
    }  # fmt: skip
    for worker in workers:
        if worker.slot not in granted:
            continue
        if not worker.attempt or worker.claimed:
            yield do.TurnAway(worker.slot)  # it has its answer
        elif worker.laid_out:
            yield do.HandOver(worker.attempt)
        else:
            yield do.Void(worker.attempt)  # the worker gets another one
