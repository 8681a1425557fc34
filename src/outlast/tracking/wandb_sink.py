"""Weights & Biases: a run for the study and one for each trial, in one group.

A trial that runs keeps its run open, so that its curve grows there; it has all of it when it is over. A script that logs to W&B
itself is given the same run, and is left to log there.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from outlast.config.tracking_section import WandbSettings
from outlast.core.file_names import StudyNames
from outlast.core.states import StudyState, TrialState
from outlast.tracking.sink import Memory, TrackedStudy, TrackedTrial
from outlast.tracking.wandb_runs import STEP, Run, Runs, finish_open, is_offline


class WandbSink:
    """Sends a study to Weights & Biases.

    Args:
        settings: Where to.

    Raises:
        ImportError: The package is missing.
        SinkError: W&B is switched off here.
    """

    def __init__(self, settings: WandbSettings) -> None:
        if find_spec("wandb") is None:
            raise ModuleNotFoundError("wandb is not installed", name="wandb")
        self._settings, self._offline = settings, is_offline(settings.mode)

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        """Nothing is begun yet: runs are looked for by ids that follow from the study."""
        settings = self._settings
        self._memory = memory
        self._key = hashlib.sha256(study.identity.encode()).hexdigest()[:12]
        project = settings.project or os.environ.get("WANDB_PROJECT") or study.name
        self._said: dict[str, Any] = {
            "project": re.sub(r"[/\\#?%:\s]+", "-", project)[:128],
            "entity": settings.entity or os.environ.get("WANDB_ENTITY") or None,
            "group": study.name,
            "tags": list(settings.tags) or None,
        }
        below = (
            Path(study.cwd, os.path.expanduser(settings.dir)) if settings.dir else StudyNames(Path(study.folder)).wandb
        )
        self._hand(study, ())
        self._runs = Runs(below / f"outlast-{self._key}" if settings.dir else below, self._offline, self._said)

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        """Bring the runs of these trials up to date, then the study's.

        Raises:
            SinkError: Something has not arrived.
        """
        self._hand(study, changed)
        results: list[list[float]] = self._memory.data.setdefault("results", [])
        for trial in changed:
            self._send_trial(study, trial)
            if (
                trial.state is TrialState.COMPLETE
                and trial.values
                and trial.number not in {each[0] for each in results}
            ):
                results.append([trial.number, trial.values[0], trial.ended or 0.0])
        self._memory.keep()
        now = [study.state.value, sum(study.counts.values()), len(results)]
        at_rest = study.state not in (StudyState.RUNNING, StudyState.WAITING)
        if now != self._memory.data.get("study") and (at_rest or not self._offline):
            self._send_study(study, results)
            self._memory.data["study"] = now
            self._memory.keep()

    def close(self, study: TrackedStudy) -> None:
        """End what is open: those trials were interrupted, or go on with the next process that sends."""
        finish_open()

    # What trainings are given

    def _hand(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        """A training that logs itself does so in its trial's run; several trainings of one trial cannot share one."""
        trial = study.settings.get("trial") or {}
        shared = self._offline or bool(trial.get("seeds") or trial.get("folds"))
        handed: dict[str, dict[str, str]] = self._memory.data.setdefault("environment", {})
        over = {each.number for each in changed if each.is_over}
        for number in {*study.upcoming, *(each.number for each in changed)}:
            known = {"WANDB_PROJECT": self._said["project"], "WANDB_RUN_GROUP": self._said["group"]}
            if self._said["entity"]:
                known["WANDB_ENTITY"] = self._said["entity"]
            if not shared:
                known |= {"WANDB_RUN_ID": self._id(number), "WANDB_RESUME": "allow"}
            handed[str(number)] = known
        for number in over:
            handed.pop(str(number), None)
        self._memory.keep()

    # Trials

    def _id(self, number: int) -> str:
        return f"{self._key}-{number:04d}"

    def _send_trial(self, study: TrackedStudy, trial: TrackedTrial) -> None:
        logs_itself = any(point.via == "wandb" for point in trial.points)
        if not trial.is_over and (self._offline or logs_itself or not trial.points):
            return
        name, kind = (None, None) if logs_itself else (f"{study.name} {trial.number}", "trial")
        run = self._runs.begin(self._id(trial.number), name, kind)
        if not logs_itself or self._has_none(trial.number, run):
            run.log(
                [{**point.metrics, STEP: point.step} for point in trial.points], [point.at for point in trial.points]
            )
        run.say(_config_of(trial), _summary_of(study, trial) if trial.is_over else {})
        if not trial.is_over:
            run.stay()
            return
        run.finish(failed=trial.state is TrialState.FAILED)

    def _has_none(self, number: int, run: Run) -> bool:
        """Whether a script that logs itself did so into another run: it began before it could be told of this one."""
        ours: list[int] = self._memory.data.setdefault("ours", [])
        if number not in ours and run.count == 0:
            ours.append(number)
            self._memory.keep()
        return number in ours

    # The study

    def _send_study(self, study: TrackedStudy, results: list[list[float]]) -> None:
        run = self._runs.begin(f"{self._key}-study", study.name, "study")
        if len(study.metrics) == 1:
            if run.count <= len(results):  # otherwise some that it has are still to come to us, after a lost memory
                placed = self._memory.data.get("placed", 0)
                results[placed:] = sorted(results[placed:], key=lambda each: (each[2], each[0]))
                self._memory.data["placed"] = len(results)
            run.log(_best_so_far(study, results), [each[2] for each in results])
        objectives = [f"{metric.name} {'max' if metric.maximize else 'min'}imize" for metric in study.metrics]
        config = {"study": study.name, "folder": study.folder, "max_trials": study.max_trials, "objectives": objectives}
        summary = {
            "n_trials": sum(study.counts.values()),
            "n_completed_trials": study.counts.get(TrialState.COMPLETE, 0),
            "best_value": study.best_value,
            "best_trial": study.best,
            "state": study.state.value,
        }
        run.say({**config, **study.constants}, summary)
        run.finish()


def _config_of(trial: TrackedTrial) -> dict[str, Any]:
    return {**trial.params, "trial": trial.number}


def _summary_of(study: TrackedStudy, trial: TrackedTrial) -> dict[str, Any]:
    said = {"state": trial.state.value, "cause": trial.cause, "reason": trial.reason, "host": trial.host}
    values = zip((metric.name for metric in study.metrics), trial.values or (), strict=False)
    known: dict[str, Any] = {**trial.metrics, **dict(values), "attempts": trial.attempts}
    return {**known, **{name: text for name, text in said.items() if text}}


def _best_so_far(study: TrackedStudy, results: Sequence[Sequence[float]]) -> list[Mapping[str, float]]:
    """A row for each result, in the order in which they arrived."""
    metric, best = study.metrics[0], math.nan
    rows: list[Mapping[str, float]] = []
    for count, (number, value, _) in enumerate(results, start=1):
        best = value if math.isnan(best) else max(best, value) if metric.maximize else min(best, value)
        rows.append({STEP: count, "trial": number, metric.name: value, "best_value": best})
    return rows
