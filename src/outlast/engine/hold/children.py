"""The runners that a worker forked: started in a place each, watched to their end, sent away; and what their ends mean for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from outlast._system.job_environment import ENDS_IN
from outlast._system.processes import my_identity
from outlast._system.reading import read_bytes, read_json
from outlast.core.file_names import parse_attempt_name
from outlast.engine.hold.workplace import Workplace

_TAKEN_IN_WITHIN = 120.0  # seconds for somebody to take in what our last trial came to
_HURRIED = 5.0  # the same, where the walltime is almost over
_RESUME_EXITS = (75, 130, 143)


def share(cards: Sequence[str], place: int, places: int) -> tuple[str, ...]:
    """A place's cards of a job's, split evenly among trials side by side; where there are fewer, several trials share one."""
    each = len(cards) // places
    first = place * each if each else place * len(cards) // places
    return tuple(cards[first : first + max(1, each)])


class Children:
    """Attempts that run here, and those that ended here. Each is known by its trial's number and its own."""

    def __init__(self, workplace: Workplace) -> None:
        self._at, self._paths, self._leaving = workplace, workplace.paths, workplace.leaving
        self.running: dict[tuple[int, int], Child] = {}  # those that run
        self.ended: dict[tuple[int, int], float] = {}  # those that nobody has taken in yet, and since when
        self.finished = 0  # trials that ran here as far as they went

    # -- starting -----------------------------------------------------------------------------------------------------

    @property
    def next_cards(self) -> tuple[str, ...]:
        """The job's cards that the next attempt gets."""
        return self._share(self._free_place())

    def _share(self, place: int) -> tuple[str, ...]:
        return share(() if self._at.job is None else self._at.job.facts.gpus, place, self._at.parallel)

    def _free_place(self) -> int:
        taken = {child.place for child in self.running.values()}
        return next(place for place in range(self._at.parallel) if place not in taken)

    def start(self, name: str, grace: float) -> None:
        """Fork the runner of an attempt that was given to us; it has so many seconds to leave when it is told to."""
        from outlast.runner.fork_server import fork_runner

        key = parse_attempt_name(name)
        if key is None:
            return
        place, attempt = self._free_place(), self._paths.attempt(*key)
        cards = self._share(place)
        self._at.say(f"{_in_words(*key)} begins" + (f" on GPU {','.join(cards)}" if cards else ""))
        try:
            pid = fork_runner(
                str(self._paths.open_marker(*key)), str(attempt.runner_log), self._environment(place),
                outlives=self._at.job is None,
            )  # fmt: skip
        except OSError as error:  # too many processes, or too little memory
            self._lose(*key, f"its runner could not be started: {error.strerror}")
            return
        self.running[key] = Child(pid, place, grace, str(attempt.reports))
        if self._leaving.pressed:  # it was on its way to us when we were asked to leave
            self._send_away(*key)

    def _environment(self, place: int) -> dict[str, str]:
        """What a runner is told of its cards, and of its job's end."""
        from outlast.runner.attempt_gpus import cards_for_runner, shared_cards_for_runner

        cards, told = self._share(place), {}
        if self._at.cards is not None:
            told.update(cards_for_runner(self._at.cards.locks))
        elif cards:
            told["CUDA_VISIBLE_DEVICES"] = ",".join(cards)
            if any(self._share(other) == cards for other in range(self._at.parallel) if other != place):
                told.update(shared_cards_for_runner(cards))
        left = self._at.seconds_left
        return told if left is None else {**told, ENDS_IN: f"{left:.0f}"}

    # -- watching -----------------------------------------------------------------------------------------------------

    def have_reported(self) -> bool:
        """Whether there are reports that were not there the last time."""
        return any(child.has_reported() for child in self.running.values())

    def reap(self) -> bool:
        """Look at those that have ended. Returns whether there were any."""
        gone = [key for key, child in self.running.items() if child.has_ended()]
        for key in gone:
            self.ended[key] = time.monotonic()
            self._look_at_end(*key)
            del self.running[key]  # last: a disk that refuses us a look is looked at again
            self._at.say(f"{_in_words(*key)} ended")
        return bool(gone)

    def forget_taken_in(self) -> None:
        """An attempt's marker goes once its outcome is durable."""
        patience = _HURRIED if self._leaving.requeue else _TAKEN_IN_WITHIN
        for key, since in list(self.ended.items()):
            gone = read_bytes(self._paths.open_marker(*key)) is None  # opened: a stat may be from a cache
            if gone or time.monotonic() - since > patience:  # whoever holds the study is slow, and will see to it
                del self.ended[key]

    def _look_at_end(self, trial: int, number: int) -> None:
        """What its evidence means for us. A runner that died without leaving any is our child: nobody knows better than we."""
        attempt = self._paths.attempt(trial, number)
        evidence = read_json(attempt.exit)
        if not isinstance(evidence, dict):
            from outlast.runner.spec import token_of_attempt
            from outlast.study.attempts import end_tree, give_up

            if read_bytes(attempt.started) is None:
                self._look_at_no_beginning(trial, number)
            elif not end_tree(attempt, token_of_attempt(str(self._paths.root), trial, number)):
                give_up(attempt, "its runner died", my_identity().host)
        elif evidence.get("stop_reason") == "walltime":
            self._leaving.requeue = self._leaving.begun = True
        elif self._leaving.pressed and self._at.job is not None:
            self.ended.pop((trial, number), None)  # the scheduler's word for it comes later; others take it in
        elif evidence.get("exit_code") not in _RESUME_EXITS:
            self.finished += 1

    def _look_at_no_beginning(self, trial: int, number: int) -> None:
        """There is no claim. The attempt was given to us: nobody else could have made one, or will."""
        from outlast.study.attempts import last_words, void_start

        attempt = self._paths.attempt(trial, number)
        marker = read_bytes(self._paths.open_marker(trial, number))  # removed after the files were put away
        if marker is None or read_bytes(attempt.alive) is None:  # opened: that the folder is there may be from a cache
            self.finished += 1  # put away already: somebody's turn was quicker than we
        elif self._leaving.pressed:
            void_start(attempt)  # it was sent away before it began: no fault
        else:  # the next one would die here as well
            self._lose(trial, number, "its runner died before it began" + last_words(attempt))

    def _lose(self, trial: int, number: int, why: str) -> None:
        """Nothing begins here. That counts as a loss, and we leave the machine to others."""
        from outlast.study.attempts import give_up

        give_up(self._paths.attempt(trial, number), why, my_identity().host)
        self.ended.setdefault((trial, number), time.monotonic())
        self._at.say(f"{_in_words(trial, number)}: {why}; this is no place for another one")
        self._leaving.begun = True

    # -- sending away -------------------------------------------------------------------------------------------------

    def send_away(self) -> None:
        """Once: trainings may save a checkpoint and leave. Twice: they are ended now. Called by a signal's handler."""
        for key in self.running:
            self._send_away(*key)

    def _send_away(self, trial: int, number: int) -> None:
        child = self.running[trial, number]
        if self._at.job is not None:
            child.signal(signal.SIGTERM)  # it is meant for all of the job; not every cluster delivers it so
        else:
            from outlast.study.attempts import ask_to_end

            ask_to_end(self._paths.attempt(trial, number), "user", grace=child.grace, now=self._leaving.pressed > 1)


class Child:
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


def _in_words(trial: int, attempt: int) -> str:
    return f"trial {trial}" + (f" (attempt {attempt})" if attempt != 1 else "")
