"""The points that pruning sees: one curve per objective, from the best source that has it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from outlast.core.evidence import Report
from outlast.runner.capture.names import owners
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.reports import ReportsReader


class Curve:
    """Merges the sources as they come. Sources are numbered from 0, the one that counts most.

    An objective's points come from one source: once a better one has it, the others' points of it are left out, the
    earlier ones too, because another source may count its steps otherwise.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = objectives
        self._names: dict[int, dict[str, None]] = {}
        self._owners: dict[int, dict[str, str]] = {}
        self._source: dict[str, int] = {}
        self._points: dict[str, dict[int, float]] = {objective.name: {} for objective in objectives}

    def take(self, source: int, reports: Iterable[Report]) -> list[Report]:
        """Take a source's new reports. Returns those that are points of an objective, under the objective's name."""
        kept = []
        for report in reports:
            owner = self._owners_of(source, report.metrics)
            values = {owner[name]: value for name, value in report.metrics.items() if name in owner}
            values = {name: value for name, value in values.items() if self._put(source, name, report.step, value)}
            if values:
                kept.append(Report(report.step, values))
        return kept

    def _put(self, source: int, name: str, step: int, value: float) -> bool:
        """Whether this is news: from a source that counts, and not said once more, as by a file that was written anew."""
        points, before = self._points[name], self._source.get(name, source + 1)
        if before < source:
            return False
        if before > source:  # or nothing was known
            self._source[name] = source
            points.clear()
        elif step in points and repr(points[step]) == repr(value):
            return False
        points[step] = value
        return True

    def reports(self) -> tuple[Report, ...]:
        """The whole curve in step order; of several values for one step, the last."""
        merged: dict[int, dict[str, float]] = {}
        for name, points in self._points.items():
            for step, value in points.items():
                merged.setdefault(step, {})[name] = value
        return tuple(Report(step, merged[step]) for step in sorted(merged))

    def _owners_of(self, source: int, metrics: Mapping[str, float]) -> dict[str, str]:
        names = self._names.setdefault(source, {})
        if any(name not in names for name in metrics):
            names.update(dict.fromkeys(metrics))
            self._owners[source] = owners(self._objectives, names)
        return self._owners.get(source, {})


class LiveReports:
    """The points of one attempt while it runs, for whoever prunes: all are in its ``reports.jsonl``, once there is one."""

    def __init__(self, path: str | os.PathLike[str], objectives: Sequence[Objective]) -> None:
        self.reader = ReportsReader(path)
        self.curve = Curve(objectives)
        self._ahead = 0  # bytes that were read here, and that whoever reads for us has not told yet

    def poll(self) -> list[Report]:
        """The objectives' points that came since the last call, under the objectives' names."""
        before = self.reader.offset
        self.reader.poll()
        self._ahead += max(0, self.reader.offset - before)
        return self._new()

    def take(self, lines: bytes) -> list[Report]:
        """The points in what its runner has read of the file since what is known here."""
        known = min(self._ahead, len(lines))
        self._ahead -= known
        if known < len(lines):
            self.reader.take(lines[known:])
        return self._new()

    def _new(self) -> list[Report]:
        channels = self.reader.channels
        return [
            report for source, channel in enumerate(channels) for report in self.curve.take(source, channel.drain())
        ]
