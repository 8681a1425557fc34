"""What the trainings of a trial reported, with the moment of each report: read on while it runs, wherever it lies afterwards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from outlast._system.reading import list_names, read_bytes, read_json
from outlast.core.file_names import AttemptPaths, TrialPaths
from outlast.core.parts import Part, next_part
from outlast.core.records import Trial
from outlast.runner.capture.objective import writable
from outlast.study.putting_away import of_part
from outlast.tracking.sink import TrackedPoint

_MARK = 64  # bytes before the place where we stopped: what stands there unless it is another file now
_EARLIER = 1e9  # a time before September 2001 is none of a report's

#: Step, moment (``None``: its line does not say), metrics, what else reported it, and the trial's part.
Point = tuple[int, "float | None", dict[str, float], str, "int | None"]


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
        self._files: dict[int, dict[AttemptPaths, _File]] = {}

    def poll(self, number: int, paths: TrialPaths) -> int:
        """Read what a trial has reported since. Returns how many points there are now."""
        files = self._files.setdefault(number, {})
        for attempt in _attempts(paths):
            file = files.get(attempt) or files.setdefault(attempt, _File(attempt.reports))
            file.poll()
        return sum(len(file.points) for file in files.values())

    def of(
        self,
        trial: Trial,
        paths: TrialPaths,
        objectives: Sequence[str],
        began: float,
        parts: Sequence[Part] = (),
    ) -> tuple[TrackedPoint, ...]:
        """All points of a trial, in the order of the reports, all attempts.

        Args:
            trial: It.
            paths: Its files.
            objectives: Their names; of a trial without files, the ledger has these curves.
            began: When it began: the moment of a report that says none, for good, with a millisecond more for each.
            parts: Those of every trial of the study; empty where a trial is whole.
        """
        if trial.state.finished:
            self._files.pop(trial.number, None)
            found: Sequence[Point] = _put_away(trial, paths)
        elif self.poll(trial.number, paths):
            files = self._files[trial.number].items()
            found = [p for attempt, file in files for p in _of_part(file.points, _part(trial, attempt, parts))]
        else:
            found = _put_away(
                trial, paths
            )  # it waits for the attempt that a person gave it, or has not reported anything
        if not found:
            found = [
                (step, None, {name: value}, "", None)
                for outcome in trial.ended
                for name, curve in zip(objectives, outcome.curves, strict=False)
                for step, value in curve
            ]
        return tuple(
            TrackedPoint(
                step, at if at is not None else began + index / 1000, _named(metrics, part, parts),
                "" if part is not None and via == "mlflow" else via, part,
            )
            for index, (step, at, metrics, via, part) in enumerate(found)
        )  # fmt: skip


def _part(trial: Trial, attempt: AttemptPaths, parts: Sequence[Part]) -> int | None:
    """The part that an attempt runs, or ran; of the one that runs it is the first that has no result."""
    if attempt.number is None or any(outcome.attempt == attempt.number for outcome in trial.ended):
        return trial.part_of(attempt.number)
    running = next_part(trial, parts)
    return None if running is None else running.number


def _of_part(points: Iterable[Point], part: int | None) -> list[Point]:
    """With the part where their lines do not say it themselves."""
    return [(*point[:4], part if point[4] is None else point[4]) for point in points]


def _named(metrics: dict[str, float], part: int | None, parts: Sequence[Part]) -> dict[str, float]:
    """Metrics by their part's name, as each part counts its steps from 0.

    What the script logs to MLflow itself stands there by its own name, all parts in one curve; by their parts it is ours to send.
    """
    if part is None:
        return metrics
    only_folds = bool(parts) and all(each.fold == each.number for each in parts)
    return {f"{'fold' if only_folds else 'part'}_{part}/{name}": value for name, value in metrics.items()}


def _attempts(paths: TrialPaths) -> list[AttemptPaths]:
    """Where attempts that are not put away report, in their order."""
    names = list_names(paths.attempts)
    earlier = [paths.earlier] if paths.earlier.folder.name in names else []
    return earlier + [paths.attempt(number) for number in sorted(int(name) for name in names if name.isdigit())]


def _put_away(trial: Trial, paths: TrialPaths) -> list[Point]:
    """Of a trial that is over, wherever its reports are by now."""
    lines: list[bytes] = []
    for attempt in _attempts(paths):
        lines += of_part(read_bytes(attempt.reports) or b"", trial.part_of(attempt.number)).split(b"\n")
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
            step, at, part = int(said["step"]), _moment(said.get("at")), said.get("part")
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            continue
        if step >= 0:
            found.append((step, at, metrics, str(said.get("via") or ""), part if type(part) is int else None))
    return found


def _moment(said: Any) -> float | None:
    return float(said) if isinstance(said, (int, float)) and math.isfinite(said) and said > _EARLIER else None
