"""A round by itself: what happened goes in, instructions come out; no clock, no file, no process. And each trial's story."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from operator import methodcaller as _happens
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.core.budget import counted, in_flight
from outlast.core.plan import Limits, Verdict
from outlast.core.records import AttemptEnded, AttemptOpened, StudyEnded, TrialCreated, TrialRetried
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.coordinator.instructions import (
    AskToEnd,
    EndWanted,
    HandOver,
    Instruction,
    Leave,
    LetWait,
    LockSlots,
    Prune,
    PutAway,
    PutAwayLeft,
    Record,
    RestWanted,
    RetryWanted,
    Say,
    SendAway,
    TakeReserve,
    TurnAway,
    Void,
    Wanted,
    Worker,
    WorkersAsk,
)  # fmt: skip
from outlast.engine.coordinator.round import Holding, Round
from outlast.testing.studies import StudyBuilder

AT = "2026-01-05T11:00:00.000+00:00"
FULL = "only 0.4 MB are free in /somewhere"


class Life:
    """A study in memory whose rounds are carried out as the shell does it, on slots and cards that are only names.

    Attributes:
        story: Trial → what became of it, in order.
        acts: What the last stimulus asked to be done once its decisions are durable, and what it said.
    """

    def __init__(self, trials: int = 4, slots: int = 2, holding: Holding = Holding.WATCHED, **how: Any) -> None:
        self.study = StudyBuilder().study
        limits = how.pop("limits", Limits(trials))
        self.round = Round(self.study, limits, holding, **how)
        self.cards = {f"local:{at}": f"GPU-{at}" for at in range(slots)}
        self.story: dict[int, list[str]] = defaultdict(list)
        self.acts: list[Instruction] = []

    @property
    def running(self) -> dict[int, str]:
        """Trial → slot."""
        trials = self.study.in_state(TrialState.RUNNING)
        return {trial.number: trial.attempts[-1].slot for trial in trials}

    def happens(self, instructions: Iterable[Instruction]) -> list[Instruction]:
        """Do what the round says."""
        self.acts = []
        self._carry_out(instructions)
        return self.acts

    def asked(self, wanted: Wanted) -> list[Instruction]:
        """Somebody wants something."""
        return self.happens(self.round.asked(wanted))

    def _carry_out(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Record(event):
                    self.study.apply(event)
                    self.acts.append(instruction)
                case LockSlots(wanted, now):
                    for each in self.round.fill(self._locked(), wanted, now):
                        self._open(each.slot, each.trial)
                    self._carry_out(self.round.slots_filled(now, 1.0))
                case AskToEnd(trial, attempt, _, at_once):
                    self.round.rest.told.add((trial, attempt, at_once))
                    self.acts.append(instruction)
                case _:
                    self.acts.append(instruction)
            if isinstance(instruction, (PutAway, Prune, AskToEnd)):
                self.story[instruction.trial].append(type(instruction).__name__)

    def _locked(self) -> dict[str, frozenset[str]]:
        free = [slot for slot in self.cards if slot not in self.running.values()]  # as many as workers ask, say
        return {slot: frozenset([self.cards[slot]]) for slot in free}

    def _open(self, slot: str, number: int | None) -> None:
        assert slot not in self.running.values()
        if number is None:
            number = self.study.next_number
            self.study.apply(TrialCreated(number, AT))
        attempt = len(self.study.trials[number].attempts) + 1
        self.study.apply(AttemptOpened(number, attempt, AT, slot, gpus=(self.cards[slot],)))
        self.story[number].append(slot)

    def slots(self, now: float = 0.0) -> list[Instruction]:
        """The free slots are looked at."""
        free = len(self.cards) - len(self.running)
        return self.happens(self.round.slots_seen(free, now))

    def ends(
        self, number: int, state: TrialState, cause: Cause, now: float = 0.0, reason: str = ""
    ) -> list[Instruction]:
        """The trial's attempt is over."""
        ended = AttemptEnded(
            number, self.study.trials[number].attempts[-1].number, AT, state, cause, reason, values=(1.0,)
        )
        self.study.apply(ended)
        self.story[number].append(cause.value)
        return self.happens(self.round.attempt_over(ended, now))

    def rests(self) -> Verdict | None:
        """Whether it has come to rest, once nothing runs."""
        acts = self.happens(self.round.nothing_runs(AT, 1.0))
        return next((act.end for act in acts if isinstance(act, Leave)), None)


# -- stories --------------------------------------------------------------------------------------------------------------


def test_a_trial_that_is_lost_rests_and_then_goes_on_before_new_ones_begin() -> None:
    life = Life(trials=3)
    life.slots()
    life.ends(0, TrialState.INTERRUPTED, Cause.LOST, now=10.0)
    life.slots(now=10.5)  # it rests: a new one gets its slot
    life.ends(1, TrialState.COMPLETE, Cause.COMPLETED, now=11.0)
    life.slots(now=11.0)
    assert life.story == {
        0: ["local:0", "lost", "PutAway", "local:1"],
        1: ["local:1", "completed", "PutAway"],
        2: ["local:0"],
    }


def test_a_trial_that_is_lost_again_rests_for_longer() -> None:
    life = Life(trials=1, slots=1)
    life.slots()
    for now, waits in ((10.0, 1.0), (20.0, 2.0), (30.0, 4.0)):
        life.ends(0, TrialState.INTERRUPTED, Cause.LOST, now=now)
        assert LetWait(soon=True) in life.slots(now + waits - 0.1) and not life.running
        life.slots(now + waits)
        assert life.running


def test_a_trial_whose_files_are_in_doubt_begins_in_the_next_round_once_they_are_set_aside() -> None:
    life = Life(trials=1)
    life.slots()
    life.ends(0, TrialState.INTERRUPTED, Cause.BAD_CHECKPOINT, now=10.0)
    life.slots(now=10.0)
    assert life.story[0] == ["local:0", "bad_checkpoint", "PutAway"]
    life.slots(now=10.01)
    assert life.story[0][-1] == "local:0"


def test_a_trial_goes_on_with_another_card_than_the_one_it_ran_out_of_memory_on() -> None:
    life = Life(trials=2, first_wait=0.0)
    life.slots()
    life.ends(0, TrialState.INTERRUPTED, Cause.GPU_OUT_OF_MEMORY)
    life.ends(1, TrialState.INTERRUPTED, Cause.LOST)
    life.slots()
    assert life.running == {0: "local:1", 1: "local:0"}
    life.ends(0, TrialState.INTERRUPTED, Cause.GPU_OUT_OF_MEMORY)
    life.ends(1, TrialState.COMPLETE, Cause.COMPLETED)
    life.slots()
    assert 0 in life.running, "where there is no other card, one of them has to do"


@pytest.mark.parametrize(
    ("cause", "again"), [(Cause.CRASH, False), (Cause.HOST_OUT_OF_MEMORY, True)], ids=["learnt from", "spoilt"]
)
def test_of_a_space_that_is_used_up_only_what_a_machine_spoilt_is_drawn_again(cause: Cause, again: bool) -> None:
    life = Life(trials=9, slots=1)
    life.slots()
    life.happens(life.round.slots_filled(0.0, 1.0, space_used_up=True))
    life.ends(0, TrialState.FAILED, cause)
    life.slots()
    assert (1 in life.running) is again
    assert (life.rests() is None) is again if not life.running else True


def test_a_trial_that_a_person_ends_and_one_that_a_person_retries() -> None:
    life = Life()
    life.slots()
    assert life.asked(EndWanted(0)) == [Prune(0, 1)]
    assert life.asked(EndWanted(7)) == []
    life.ends(0, TrialState.PRUNED, Cause.PRUNED)
    assert life.asked(RetryWanted((0, 1, 0, 7), True, AT)) == [Record(TrialRetried(0, AT, True))], (
        "one runs, one is not there, one is named twice"
    )
    life.slots()
    assert life.story[0] == ["local:0", "Prune", "pruned", "PutAway", "local:0"]


def test_a_whole_batch_begins_or_nothing_does() -> None:
    life = Life(trials=6, slots=3, in_batches=True)
    life.slots()
    life.ends(1, TrialState.COMPLETE, Cause.COMPLETED)
    assert life.slots() == [] and len(life.running) == 2
    for number in (0, 2):
        life.ends(number, TrialState.COMPLETE, Cause.COMPLETED)
    life.slots()
    assert list(life.running) == [3, 4, 5]


def test_a_few_begin_in_a_round_where_somebody_is_to_be_pruned_meanwhile() -> None:
    life = Life(trials=9, slots=5, at_once=2)
    counts = []
    for _ in range(4):
        life.slots()
        counts.append(len(life.running))
    assert counts == [2, 4, 5, 5]


# -- workers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        (Worker("worker:n1:7:new"), []),
        (Worker("worker:n1:7:done"), [TurnAway("worker:n1:7:done")]),
        (Worker("worker:n1:7:runs", "0001.1", claimed=True, laid_out=True), [TurnAway("worker:n1:7:runs")]),
        (Worker("worker:n1:7:runs", "0001.1", laid_out=True), [HandOver("0001.1")]),
        (Worker("worker:n1:7:runs", "0001.1"), [Void("0001.1")]),
        (Worker("worker:n1:7:void"), []),
    ],
    ids=["has none yet", "had one", "has one", "its answer was lost", "never laid out", "never started"],
)
def test_a_worker_that_asks_once_more_gets_no_second_attempt(worker: Worker, expected: list[Instruction]) -> None:
    life = Life()
    for number, name in enumerate(("done", "runs", "void")):
        life.study.apply(TrialCreated(number, AT))
        life.study.apply(AttemptOpened(number, 1, AT, f"worker:n1:7:{name}"))
    life.study.apply(AttemptEnded(0, 1, AT, TrialState.COMPLETE, Cause.COMPLETED, values=(1.0,)))
    life.study.apply(AttemptEnded(2, 1, AT, TrialState.INTERRUPTED, Cause.NEVER_STARTED))
    assert life.asked(WorkersAsk((worker,))) == expected


def test_who_asks_in_the_last_round_is_sent_away_with_it_and_not_told_to_ask_again() -> None:
    life = Life(trials=1, slots=1)
    assert life.slots() == [LetWait(soon=False)], "it runs: it may be lost"
    life.ends(0, TrialState.COMPLETE, Cause.COMPLETED)
    assert life.slots() == []
    assert life.rests() is not None and SendAway(for_good=True) in life.acts
    halting = Life(slots=2, limits=Limits(9, max_failures=1))
    halting.slots()
    halting.ends(0, TrialState.FAILED, Cause.CRASH)
    assert halting.happens(halting.round.slots_filled(0.0, 1.0)) == [LetWait(soon=False)], (
        "while something runs there is one more round"
    )


# -- coming to rest -------------------------------------------------------------------------------------------------------


def test_a_request_to_stop_is_told_once_and_a_second_one_ends_at_once() -> None:
    life = Life()
    life.slots()
    life.asked(RestWanted())
    assert life.slots() == [AskToEnd(0, 1, "user"), AskToEnd(1, 1, "user"), SendAway()]
    assert life.slots() == [SendAway()]
    life.asked(RestWanted(now=True))
    assert life.slots()[0] == AskToEnd(0, 1, "user", now=True)
    for number in (0, 1):
        life.ends(number, TrialState.INTERRUPTED, Cause.STOPPED)
    life.slots()
    assert not life.running
    assert life.rests() == Verdict(StudyState.STOPPED, "the same command goes on")
    assert [type(act) for act in life.acts] == [Record, SendAway, Leave], "on record before anybody is sent away"


def test_who_could_not_be_asked_to_end_is_asked_again() -> None:
    life = Life()
    life.slots()
    life.asked(RestWanted())
    asked = [act for act in life.round.slots_seen(0, 0.0) if isinstance(act, AskToEnd)]
    assert len(asked) == 2
    life.round.rest.told.add((0, 1, False))  # the disk refused the other request
    assert life.slots() == [AskToEnd(1, 1, "user"), SendAway()]


def test_draining_lets_what_runs_finish_and_begins_nothing() -> None:
    life = Life()
    life.slots()
    life.asked(RestWanted(drain=True))
    assert life.slots() == [SendAway()]
    life.ends(0, TrialState.COMPLETE, Cause.COMPLETED)
    life.slots()
    assert list(life.running) == [1]
    assert life.round.fill({"local:0": frozenset()}, 1, 0.0) == [], "nor in a slot that was just locked"
    assert list(life.running) == [1]


@pytest.mark.parametrize(
    ("limits", "told", "state"),
    [
        (Limits(9, time=60.0), "budget", StudyState.DONE),
        (Limits(9, gpu_hours=0.01), "budget", StudyState.STOPPED),  # the end of the attempts tells what they took
        (Limits(9, target_value=0.5), "budget", StudyState.DONE),
        (Limits(9, max_failures=1), "halted", StudyState.HALTED),
        (Limits(9), "", None),
    ],
    ids=["time", "GPU hours", "target value", "failures", "goes on"],
)
def test_what_the_budget_or_the_policy_ends_no_person_did(limits: Limits, told: str, state: StudyState | None) -> None:
    life = Life(slots=3, limits=limits)
    life.slots()
    life.ends(0, TrialState.COMPLETE, Cause.COMPLETED)
    life.ends(1, TrialState.FAILED, Cause.CRASH)
    life.happens(life.round.budget_seen(lasted=61.0, gpu_seconds=37.0))
    asked = [act.reason for act in life.slots() if isinstance(act, AskToEnd)]
    assert asked == ([told] if told else [])
    if state is not None:
        life.ends(2, TrialState.INTERRUPTED, Cause.STOPPED)
        end = life.happens(life.round.nothing_runs(AT, 61.0))[-1]
        assert isinstance(end, Leave) and end.end.state is state


def test_what_makes_no_sense_is_said_once_and_stands_whatever_becomes_of_the_trials() -> None:
    life = Life(trials=2)
    life.slots()
    assert life.happens(life.round.futile("SLURM refuses the jobs")) == [Say("SLURM refuses the jobs")]
    assert life.happens(life.round.futile("once more")) == []
    assert [act.reason for act in life.slots() if isinstance(act, AskToEnd)] == ["halted", "halted"]
    for number in (0, 1):
        life.ends(number, TrialState.INTERRUPTED, Cause.STOPPED)
    assert life.rests() == Verdict(StudyState.HALTED, "SLURM refuses the jobs")


def test_a_turn_leaves_a_person_s_word_on_record_although_something_runs() -> None:
    life = Life(holding=Holding.TURN)
    life.slots()
    assert life.happens(life.round.turn_over(AT, 5.0)) == []
    life.asked(RestWanted())
    assert life.happens(life.round.turn_over(AT, 5.0)) == [
        Record(StudyEnded(AT, "stopped", "the same command goes on", 5.0))
    ]
    assert life.happens(life.round.turn_over(AT, 6.0)) == [], "once"


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ((True,), "ended by a signal; the same command goes on"),
        ((True, True), "ended by a signal; the same command goes on"),
        ((False, True), "the same command goes on"),
        ((True, False), "the same command goes on"),
    ],
)
def test_a_signal_that_a_machine_sends_too_is_no_person_s_word(signals: tuple[bool, ...], reason: str) -> None:
    life = Life()
    for each in signals:
        life.round.rest.ask("user", signal=each)
    assert life.rests() == Verdict(StudyState.STOPPED, reason)


def test_a_turn_on_a_study_at_rest_lets_it_rest() -> None:
    life = Life(holding=Holding.TURN)
    life.study.apply(StudyEnded(AT, "halted", "by itself", 5.0))
    life.round.rest.ask("over", drain=True)
    assert life.happens(life.round.nothing_runs(AT, 6.0)) == [Leave(Verdict(StudyState.HALTED, "by itself"))]
    assert life.happens(life.round.closed(Verdict(StudyState.STOPPED, "by hand"), AT, 6.0)) == [
        Record(StudyEnded(AT, "stopped", "by hand", 0.0))
    ], "the time before was counted"


def test_who_waits_for_decisions_has_them_soon() -> None:
    life = Life()
    assert life.round.next_in(0.2, judging=False) == 0.2
    assert life.round.next_in(0.2, judging=True) == 0.05
    life.asked(RestWanted())
    assert life.round.next_in(0.2, judging=False) == 0.05
    assert life.round.next_in(0.01, judging=False) == 0.01


# -- disks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holding", "says", "workers", "end"),
    [
        (Holding.WATCHED, True, SendAway(), StudyState.PAUSED),
        (Holding.UNATTENDED, True, LetWait(soon=True, lacking=FULL), None),
        (Holding.TURN, False, LetWait(soon=True, lacking=FULL), None),
    ],
    ids=lambda what: what.name if isinstance(what, Holding) else "",
)
def test_a_full_disk_ends_only_what_a_person_watches(
    holding: Holding, says: bool, workers: Instruction, end: StudyState | None
) -> None:
    life = Life(holding=holding)
    life.slots()
    said = life.happens(life.round.disk_seen(0.0, lacking=FULL))
    assert bool(said) is says and all(isinstance(act, Say) and "No trial is to blame" in act.text for act in said)
    assert life.happens(life.round.disk_seen(1.0, lacking=FULL)) == []
    assert life.slots() == [workers], "nothing begins, and what runs goes on"
    for number in (0, 1):
        life.ends(number, TrialState.COMPLETE, Cause.COMPLETED)
    verdict = life.rests()
    assert (None if verdict is None else verdict.state) is end


def test_it_goes_on_once_there_is_room_but_not_before_some_seconds_are_over() -> None:
    life = Life(holding=Holding.UNATTENDED)
    life.happens(life.round.disk_seen(0.0, lacked="the ledger: No space left on device"))
    assert life.happens(life.round.disk_seen(4.9, lacked="the same")) == []
    assert life.happens(life.round.disk_seen(5.0, lacking=FULL)) == []
    assert life.happens(life.round.disk_seen(5.0)) == [TakeReserve()]
    assert life.happens(life.round.room_is_back())[-1] == PutAwayLeft()
    life.slots()
    assert len(life.running) == 2


def test_a_person_s_request_ends_the_wait_for_room() -> None:
    life = Life(holding=Holding.UNATTENDED)
    life.happens(life.round.disk_seen(0.0, lacking=FULL))
    assert life.rests() is None
    life.asked(RestWanted())
    assert life.happens(life.round.disk_seen(9.0)) == []
    end = life.rests()
    assert end is not None and end.state is StudyState.STOPPED and "free space" in end.reason


def test_a_trial_that_met_a_full_disk_pauses_the_study_and_is_not_to_blame() -> None:
    life = Life(slots=1)
    life.slots()
    said, away = life.ends(0, TrialState.INTERRUPTED, Cause.DISK_FULL, reason="No space left on device: 'model.pt'")
    assert isinstance(said, Say) and "model.pt" in said.text and away == PutAway(0, 1)
    assert life.slots() == [SendAway()]


# -- whatever happens, in whatever order ----------------------------------------------------------------------------------

_ENDS = [
    (TrialState.COMPLETE, Cause.COMPLETED), (TrialState.FAILED, Cause.CRASH), (TrialState.INTERRUPTED, Cause.LOST),
    (TrialState.INTERRUPTED, Cause.DISK_FULL), (TrialState.PRUNED, Cause.PRUNED),
]  # fmt: skip
_HAPPENS = st.one_of(
    st.tuples(st.just("ends"), st.integers(0, 3), st.sampled_from(_ENDS)),
    st.tuples(st.just("slots")),
    st.sampled_from(
        [_happens("slots_filled", 0.0, 1.0, space_used_up=True), _happens("asked", EndWanted(1)),
         *(_happens("asked", RestWanted(**how)) for how in ({"drain": True}, {}, {"now": True})),
         _happens("asked", RetryWanted((0, 1), False, AT)), _happens("budget_seen", 1.0), _happens("futile", "why"),
         _happens("disk_seen", 0.0, lacking=FULL), _happens("disk_seen", 1e6)]
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(_HAPPENS, max_size=25), st.sampled_from(Holding))
def test_the_budget_is_exact_and_nothing_begins_while_the_study_comes_to_rest(
    steps: list[Any], holding: Holding
) -> None:
    life = Life(trials=5, slots=3, holding=holding)
    asked: list[Instruction] = []
    now = 0.0
    for step in steps:
        now += 500.0
        resting, before = bool(life.round.rest.reason), set(life.running)
        if step == ("slots",):
            life.slots(now)
        elif isinstance(step, tuple):
            running = list(life.running)
            if running:
                life.ends(running[step[1] % len(running)], *step[2], now=now)
        elif TakeReserve() in life.happens(step(life.round)):
            life.happens(life.round.room_is_back())
        asked += [act for act in life.acts if isinstance(act, AskToEnd)]
        retried = sum(trial.retried_at_attempt > 0 for trial in life.study.trials.values())
        assert counted(life.study, ("complete", "pruned")) + in_flight(life.study) <= 5 + retried
        assert not (resting and set(life.running) - before)
        assert len(asked) == len(set(asked)), "nobody is asked twice"
