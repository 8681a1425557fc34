"""A person at the terminal that a study is run from: Ctrl-C, what it answers, and where words go once the terminal is gone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from outlast.core.fold import Study
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.coordinator.listener import Forwarding, Listener
from outlast.engine.hold.signals import handling
from outlast.executors.base import Executor
from outlast.monitor.times import duration
from outlast.study.layout import StudyPaths


class Announcing(Forwarding):
    """Hands on what it hears, and says in the next round what a signal handler may not say itself: it could have
    interrupted the very print that it would need.

    Attributes:
        words: What is to be said.
        hung_up: The terminal is gone; not set back.
    """

    def __init__(self, listener: Listener, paths: StudyPaths) -> None:
        super().__init__(listener)
        self._paths = paths
        self.words: list[str] = []
        self.hung_up = False
        self._moved = not os.isatty(1)  # words that go to a file or a pipe already stay there

    def looked(self, study: Study, running: Sequence[Running]) -> None:
        """Say what was kept for this moment first."""
        if self.hung_up and not self._moved:
            self._moved = True
            words_to_run_log(self._paths)
            self.words.append("the terminal was closed: the search goes on, and this is where its words go")
        while self.words:
            self._listener.said(self.words.pop(0))
        self._listener.looked(study, running)


@contextmanager
def stopping_at_signals(coordinator: Coordinator, executor: Executor, listener: Announcing) -> Iterator[None]:
    """Once: running trials checkpoint and stop. Twice: now. A closed terminal: the search goes on without it."""

    def asked(number: int, _frame: object) -> None:
        again = coordinator.coming_to_rest.by_hand and not coordinator.coming_to_rest.drain
        coordinator.coming_to_rest.ask("user", now=again)
        os.write(executor.wake_fd, b"!")
        grace = duration(coordinator.settings.trial.grace)
        if again:
            listener.words.append("ending the running trials now")
        elif coordinator.running:
            listener.words.append(
                f"stopping: running trials have {grace} to save a checkpoint and leave; once more to end them now"
            )
        else:
            listener.words.append("stopping")

    def hung_up(_number: int, _frame: object) -> None:
        listener.hung_up = True
        coordinator.nobody_watches()
        os.write(executor.wake_fd, b"!")

    handlers = {signal.SIGINT: asked, signal.SIGTERM: asked, signal.SIGHUP: hung_up}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        del handlers[signal.SIGHUP]
    with handling(handlers):
        yield


def words_to_run_log(paths: StudyPaths) -> None:
    """What this process prints goes to the study's ``run.log`` from now on: its terminal or pipe is gone.

    What was meant for the terminal and is still on its way there is dropped.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    log = os.open(paths.run_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
