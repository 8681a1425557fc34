"""One command's work on one study: open it, coordinate it to its rest, hand it back in order."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Limits, Verdict
from outlast.engine.attempts.code_snapshot import run_from
from outlast.engine.attempts.executor import local_executor, plugged_executor, slots_of
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.disk_guard import whenever_there_is_room
from outlast.engine.coordinator.listener import Forwarding, Listener
from outlast.engine.coordinator.rounds import Coordinator
from outlast.engine.derived.checkpoints import claim_checkpoints
from outlast.engine.hold.opening import open_study
from outlast.executors.base import Executor
from outlast.monitor.times import duration
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened

__all__ = ["run_study", "words_to_run_log"]


class _Announcing(Forwarding):
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


def run_study(
    paths: StudyPaths,
    settings: Settings,
    listener: Callable[[Opened, int], Listener],
    *,
    accept_changes: bool = False,
    wait: float = 0.0,
    say: Callable[[str], object] | None = None,
    handle_signals: bool = True,
    limits: Limits | None = None,
    unattended: bool = False,
) -> tuple[Verdict, Study]:
    """Run a study here until it comes to rest.

    Args:
        paths: Its files.
        settings: The study file.
        listener: Made once the study is open, from what was opened and the number of slots.
        accept_changes: Go on under a new revision although the space, the metric or the command changed.
        wait: Seconds to wait for a lease that somebody else holds.
        say: Told when there is a silent holder to wait for.
        handle_signals: Install handlers for SIGINT, SIGTERM and SIGHUP (main thread only).
        limits: Totals and policies instead of the study file's.
        unattended: Nobody is there to go on once a full disk has room: wait for it.

    Raises:
        OutlastError: Any of the tree; what runs goes on and is taken up by the next run.
    """

    def once() -> tuple[Verdict, Study]:
        return _run_once(
            paths, settings, listener, accept_changes=accept_changes, wait=wait, say=say,
            handle_signals=handle_signals, limits=limits, unattended=unattended,
        )  # fmt: skip

    return whenever_there_is_room(paths, once, say or print) if unattended else once()


def _run_once(
    paths: StudyPaths,
    settings: Settings,
    listener: Callable[[Opened, int], Listener],
    *,
    accept_changes: bool,
    wait: float,
    say: Callable[[str], object] | None,
    handle_signals: bool,
    limits: Limits | None,
    unattended: bool,
) -> tuple[Verdict, Study]:
    slots = slots_of(settings)  # first: what can never run here leaves no study behind
    executor = plugged_executor(paths, settings)
    claim_checkpoints(paths)
    opened = open_study(paths, settings, accept_changes=accept_changes, wait=wait, say=say)
    try:
        settings, told = run_from(paths, settings, opened.study.revisions)
        executor = executor or local_executor(paths, settings, slots)
        hears = _Announcing(listener(opened, len(slots.local)), paths)
        hears.words += [*opened.told, *told]
        executor.say = hears.said
        coordinator = Coordinator(
            paths, settings, opened, executor, hears, slots=slots, limits=limits, unattended=unattended
        )
        with _signals(coordinator, executor, hears) if handle_signals else nullcontext():
            verdict = coordinator.run()
        assert verdict is not None  # nobody steps down here
        return verdict, coordinator.study
    finally:
        if executor is not None:
            executor.close()
        slots.close()
        opened.close()


@contextmanager
def _signals(coordinator: Coordinator, executor: Executor, listener: _Announcing) -> Iterator[None]:
    """Once: running trials checkpoint and stop. Twice: now. A closed terminal: the search goes on without it."""

    def asked(number: int, _frame: object) -> None:
        again = coordinator.coming_to_rest.by_hand and not coordinator.coming_to_rest.drain
        coordinator.come_to_rest("user", now=again)
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
        listener.hung_up = coordinator.unattended = True
        os.write(executor.wake_fd, b"!")

    handlers = {signal.SIGINT: asked, signal.SIGTERM: asked, signal.SIGHUP: hung_up}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        del handlers[signal.SIGHUP]
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
