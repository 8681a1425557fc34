"""Kept workers: processes of this machine that run trial after trial in themselves, and end with their coordinator.

A trial there has no marker, no folder and no file. What it says travels over its worker's socket; what it prints is a stretch of
its worker's output. A worker that dies, is killed, or runs too long takes its trial with it, and another takes its place.
"""

from __future__ import annotations

import contextlib
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from outlast._system.tokens import end_processes, processes_with
from outlast.core.evidence import Evidence
from outlast.core.kept_words import Answer, Over, Points, Question, Ready, Train
from outlast.core.records import KEPT
from outlast.executors.heard import Ended, EndRequest, Heard
from outlast.executors.kept_process import KeptProcess, KeptStart
from outlast.executors.local import LocalExecutor

_LOOK_EVERY = 0.1  # seconds between looks at the clock
_IMPORTS_WITHIN = 600.0  # seconds at least: what a worker imports is no trial's own silence
_LONGEST_TICK = 1.0  # seconds: a laptop that sleeps trains nothing meanwhile


class KeptExecutor(LocalExecutor):
    """Has trials run by kept workers, one for each slot; runners that an earlier coordinator left are watched as elsewhere."""

    def __init__(self, start: KeptStart) -> None:
        super().__init__()
        self._start = start
        self._workers: dict[str, KeptProcess] = {}  # by slot
        self._at: dict[str, KeptProcess] = {}  # by attempt
        self._epoll = select.epoll()
        self._by_fd: dict[int, KeptProcess] = {}
        self._heard: dict[str, Heard] = {}
        self._questions: list[tuple[str, Mapping[str, Any]]] = []
        self._awake, self._looked, self._sized = 0.0, time.monotonic(), 0.0

    def train(
        self, slot: str, train: Train, *, grace: float, seconds_before: float = 0.0, still_ours: Callable[[], object]
    ) -> None:
        """Run a trial in a slot's worker.

        Args:
            slot: It must be free.
            train: What the worker is told.
            grace: Seconds to end in.
            seconds_before: That earlier attempts took.
            still_ours: Raises where another coordinator has the study by now.

        Raises:
            StorageError: No worker can be started.
            LeaseLost: As `still_ours` says.
        """
        worker = self._workers.get(slot)
        if worker is not None and worker.process.poll() is not None:
            self._end_left(worker)
            worker = None
        worker = worker or self._new(slot, still_ours)
        try:
            worker.begin(train, seconds_before, self._awake)
        except OSError:  # it went just now
            self._end_left(worker)
            worker = self._new(slot, still_ours)
            worker.begin(train, seconds_before, self._awake)
        self._at[train.name] = worker
        self._grace = grace

    def _new(self, slot: str, still_ours: Callable[[], object]) -> KeptProcess:
        worker = self._workers[slot] = KeptProcess(self._start, slot, still_ours)
        for fd in (worker.connection.fileno(), worker.pidfd):
            if fd is not None:
                self._by_fd[fd] = worker
                self._epoll.register(fd, select.EPOLLIN)
        return worker

    def _close(self, worker: KeptProcess) -> None:
        for fd in (worker.connection.fileno(), worker.pidfd):
            if fd is not None and self._by_fd.pop(fd, None) is not None:
                self._epoll.unregister(fd)
        self._workers.pop(worker.slot, None)
        worker.close()

    # -- what the coordinator asks ---------------------------------------------------------------------------------------

    def speaks(self, name: str) -> bool:
        return name in self._at or super().speaks(name)

    def hear(self) -> Mapping[str, Heard]:
        told = dict(super().hear())
        for fd in {fd for fd, _ in self._epoll.poll(0)}:
            worker = self._by_fd.get(fd)
            if worker is not None:
                self._listen(worker)
        heard, self._heard = self._heard, {}
        return {**told, **heard}

    def questions(self) -> list[tuple[str, Mapping[str, Any]]]:
        """What objectives asked since the last call: attempt and question."""
        asked, self._questions = self._questions, []
        return asked

    def answer(self, name: str, answer: Mapping[str, Any]) -> None:
        """Answer the attempt's question."""
        worker = self._at.get(name)
        if worker is not None:
            with contextlib.suppress(OSError):
                worker.say(Answer(answer))

    def poll(self) -> None:
        super().poll()
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY:
            return
        self._awake += min(now - self._looked, _LONGEST_TICK)
        self._looked = now
        for worker in list(self._workers.values()):
            with contextlib.suppress(OSError):
                worker.send()
            if worker.busy is not None:
                worker.weigh()
                self._look_at_clock(worker)
            if (
                worker.pidfd is None and worker.process.poll() is not None
            ):  # a fork of it may hold the conversation open
                self._listen(worker)
        if now - self._sized >= 1.0:
            self._sized = now
            for worker in self._workers.values():
                with contextlib.suppress(OSError):
                    if worker.process.poll() is None:  # else its output may be a successor's worker's by now
                        worker.shorten()

    def pass_on(self, name: str, request: EndRequest) -> bool:
        worker = self._at.get(name)
        if worker is None:
            return super().pass_on(name, request)
        worker.ask_to_end(request, self._awake)
        return True

    def ended(self, name: str) -> bool | None:
        return False if name in self._at else super().ended(name)

    def cancel(self, name: str) -> None:
        worker = self._at.get(name)
        if worker is None:
            super().cancel(name)
        else:
            worker.signal(signal.SIGKILL)

    def forget(self, name: str, *, spoilt: bool = False) -> None:
        if self._at.pop(name, None) is None:
            super().forget(name, spoilt=spoilt)

    def wait(self, timeout: float) -> None:
        if not self._heard and not self._questions:
            self._wait(min(timeout, _LOOK_EVERY) if self._at else timeout, self._epoll.fileno())

    def close(self) -> None:
        workers = list(self._workers.values())
        for worker in workers:
            worker.kill()
        if workers and processes_with(f"{self._start.token}{KEPT}"):  # what their trials left running ends with them
            for worker in workers:
                end_processes(worker.token, give_up_after=2.0)
        for worker in workers:
            self._close(worker)
        self._at.clear()
        self._epoll.close()
        super().close()

    # -- what workers say ------------------------------------------------------------------------------------------------

    def _listen(self, worker: KeptProcess) -> None:
        messages, there = worker.hear()
        for message in messages:
            self._take_in(worker, message)
        if there and not (worker.busy is None and (worker.doomed or worker.trials >= self._start.trials)):
            return
        if worker.busy is not None:
            self._crashed(worker)
        self._end_left(worker)

    def _take_in(self, worker: KeptProcess, message: Any) -> None:
        busy = worker.busy
        if busy is not None:
            busy.heard = self._awake
        match message:
            case Ready():
                worker.ready = True
                if busy is not None:
                    busy.since = self._awake
            case Points(name, lines, listens) if busy is not None and name == busy.train.name:
                busy.listens = busy.listens or listens
                busy.reported = True
                heard = self._heard.setdefault(busy.train.name, Heard())
                heard.reports += lines
            case Question(name, question) if busy is not None and name == busy.train.name:
                self._questions.append((name, question))
            case Over() if busy is not None and message.name == busy.train.name:
                ended = Ended(worker.log, message.printed, message.drawn)
                worker.busy, worker.end = None, sum(message.printed) if sum(message.printed) else worker.end
                worker.doomed = worker.doomed or message.last
                heard = self._heard.setdefault(busy.train.name, Heard())
                heard.evidence, heard.kept = _with_request(message.evidence, busy.request, busy.terminated), ended

    def _crashed(self, worker: KeptProcess) -> None:
        busy = worker.busy
        assert busy is not None
        seconds = self._awake - busy.since + min(time.monotonic() - self._looked, _LONGEST_TICK)
        evidence = _with_request(worker.crash(seconds), busy.request, busy.terminated)
        drawn = worker.drawn(busy.train.name)
        worker.busy = None
        heard = self._heard.setdefault(busy.train.name, Heard())
        heard.evidence = replace(evidence, resumed=busy.train.resume)
        heard.kept = Ended(worker.log, (worker.end, max(0, worker.size - worker.end)), drawn, crashed=True)

    def _end_left(self, worker: KeptProcess) -> None:
        """A worker is done with: whatever its trials left running ends with it, and holds its output no longer."""
        worker.kill()
        end_processes(worker.token, give_up_after=2.0)
        self._close(worker)

    def _look_at_clock(self, worker: KeptProcess) -> None:
        busy, start = worker.busy, self._start
        assert busy is not None
        if busy.request is not None:
            if self._awake >= busy.kill_at:
                worker.signal(signal.SIGKILL)
        elif not worker.ready:
            if start.hang_after is not None and self._silent(worker) > max(start.hang_after, _IMPORTS_WITHIN):
                worker.ask_to_end(EndRequest("hang", 0.0, now=True), self._awake)
        elif start.timeout is not None and busy.seconds_before + self._awake - busy.since > start.timeout:
            worker.ask_to_end(EndRequest("timeout", self._grace), self._awake)
        elif start.hang_after is not None and self._silent(worker) > start.hang_after:
            worker.ask_to_end(EndRequest("hang", 0.0, now=True), self._awake)

    def _silent(self, worker: KeptProcess) -> float:
        assert worker.busy is not None
        if worker.size != worker.sized:
            worker.sized, worker.busy.heard = worker.size, self._awake
        return self._awake - worker.busy.heard


def _with_request(evidence: Evidence, request: EndRequest | None, terminated: bool) -> Evidence:
    if request is None:
        return evidence
    return replace(evidence, stop_reason=request.reason, terminated=terminated)
