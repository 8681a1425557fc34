"""A worker: fetches trials of a study and runs them here; a task of an array is one, and so is whoever helps by hand.

It asks whoever holds the study. Where nobody does, it holds it for a turn (`outlast.engine.hold.turn`): takes in what has ended,
answers everyone who asks, itself included, and lets go. Until it has a trial or takes a turn it imports next to nothing: of many
workers that start together most never take one, and five hundred of them share the machine with the one that answers them.
"""

from __future__ import annotations

import contextlib
import signal
import time
from contextlib import ExitStack

from outlast._system.clock import jittered
from outlast.engine.hold.asking import Asking
from outlast.engine.hold.children import Children
from outlast.engine.hold.signals import handling
from outlast.engine.hold.turn_taking import TurnTaking
from outlast.engine.hold.workplace import Workplace
from outlast.errors import OutlastError

_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between two looks; longer the longer there is nothing
_LONGEST_BESIDE_TRIALS = 0.2  # the same, while trials run here and nothing is asked for


class Worker:
    """Runs trials of a study until there is nothing more to do."""

    def __init__(self, workplace: Workplace) -> None:
        self._at, self._leaving, self._pause = workplace, workplace.leaving, _PAUSE
        self._children = Children(workplace)
        self._asking = Asking(workplace, self._children)
        self._turns = TurnTaking(workplace, self._asking, self._children)

    def run(self) -> None:
        """Work until there is nothing more to do, or until we are asked to leave."""
        with ExitStack() as held:
            if self._at.cards is not None:
                held.callback(self._at.cards.close)
            held.enter_context(handling({signal.SIGINT: self._leave, signal.SIGTERM: self._leave}))
            self._work()
        if self._leaving.requeue and self._at.job is not None:
            self._at.say(self._at.job.requeue())

    def _work(self) -> None:
        leaving, running = self._leaving, self._children.running
        while True:
            moved = refused = False
            try:
                moved = self._children.reap()
                self._children.forget_taken_in()
                if leaving.failure is None:
                    moved = self._step() or moved
                leaving.nothing_refused()
            except (OSError, OutlastError) as error:
                leaving.bear(error, running=bool(running))
                refused = True
            if leaving.failure is not None and not running:
                raise leaving.failure
            if leaving.begun and not (self._asking.waits or running or self._children.ended):
                with contextlib.suppress(OSError, OutlastError):  # whatever is not drawn is in the ledger
                    self._turns.draw_last()
                return
            pause = _PAUSE if moved else _LONGEST_PAUSE if refused else self._pause * 1.2
            busy = running and not self._asking.waits
            self._pause = min(_LONGEST_PAUSE, pause)
            time.sleep(jittered(min(self._pause, _LONGEST_BESIDE_TRIALS if busy else _LONGEST_PAUSE), 0.7, 1.3))

    def _step(self) -> bool:
        """Read an answer, ask for more, and take a turn if one is due. Returns whether anything moved."""
        answered = self._asking.read_answer()
        asked = self._asking.ask()
        return self._turns.take() or asked or answered

    def _leave(self, number: int, _frame: object) -> None:
        facts = None if self._at.job is None else self._at.job.facts
        self._leaving.press(requeue=number == signal.SIGTERM and facts is not None and facts.is_out_of_time())
        self._children.send_away()
