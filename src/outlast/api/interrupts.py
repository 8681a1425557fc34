"""Ctrl-C, or a notebook's stop button, around a run in a process that lives on: pressed once or in a storm, at any moment."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from outlast._system.notebooks import is_notebook
from outlast.engine.hold.signals import handling

_ENOUGH = 3


class Interrupts:
    """What an interrupt means where the run's own handlers are not, or not any more.

    One that comes before the run listens is told it at its first round; a second one then ends the call, as nobody knows what
    it waits for. Once the study is open they belong to the run: one behind its end interrupts nobody who puts things away, but a
    script is told of it when that is done; the third ends the call, as whatever is waited for may never come.
    """

    def __init__(self) -> None:
        self._open = self._missed = False
        self._behind = 0  # pressed since it was open, where the run does not listen

    def opened(self) -> None:
        """The study is in hand."""
        self._open = True

    def tell_missed(self) -> None:
        """The run listens: it hears of an interrupt that came before."""
        if self._missed:
            self._missed = False
            signal.raise_signal(signal.SIGINT)

    def heard(self) -> None:
        """What was pressed since has been heard before: the run was stopped by it."""
        self._missed = False

    def _handle(self, _number: int, _frame: object) -> None:
        self._behind += self._open
        if (self._missed and not self._open) or self._behind >= _ENOUGH:
            raise KeyboardInterrupt
        self._missed = True

    @contextmanager
    def handled(self) -> Iterator[None]:
        """For a block; in the main thread, where signals go."""
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with handling({signal.SIGINT: self._handle} if ours else {}):
            yield
        if self._missed and ours and not is_notebook():
            self.tell_missed()
