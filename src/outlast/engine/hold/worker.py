"""A worker: fetches trials of a study and runs them here; a task of an array is one, and so is whoever helps by hand.

It asks whoever holds the study. Where nobody does, it holds it for a turn (`outlast.engine.hold.turn`): takes in what has ended,
answers everyone who asks, itself included, and lets go. Until it has a trial or takes a turn it imports next to nothing: of many
workers that start together most never take one, and five hundred of them share the machine with the one that answers them.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from outlast._system import my_identity, read_bytes, read_json
from outlast._system.job_environment import ENDS_IN, JobFacts
from outlast.core.states import TrialState
from outlast.errors import LeaseLost, OutlastError, StorageError
from outlast.study import requests
from outlast.study.layout import StudyPaths, attempt_name, parse_attempt_name

if TYPE_CHECKING:
    from outlast.core.plan import Verdict
    from outlast.engine.coordinator.rounds import Coordinator
    from outlast.engine.hold.turn import Memory, Turn
    from outlast.engine.hold.worker_cards import WorkerCards
    from outlast.study.lease import Lease

__all__ = ["Worker"]

_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between two looks; longer the longer there is nothing
_JUDGE_EVERY = 30.0  # seconds between two turns that only show reports to the pruner
_LOOK_EVERY = 300.0  # seconds between two looks for tasks of our array that were lost, whoever looks
_LOOK_AGAIN = 20.0  # the same, once some were
_TAKEN_IN_WITHIN = 120.0  # seconds for somebody to take in what our last trial came to
_LOOK_CLOSER_AFTER = 1.0  # seconds that the lease is somebody else's before we look whether that process lives
_REFUSED_FOR = 600.0  # seconds for the disk to come back
_HURRIED = 5.0  # the same, where the walltime is almost over
_TOO_SHORT = 60.0  # seconds of walltime that no trial is begun in
_RESUME_EXITS = (75, 130, 143)


class Worker:
    """Runs trials of a study until there is nothing more to do.

    Args:
        folder: The study's.
        parallel: Trials side by side.
        most: Trials in all; as many as there are by default.
        say: Takes a line for the person, or for the job's log.
        job: The scheduler's job that we are, as a task of an array.
        cards: Locks cards for a trial that needs some, where no scheduler has given us ours.
    """

    def __init__(
        self,
        folder: str,
        *,
        parallel: int = 1,
        most: int | None = None,
        say: Callable[[str], object] = print,
        job: JobFacts | None = None,
        cards: WorkerCards | None = None,
    ) -> None:
        self._paths = StudyPaths.at(folder)
        self._folder, self._parallel, self._most, self._say, self._job = folder, parallel, most, say, job
        self._cards = cards
        self._lease: Lease | None = None
        self._seen_held = 0.0  # since when the lease has been somebody else's
        self._memory: Memory | None = None
        self._running: dict[str, _Child] = {}
        self._left: dict[str, float] = {}  # attempts that ended here and that nobody has taken in yet → since when
        self._asked: requests.Request | None = None
        self._is_laid_out = False  # that request; a disk may refuse it
        self._ask_at = 0.0
        self._finished = 0
        self._begin_anew = False  # as a job with its whole walltime
        self._judges, self._judged_at = False, time.monotonic()
        self._leaving = False
        self._failure: OutlastError | None = None  # why we leave once nothing runs here any more
        self._look_at, self._found_lost = time.monotonic() + _look_every(), False  # for tasks that were lost
        self._told: set[str] = set()  # what need not be said turn after turn
        self._no_room_since = 0.0  # that whoever holds the study tells us of
        self._refused, self._refused_since = "", 0.0  # what the disk says, and since when
        self._pressed = 0  # how often a person, or the machine, asked us to leave
        self._pause = _PAUSE
        self.last_turn: Turn | None = None

    def run(self) -> None:
        """Work until there is nothing more to do, or until we are asked to leave."""
        before = {number: signal.signal(number, self._leave) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._work()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._cards is not None:
                self._cards.close()
        if self._begin_anew and self._job is not None:
            from outlast.engine.cluster.requeue import requeue

            if requeue(self._job):
                self._say("out of walltime: this job goes back into the queue and goes on from the checkpoint")
            else:
                self._say(
                    "out of walltime, and this job could not go back into the queue: the finisher submits the rest"
                )

    def _work(self) -> None:
        while True:
            moved = False
            try:
                moved = self._reap()
                if self._failure is None:
                    moved = self._step() or moved
                self._refused_since, self._refused = 0.0, ""
            except (OSError, OutlastError) as error:
                self._bear(StorageError.of(error) if isinstance(error, OSError) else error)
            if self._failure is not None and not self._running:
                raise self._failure
            if self._leaving and self._asked is None and not self._running and not self._left:
                return
            self._pause = _PAUSE if moved else min(_LONGEST_PAUSE, self._pause * 1.2)
            busy = bool(self._running) and not self._asked
            time.sleep(min(self._pause, 0.2 if busy else _LONGEST_PAUSE) * random.uniform(0.7, 1.3))

    def _step(self) -> bool:
        """Read answers, ask for more, and take a turn if one is due. Returns whether anything moved."""
        moved = self._read_answer()
        self._ask()
        lease = self._take_lease() if self._wants_a_turn() else None
        if lease is not None:
            self._take_turn(lease)
        self._forget_what_was_taken_in()
        return moved or lease is not None

    def _bear(self, error: OutlastError) -> None:
        """What runs here is not to blame for a disk that refuses, nor for a study that cannot be read, and is left to its end."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        self._pause = _LONGEST_PAUSE
        if not error.worth_retrying or (not self._running and now - self._refused_since > _REFUSED_FOR):
            self._failure, self._leaving = error, True
        said = str(error).splitlines()[0]
        if said != self._refused and (self._failure is None or self._running):
            self._refused = said
            then = "trying again" if self._failure is None else "leaving once what runs here has ended"
            with contextlib.suppress(OSError):  # the disk of our log may be that disk
                self._say(f"{said}; {then}")

    # -- asking -------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        if self._asked is not None and not self._is_laid_out:
            requests.lay_out(self._paths, self._asked)
            self._is_laid_out = True
        room = len(self._running) < self._parallel and not self._leaving and self._asked is None
        if not room or time.monotonic() < self._ask_at:
            return
        if self._most is not None and self._finished + len(self._running) >= self._most:
            self._leaving = not self._running
            return
        left = None if self._job is None else self._job.seconds_left()
        if left is not None and self._finished + len(self._running) and left < _TOO_SHORT:
            self._leaving = not self._running
            return
        if self._cards is not None and not self._cards.ready(running=len(self._running)):
            return
        said = {} if self._job is None else {**self._job.to_json(), "task": True, "gpus": self._my_cards()}
        self._asked = requests.prepare("trial", worker=my_identity().to_json(), **said)
        self._is_laid_out, self._pause = False, _PAUSE
        self._ask()

    def _my_cards(self) -> list[str]:
        """The cards of the job that one trial gets, as the ledger keeps them: by node."""
        assert self._job is not None
        return [f"{self._job.node}:{card}" for card in self._share(self._free_place())]

    def _share(self, place: int) -> tuple[str, ...]:
        """The job's cards, split evenly among the trials side by side; where there are fewer, several trials share one."""
        cards = self._job.gpus if self._job is not None else ()
        each = len(cards) // self._parallel
        first = place * each if each else place * len(cards) // self._parallel
        return cards[first : first + max(1, each)]

    def _free_place(self) -> int:
        taken = {child.place for child in self._running.values()}
        return next(place for place in range(self._parallel) if place not in taken)

    def _read_answer(self) -> bool:
        if self._asked is None:
            return False
        answer = requests.read_answer(self._paths, self._asked)
        if answer is None:
            return False
        self._asked = None
        self._judges = bool(answer.get("judges"))
        if "attempt" in answer:
            self._start(str(answer["attempt"]), float(answer.get("grace", 120.0)))
        elif answer.get("done"):
            self._leaving = True
        else:
            self._ask_at = time.monotonic() + float(answer.get("wait", 1.0))
        self._mind_the_room(str(answer.get("lacking", "")))
        if self._cards is not None:
            self._cards.let_go(running=len(self._running))
        return True

    def _mind_the_room(self, lacking: str) -> None:
        """Nothing begins while a disk is full. That may be over soon; a machine that stands idle for long is left to others."""
        now = time.monotonic()
        if not lacking:
            self._no_room_since = 0.0
        elif not self._no_room_since:
            self._no_room_since = now
            self._say(f"{lacking}: no trial begins before there is room")
        elif not self._running and now - self._no_room_since > _REFUSED_FOR:
            self._say(f"{lacking} for {_REFUSED_FOR / 60:.0f} minutes: leaving")
            self._leaving = True

    # -- turns --------------------------------------------------------------------------------------------------------

    def _wants_a_turn(self) -> bool:
        if self._asked is not None or self._left or self._has_to_look():
            return True
        if not self._judges or time.monotonic() - self._judged_at < _judge_every():
            return False
        self._judged_at = time.monotonic()
        return any(child.has_reported() for child in self._running.values())

    def _has_to_look(self) -> bool:
        """Whether tasks of our array were lost that nobody knows of. One task looks for all, now and then."""
        now = time.monotonic()
        if self._job is None or not self._running or self._leaving or now < self._look_at:
            return False
        self._look_at = now + _look_every() * random.uniform(1.0, 1.5)
        if not self._looks_for_all():
            return False
        from outlast.engine.cluster.topup import something_was_lost

        lost = something_was_lost(self._folder, [self._job.id])
        if lost:  # a heartbeat that stands still tells only whoever sees it twice
            self._look_at = now + min(_LOOK_AGAIN, _look_every())
        self._found_lost = lost
        return lost

    def _looks_for_all(self) -> bool:
        """Whether it is our turn to look: nobody has for as long, or we have found something. By two hosts' clocks perhaps."""
        mark = self._paths.jobs / "looked"
        try:
            recently = abs(time.time() - os.stat(mark).st_mtime) < _look_every()
        except OSError:
            recently = False
        if recently and not self._found_lost:
            return False
        mark.touch()
        return True

    def _take_lease(self) -> Lease | None:
        """The lease, if nobody has it, or whoever has it seems to do so for longer than a turn takes and may be dead."""
        now = time.monotonic()
        if read_bytes(self._paths.lease) is None:
            self._seen_held = 0.0
        elif not self._seen_held:
            self._seen_held = now
        if self._seen_held and now - self._seen_held < _LOOK_CLOSER_AFTER:
            return None
        from outlast.study.lease import Lease

        self._seen_held = 0.0
        self._lease = self._lease or Lease(self._paths.lease)
        return self._lease if self._lease.take_if_free() else None

    def _take_turn(self, lease: Lease) -> None:
        from outlast.engine.hold.turn import Memory, take_turn

        self._memory = self._memory or Memory()
        try:
            self.last_turn = take_turn(self._folder, lease, self._memory, say=self._say, last=self._top_up)
        except OutlastError as error:
            if not error.worth_retrying:
                raise
            if not isinstance(error, LeaseLost):  # then somebody was quicker: their turn
                self._say(f"{error.fact}; trying again")
                self._pause = _LONGEST_PAUSE
        self._judged_at = time.monotonic()

    def _top_up(self, coordinator: Coordinator, verdict: Verdict | None) -> None:
        """Before the lease is given back: make up for tasks that were lost. Not while we are sent away, perhaps all of us."""
        leaving = self._pressed or self._begin_anew
        if self._job is not None and not leaving and coordinator.study.in_state(TrialState.INTERRUPTED):
            from outlast.engine.cluster.topup import top_up

            top_up(coordinator, verdict, self._say_once)

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._say(text)

    def _forget_what_was_taken_in(self) -> None:
        """An attempt's marker goes once its outcome is durable."""
        for name, since in list(self._left.items()):
            parsed = parse_attempt_name(name)
            assert parsed is not None
            gone = read_bytes(self._paths.open_marker(*parsed)) is None  # opened: a stat may be from a cache
            patience = _HURRIED if self._begin_anew else _TAKEN_IN_WITHIN
            if gone or time.monotonic() - since > patience:  # whoever holds the study is slow, and will see to it
                del self._left[name]

    # -- running ------------------------------------------------------------------------------------------------------

    def _start(self, name: str, grace: float) -> None:
        from outlast.runner.gpus import cards_for_runner, shared_cards_for_runner
        from outlast.runner.nursery import fork_runner

        parsed = parse_attempt_name(name)
        if parsed is None:
            return
        place = self._free_place()
        cards, environment = self._share(place), {}
        if self._cards is not None:
            environment.update(cards_for_runner(self._cards.locks))
        elif cards and self._job is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(cards)
            if any(self._share(other) == cards for other in range(self._parallel) if other != place):
                environment.update(shared_cards_for_runner(cards))
        left = None if self._job is None else self._job.seconds_left()
        if left is not None:
            environment[ENDS_IN] = f"{left:.0f}"
        on = f" on GPU {','.join(cards)}" if cards else ""
        self._say(f"{_in_words(name)} begins{on}")
        attempt = self._paths.attempt(*parsed)
        try:
            pid = fork_runner(
                str(self._paths.open_marker(*parsed)), str(attempt.folder / "runner.log"), environment,
                outlives=self._job is None,
            )  # fmt: skip
        except OSError as error:  # too many processes, or too little memory
            self._lose(*parsed, f"its runner could not be started: {error.strerror}")
            return
        self._running[name] = _Child(pid, place, grace, str(attempt.reports))
        if self._pressed:  # it was on its way to us when we were asked to leave
            self._send_away(name)

    def _reap(self) -> bool:
        ended = [name for name, child in self._running.items() if child.has_ended()]
        for name in ended:
            self._left[name] = time.monotonic()
            parsed = parse_attempt_name(name)
            assert parsed is not None
            self._look_at_end(*parsed)
            del self._running[name]  # last: a disk that refuses us a look is looked at again
            self._say(f"{_in_words(name)} ended")
        return bool(ended)

    def _look_at_end(self, trial: int, number: int) -> None:
        """What its evidence means for us. A runner that died without leaving any is our child: nobody knows better than we."""
        attempt = self._paths.attempt(trial, number)
        evidence = read_json(attempt.exit)
        if not isinstance(evidence, dict):
            from outlast.runner.spec import token_of_trial
            from outlast.study.attempts import end_tree, give_up

            if read_bytes(attempt.started) is None:
                self._look_at_no_beginning(trial, number)
            elif not end_tree(attempt, f"{token_of_trial(str(self._paths.root), trial)}{number};"):
                give_up(attempt, "its runner died", my_identity().host)
            return
        if evidence.get("stop_reason") == "walltime":
            self._begin_anew = self._leaving = True
        elif self._pressed and self._job is not None:
            self._left.pop(attempt_name(trial, number), None)  # SLURM's word for it comes later; others take it in
        elif evidence.get("exit_code") not in _RESUME_EXITS:
            self._finished += 1

    def _look_at_no_beginning(self, trial: int, number: int) -> None:
        """There is no claim. The attempt was given to us: nobody else could have made one, or will."""
        from outlast.study.attempts import last_words, void_start

        attempt = self._paths.attempt(trial, number)
        marker = read_bytes(self._paths.open_marker(trial, number))  # removed after the files were put away
        if marker is None or not attempt.folder.is_dir():
            self._finished += 1  # put away already: somebody's turn was quicker than we
        elif self._pressed:
            void_start(attempt)  # it was sent away before it began: no fault
        else:  # the next one would die here as well
            self._lose(trial, number, "its runner died before it began" + last_words(attempt))

    def _lose(self, trial: int, number: int, why: str) -> None:
        """Nothing begins here. That counts as a loss, and we leave the machine to others."""
        from outlast.study.attempts import give_up

        give_up(self._paths.attempt(trial, number), why, my_identity().host)
        self._left.setdefault(attempt_name(trial, number), time.monotonic())
        self._say(f"{_in_words(attempt_name(trial, number))}: {why}; this is no place for another one")
        self._leaving = True

    # -- leaving ------------------------------------------------------------------------------------------------------

    def _leave(self, number: int, _frame: object) -> None:
        self._leaving = True
        self._pressed += 1
        if number == signal.SIGTERM and self._job is not None and self._job.is_out_of_time():
            self._begin_anew = True
        for name in self._running:
            self._send_away(name)

    def _send_away(self, name: str) -> None:
        """Once: the training may save a checkpoint and leave. Twice: it is ended now."""
        child, parsed = self._running[name], parse_attempt_name(name)
        assert parsed is not None
        if (
            self._job is not None
        ):  # what SLURM sends to us is meant for all of the job; not every cluster delivers it so
            child.signal(signal.SIGTERM)
        else:
            from outlast.study.attempts import request_stop

            request_stop(self._paths.attempt(*parsed), "user", grace=child.grace, now=self._pressed > 1)


class _Child:
    """A runner that this worker forked."""

    def __init__(self, pid: int, place: int, grace: float, reports: str) -> None:
        self.place, self.grace, self._reports = place, grace, reports
        self._pid, self._ended, self._seen = pid, False, 0

    def has_ended(self) -> bool:
        """Whether it is gone; reaps it."""
        if not self._ended:
            self._ended = os.waitpid(self._pid, os.WNOHANG)[0] == self._pid
        return self._ended

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if not self._ended:  # not reaped: the pid is its own
            os.kill(self._pid, number)

    def has_reported(self) -> bool:
        """Whether there are reports that were not there the last time."""
        try:
            size = os.stat(self._reports).st_size
        except OSError:
            return False
        new, self._seen = size != self._seen, size
        return new


def _look_every() -> float:
    return float(os.environ.get("OUTLAST_LOOK_SECONDS") or _LOOK_EVERY)


def _judge_every() -> float:
    return float(os.environ.get("OUTLAST_JUDGE_SECONDS") or _JUDGE_EVERY)


def _in_words(name: str) -> str:
    trial, attempt = parse_attempt_name(name) or (name, 1)
    return f"trial {trial}" + (f" (attempt {attempt})" if attempt != 1 else "")
