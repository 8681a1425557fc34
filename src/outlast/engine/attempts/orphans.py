"""Ending what is left of an attempt that nobody waits for any more."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from outlast._system.processes import Identity, is_running
from outlast.runner.spec import token_of_attempt
from outlast.study.attempts import Life, end_tree, inspect, void_start
from outlast.study.layout import StudyPaths


def end_attempt(paths: StudyPaths, trial: int, number: int) -> list[int]:
    """See to it that no process of an attempt lives on this host, and that none will begin.

    Returns pids that would not go.
    """
    attempt = paths.attempt(trial, number)
    if not attempt.folder.is_dir():
        return []  # it was put away: over long since
    status = inspect(attempt)
    if status.life is Life.UNCLAIMED and not void_start(attempt):
        status = inspect(attempt)  # a runner was faster
    if status.life is Life.RUNNING and status.runner is not None:
        _end(status.runner)
    if status.life in (Life.RUNNING, Life.GONE):
        return end_tree(attempt, token_of_attempt(str(paths.root), trial, number))
    return []


def _end(runner: Identity) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(runner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while is_running(runner) and time.monotonic() < deadline:
        time.sleep(0.005)
