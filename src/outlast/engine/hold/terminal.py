"""A person at the terminal that a study is run from: Ctrl-C, what it answers, and where words go once the terminal is gone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.hold.signals import handling
from outlast.executors.base import Executor
from outlast.monitor.times import duration
from outlast.study.layout import StudyPaths


@contextmanager
def stopping_at_signals(coordinator: Coordinator, executor: Executor, say: Callable[[str], object]) -> Iterator[None]:
    """Once: running trials checkpoint and stop. Twice: now. A closed terminal: the search goes on without it.

    A handler says nothing itself: it could have interrupted the very print that it would need.
    """
    at_terminal = os.isatty(1)  # words that go to a file or a pipe already stay there

    def asked(number: int, _frame: object) -> None:
        again = coordinator.coming_to_rest.by_hand and not coordinator.coming_to_rest.drain
        coordinator.coming_to_rest.ask("user", now=again, signal=number == signal.SIGTERM)
        os.write(executor.wake_fd, b"!")
        words = "stopping"
        if again:
            words = "ending the running trials now"
        elif coordinator.running:
            grace = duration(coordinator.settings.trial.grace)
            words = f"stopping: running trials have {grace} to save a checkpoint and leave; once more to end them now"
        coordinator.soon.append(partial(say, words))

    def move() -> None:
        words_to_run_log(coordinator.paths)
        say("the terminal was closed: the search goes on, and this is where its words go")

    def hung_up(_number: int, _frame: object) -> None:
        nonlocal at_terminal
        if at_terminal:
            at_terminal = False
            coordinator.soon.insert(0, move)  # what is still to be said would be said to a terminal that is gone
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
