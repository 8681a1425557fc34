"""A worker: beside a live run, asks its coordinator for trials and runs them here. It takes no lease and decides nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from outlast._system import my_identity
from outlast.engine.run import recorded_settings, study_paths
from outlast.engine.slots import gpu_pool
from outlast.executors.gpus import Grant
from outlast.runner.gpus import cards_for_runner
from outlast.study import requests
from outlast.study.attempts import request_stop
from outlast.study.layout import parse_attempt_name
from outlast.study.lease import holder_is_live

__all__ = ["Worker"]

_LOOK_EVERY = 0.1


class Worker:
    """Runs trials for somebody else's coordinator.

    Args:
        folder: The study's.
        parallel: Trials side by side.
        say: Takes a line for the person.

    Raises:
        UsageError: A trial needs more GPUs than there are here.
    """

    def __init__(self, folder: str, *, parallel: int = 1, say: Callable[[str], object] = print) -> None:
        settings, _ = recorded_settings(folder)
        self._pool = gpu_pool(settings, say)
        if self._pool is not None:
            self._pool.check()
        self._grant: Grant | None = None  # cards for the trial that is asked for
        self._paths = study_paths(folder, settings)
        self._grace = settings.trial.grace
        self._parallel, self._say = parallel, say
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._leaving = False
        self._pressed = 0  # how often a person, or the machine, asked us to leave

    def run(self) -> bool:
        """Work until there is nothing more to do.

        Returns:
            Whether there was a coordinator to work for.
        """
        if holder_is_live(self._paths.ledger) is False:
            return False
        self._say("helping the live run; Ctrl-C ends this worker only")
        before = {number: signal.signal(number, self._leave) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._work()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._let_cards_go()
            if self._pool is not None:
                self._pool.close()
        return True

    def _leave(self, _number: int, _frame: object) -> None:
        self._leaving = True
        self._pressed += 1
        for name in self._running:
            self._send_away(name)

    def _send_away(self, name: str) -> None:
        """Once: the training may save a checkpoint and leave. Twice: it is ended now."""
        parsed = parse_attempt_name(name)
        if parsed is not None:
            request_stop(self._paths.attempt(*parsed), "user", grace=self._grace, now=self._pressed > 1)

    def _work(self) -> None:
        asked: requests.Request | None = None
        ask_at = 0.0
        while True:
            for name in [name for name, process in self._running.items() if process.poll() is not None]:
                del self._running[name]
                self._say(f"{_in_words(name)} ended")
            if asked is not None:
                answer = requests.read_answer(self._paths, asked)
                if answer is not None:
                    asked = None
                    ask_at = self._take(answer)
                    self._let_cards_go()
                elif holder_is_live(self._paths.ledger) is False:
                    requests.take(self._paths, asked)
                    asked, self._leaving = None, True
            elif not self._leaving and len(self._running) < self._parallel and time.monotonic() >= ask_at:
                if self._has_cards():
                    asked = requests.drop(self._paths, "trial", worker=my_identity().to_json())
                elif holder_is_live(self._paths.ledger) is False:
                    self._leaving = True
            if self._leaving and asked is None and not self._running:
                return
            time.sleep(_LOOK_EVERY)

    def _take(self, answer: Mapping[str, Any]) -> float:
        """Do what we were told. Returns when to ask again."""
        if "attempt" in answer:
            self._start(str(answer["attempt"]))
            return 0.0
        if answer.get("done"):
            self._leaving = True
        return time.monotonic() + float(answer.get("wait", 1.0))

    def _has_cards(self) -> bool:
        """Whether a trial could run here now. Its cards are locked before it is asked for: it would wait for them otherwise."""
        if self._pool is None:
            return True
        if self._grant is None:
            self._grant = next(iter(self._pool.take(1, running=len(self._running))), None)
        return self._grant is not None

    def _let_cards_go(self) -> None:
        """They are the attempt's now, or there was none for them."""
        if self._grant is not None:
            self._grant.close()
            self._grant = None
        if self._pool is not None:
            self._pool.take(0, running=len(self._running))

    def _start(self, name: str) -> None:
        parsed = parse_attempt_name(name)
        if parsed is None:
            return
        self._say(f"{_in_words(name)} begins")
        locks = () if self._grant is None else self._grant.locks
        with open(self._paths.attempt(*parsed).folder / "runner.log", "ab") as words:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "outlast.runner", str(self._paths.open_marker(*parsed))],
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
                pass_fds=[lock.fd for lock in locks],
                env={**os.environ, **(cards_for_runner(locks) if locks else {})},
            )
        if self._pressed:  # it was on its way to us when we were asked to leave
            self._send_away(name)


def _in_words(name: str) -> str:
    trial, attempt = parse_attempt_name(name) or (name, 1)
    return f"trial {trial}" + (f" (attempt {attempt})" if attempt != 1 else "")
