"""What the first page shows of several studies, as plain data. Pure.

It begins with what ``outlast status --json`` says of them, so that a page and a script never disagree, and adds what is drawn:
the best so far over time, curves of what runs, failures by what they have in common.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict

from outlast.config.secrets import mask_text
from outlast.config.settings import Settings
from outlast.core.best import best_trial
from outlast.core.fold import Study, seconds_between
from outlast.core.states import TrialState
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview, Sight
from outlast.results.failures import group_failures

_MOST_GROUPS = 20  # of failures that are alike, of a study
_MOST_NAMED = 10  # trials of such a group
_MOST_POINTS = 120  # of a curve
#: What each curve of a running trial has: step and value.
Curves = Mapping[int, Mapping[int, float]]


def key_of(folder: str) -> str:
    """What a page calls a study: no part of its path, so that nothing that a browser sends is one."""
    return hashlib.sha256(os.fsencode(os.path.abspath(folder))).hexdigest()[:12]


class Boards:
    """Makes such boards of one look after the other; what only an ended trial changes is kept until one has ended."""

    def __init__(self) -> None:
        self._drawn: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def board(self, overview: Overview, curves: Mapping[str, Curves]) -> dict[str, Any]:
        """All that the first page shows.

        Args:
            overview: As it was looked at.
            curves: Study folder → the curves of its running trials.
        """
        told = {
            **overview.to_json(),
            "is_campaign": overview.is_campaign,
            "findings": [_finding(each) for each in overview.findings],
        }
        told["studies"] = [
            self._study(sight, each, curves.get(sight.folder, {}))
            for sight, each in zip(overview.sights, told["studies"], strict=True)
        ]
        there = {sight.folder for sight in overview.sights}
        self._drawn = {folder: known for folder, known in self._drawn.items() if folder in there}
        return told

    def _study(self, sight: Sight, told: Mapping[str, Any], curves: Curves) -> dict[str, Any]:
        found = {"key": key_of(sight.folder), **told, "error": mask_text(told.get("error", ""))}
        study, settings, snapshot = sight.study, sight.settings, sight.snapshot
        if study is None or settings is None or snapshot is None:
            return found
        for trial in found["running"]:
            attempt = study.trials[trial["trial"]].open_attempt
            trial["slot"] = attempt.slot if attempt is not None else ""
            trial["gpus"] = list(attempt.gpus) if attempt is not None else []
            trial["curve"] = thinned(curves.get(trial["trial"], {}))
        return found | {
            "reason": mask_text(found["reason"]),
            "warnings": (),  # among the findings
            "counted": snapshot.counted,
            "share": snapshot.share,
            "slots": snapshot.live.slots if snapshot.live is not None else 0,
            **self._slowly(sight.folder, study, settings),
        }

    def _slowly(self, folder: str, study: Study, settings: Settings) -> dict[str, Any]:
        mark = (len(study.revisions), study.counts()[TrialState.FAILED], study.counts().total(), _last_end(study))
        known = self._drawn.get(folder)
        if known is None or known[0] != mark:
            known = mark, {"line": _line(study, settings), "failures": _failures(study)}
            self._drawn[folder] = known
        return known[1]


def thinned(curve: Mapping[int, float], most: int = _MOST_POINTS) -> list[list[float]]:
    """The points of a curve in order, at most so many: the first, the last, and some between."""
    points = sorted(curve.items())
    if len(points) > most:
        points = [points[round(at * (len(points) - 1) / (most - 1))] for at in range(most)]
    return [[step, float(f"{value:.6g}")] for step, value in points if value - value == 0]  # finite


def _last_end(study: Study) -> str:
    return max((trial.finished_at for trial in study.trials.values() if trial.finished_at), default="")


def _line(study: Study, settings: Settings) -> list[list[float]]:
    """The best so far of the first objective: seconds since the study began, value, trial."""
    sign = -1.0 if settings.metrics[0].goal == "maximize" else 1.0
    ended = sorted(
        (trial.finished_at, trial.number, trial.values[0])
        for trial in study.trials.values()
        if trial.finished_at and trial.values and trial.feasible and trial.state is TrialState.COMPLETE
    )
    found: list[list[float]] = []
    for at, number, value in ended:
        if value - value == 0 and (not found or sign * value < sign * found[-1][1]):
            found.append([round(seconds_between(study.created_at, at), 1), float(f"{value:.9g}"), number])
    if found and best_trial(study, settings.metrics) is None:
        return []
    return found


def _failures(study: Study) -> list[dict[str, Any]]:
    return [
        {
            "cause": group.cause.value,
            "reason": mask_text(group.reason)[:300],
            "signature": mask_text(group.signature)[:200],
            "times": len(group.trials),
            "trials": list(group.trials[:_MOST_NAMED]),
        }
        for group in group_failures(study)[:_MOST_GROUPS]
    ]


def _finding(found: HealthWarning) -> dict[str, str]:
    return {name: mask_text(value) for name, value in asdict(found).items()}
