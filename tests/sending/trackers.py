"""A tracker that is a file, and sinks for it that suffer what sinks suffer. Whatever arrives is a line of the file."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from outlast.tracking.sink import EverythingAgain, Memory, SinkError, TrackedStudy, TrackedTrial


class Lines:
    """Appends one line for each thing there is to know, and asks its file what is there already.

    Args:
        path: The file.
        fails_after: After so many lines, again and again, it fails in the way that `how` says.
        how: ``raise``, ``refuse`` (as a sink does), ``exit``, ``kill`` or ``forget``.
    """

    def __init__(self, path: str, fails_after: int = 0, how: str = "raise") -> None:
        self._path, self._after, self._how, self._left = Path(path), fails_after, how, fails_after

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        self._there = set(self._path.read_text().splitlines()) if self._path.exists() else set()
        memory.data["opened"] = memory.data.get("opened", 0) + 1
        memory.keep()

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        for trial in changed:
            for line in lines_of(trial):
                if line not in self._there:
                    self._write(line)

    def close(self, study: TrackedStudy) -> None:
        if (line := json.dumps(["study", study.state, study.best])) not in self._there:
            self._write(line)

    def _write(self, line: str) -> None:
        with open(self._path, "a") as file:
            file.write(f"{line}\n")
        self._there.add(line)
        self._left -= 1
        if self._left == 0:
            self._left = self._after
            self._fail()

    def _fail(self) -> None:
        if self._how == "kill":
            os.kill(os.getpid(), 9)
        elif self._how == "exit":
            raise SystemExit(3)
        elif self._how == "refuse":
            raise SinkError("no room for more at http://me:secret@host")
        elif self._how == "forget":
            raise EverythingAgain("it was set up anew")
        raise RuntimeError("a defect of the tracker's package")


class Hangs:
    """Never answers."""

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        threading.Event().wait()

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        raise AssertionError

    def close(self, study: TrackedStudy) -> None:
        raise AssertionError


class Lacks:
    """Cannot be used before somebody does something."""

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        raise SinkError("needs tracker, which is not installed here", cure="pip install tracker", lasting=True)

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        raise AssertionError

    def close(self, study: TrackedStudy) -> None:
        raise AssertionError


def lines_of(trial: TrackedTrial) -> Iterator[str]:
    """What there is to know of a trial that never becomes otherwise: its parameters, its points, its outcome."""
    for name, value in trial.params.items():
        yield json.dumps([trial.number, "param", name, value])
    for index, point in enumerate(trial.points):
        yield json.dumps([trial.number, "point", index, point.step, point.at, dict(point.metrics)])
    if trial.is_over:
        yield json.dumps([trial.number, str(trial.state), trial.values])
