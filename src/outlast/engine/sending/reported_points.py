"""What the trainings of a trial reported, with the moment of each report: read on while it runs, wherever it lies afterwards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from outlast._system.reading import list_names, read_bytes, read_json
from outlast.core.file_names import AttemptPaths, TrialPaths
from outlast.core.records import Trial
from outlast.runner.capture.objective import writable
from outlast.tracking.sink import TrackedPoint

_MARK = 64  # bytes before the place where we stopped: what stands there unless it is another file now
_EARLIER = 1e9  # a time before September 2001 is none of a report's

#: Step, moment (``None``: its line does not say), metrics, and what else reported it.
Point = tuple[int, "float | None", dict[str, float], str]


class _File:
    """One attempt's file, read on from where it ended; anew where it is not the one that it was."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._mark, self.points = path, 0, b"", list[Point]()

    def poll(self) -> None:
        data = read_bytes(self._path) or b""
        if data[: self._at][-_MARK:] != self._mark:
            self._at, self.points = 0, []
        whole = data.rfind(b"\n") + 1
        self.points += points_in(data[self._at : whole].split(b"\n"))
        self._at, self._mark = whole, data[:whole][-_MARK:]


class ReportedPoints:
    """The points of trials that are not over, kept between two looks."""

    def __init__(self) -> None:
        self._files: dict[int, dict[Path, _File]] = {}

    def poll(self, number: int, paths: TrialPaths) -> int:
        """Read what a trial has reported since. Returns how many points there are now."""
        files = self._files.setdefault(number, {})
        for attempt in _attempts(paths):
            file = files.get(attempt.reports) or files.setdefault(attempt.reports, _File(attempt.reports))
            file.poll()
        return sum(len(file.points) for file in files.values())

    def of(self, trial: Trial, paths: TrialPaths, objectives: Sequence[str], began: float) -> tuple[TrackedPoint, ...]:
        """All points of a trial, in the order of the reports, all attempts.

        Args:
            trial: It.
            paths: Its files.
            objectives: Their names; of a trial without files, the ledger has these curves.
            began: When it began: the moment of a report that says none, for good, with a millisecond more for each.
        """
        if trial.state.finished:
            self._files.pop(trial.number, None)
            found: Sequence[Point] = _put_away(paths)
        elif self.poll(trial.number, paths):
            found = [point for file in self._files[trial.number].values() for point in file.points]
        else:
            found = _put_away(paths)  # it waits for the attempt that a person gave it, or has not reported anything
        if not found:
            found = [
                (step, None, {name: value}, "")
                for outcome in trial.ended
                for name, curve in zip(objectives, outcome.curves, strict=False)
                for step, value in curve
            ]
        return tuple(
            TrackedPoint(step, at if at is not None else began + index / 1000, metrics, via)
            for index, (step, at, metrics, via) in enumerate(found)
        )


def _attempts(paths: TrialPaths) -> list[AttemptPaths]:
    """Where attempts that are not put away report, in their order."""
    names = list_names(paths.attempts)
    earlier = [paths.earlier] if paths.earlier.folder.name in names else []
    return earlier + [paths.attempt(number) for number in sorted(int(name) for name in names if name.isdigit())]


def _put_away(paths: TrialPaths) -> list[Point]:
    """Of a trial that is over, wherever its reports are by now."""
    lines: list[bytes] = []
    for attempt in _attempts(paths):
        lines += (read_bytes(attempt.reports) or b"").split(b"\n")
    if not any(lines) or paths.attempts.name not in list_names(paths.folder):  # put away meanwhile, in the middle of it
        lines = (read_bytes(paths.reports) or b"").split(b"\n")
    found = points_in(lines)
    if not found:  # it has failed, or reported nothing
        record = read_json(paths.record)
        kept = record.get("reports") if isinstance(record, dict) else None
        found = points_in([str(line).encode() for line in kept or ()])
    return found


def points_in(lines: Iterable[bytes]) -> list[Point]:
    """The points that lines of ``reports.jsonl`` say: those with a step. What is no line of the protocol's is passed over."""
    found = []
    for line in lines:
        try:
            said = json.loads(line) if line else {}
            metrics = {writable(str(name)): float(value) for name, value in said.get("metrics", {}).items()}
            if said.get("step") is None or not metrics:
                continue
            step, at = int(said["step"]), _moment(said.get("at"))
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            continue
        if step >= 0:
            found.append((step, at, metrics, str(said.get("via") or "")))
    return found


def _moment(said: Any) -> float | None:
    return float(said) if isinstance(said, (int, float)) and math.isfinite(said) and said > _EARLIER else None
