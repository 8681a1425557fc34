"""Curves of the trials that run, read on from where the last look stopped."""

from __future__ import annotations

from outlast.engine.attempts.objectives import objectives_of
from outlast.engine.record.recorded import study_paths
from outlast.monitor.overview import Overview
from outlast.runner.capture.curve import LiveReports

_Key = tuple[str, int, int]  # study folder, trial, attempt


class RunningCurves:
    """Of each running trial the first objective's points so far."""

    def __init__(self) -> None:
        self._known: dict[_Key, tuple[LiveReports, dict[int, float]]] = {}

    def of(self, overview: Overview) -> dict[str, dict[int, dict[int, float]]]:
        """Study folder → running trial → step → value."""
        found: dict[str, dict[int, dict[int, float]]] = {}
        seen = set()
        for sight in overview.sights:
            if sight.snapshot is None or sight.settings is None or not sight.snapshot.running:
                continue
            paths, name = study_paths(sight.folder, sight.settings), sight.settings.metrics[0].name
            curves = found.setdefault(sight.folder, {})
            for trial in sight.snapshot.running:
                key = sight.folder, trial.trial, trial.attempt
                seen.add(key)
                reports = paths.attempt(trial.trial, trial.attempt).reports
                if key not in self._known:
                    self._known[key] = LiveReports(reports, objectives_of(sight.settings)), {}
                reader, points = self._known[key]
                if reader.poll():  # anew: a better source's points take the place of those before
                    points = {each.step: each.metrics[name] for each in reader.curve.reports() if name in each.metrics}
                    self._known[key] = reader, points
                curves[trial.trial] = points
        for key in set(self._known) - seen:
            del self._known[key]
        return found
