"""What stands in MLflow of a study and of its trials: names, parameters, tags, metrics, status. Values in, values out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from outlast.core.states import StudyState, TrialState
from outlast.tracking.mlflow_names import same_number, tag_text, taken_names
from outlast.tracking.sink import TrackedPoint, TrackedStudy, TrackedTrial

#: By these tags runs are found again.
STUDY_TAG, TRIAL_TAG = "outlast.study", "outlast.trial"
#: What we removed ourselves, and why: anything else that is deleted was a person's choice, and stays deleted.
REMOVED_TAG = "outlast.removed"

#: As MLflow's own storage for Optuna has them (``mlflow/optuna/storage.py``): pruned is not failed.
TRIAL_STATUS: Mapping[TrialState, str] = {
    TrialState.CREATED: "SCHEDULED",
    TrialState.RUNNING: "RUNNING",
    TrialState.INTERRUPTED: "SCHEDULED",
    TrialState.COMPLETE: "FINISHED",
    TrialState.PRUNED: "KILLED",
    TrialState.FAILED: "FAILED",
    TrialState.INFEASIBLE: "KILLED",
}
STUDY_STATUS: Mapping[StudyState, str] = {
    StudyState.RUNNING: "RUNNING",
    StudyState.WAITING: "SCHEDULED",
    StudyState.PAUSED: "SCHEDULED",
    StudyState.STOPPED: "KILLED",
    StudyState.HALTED: "FAILED",
    StudyState.DONE: "FINISHED",
}
#: Nobody runs it.
AT_REST = (StudyState.STOPPED, StudyState.HALTED, StudyState.DONE)


class Row(NamedTuple):
    """A metric's value at one moment: what MLflow keeps as one row, however often it is sent."""

    name: str
    value: float
    at: int  # milliseconds since 1970
    step: int


def milliseconds(seconds: float) -> int:
    """Seconds since 1970 as MLflow counts them."""
    return max(0, round(seconds * 1000))


def backbone_of(study: TrackedStudy) -> str | None:
    """The model that all trials of a study train, where it has a parameter or key of that name."""
    return _backbone(study.constants, study.settings)


def _backbone(constants: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    found = constants.get("backbone", settings.get("backbone"))
    return str(found) if isinstance(found, (str, int, float)) else None


def experiment_name(study: TrackedStudy) -> str:
    """``{name}-hpo-{backbone}``, which several studies of one campaign have in common but for the last part."""
    return experiment_named(study.name, study.constants, study.settings)


def experiment_named(name: str, constants: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """`experiment_name` of a study that is still to be sent.

    Args:
        name: The study's.
        constants: Parameters with one value in all trials.
        settings: What its study file came to.
    """
    backbone = _backbone(constants, settings)
    if backbone is None:
        return f"{name}-hpo"
    for mark in "-_":
        name = name.removesuffix(mark + backbone)
    return f"{name}-hpo-{_in_a_name(backbone)}"


def parent_name(study: TrackedStudy) -> str:
    """``hpo_{backbone}_{YYYYMMDD_HHMMSS}``, of when the study was created, in local time."""
    backbone = backbone_of(study)
    moment = time.strftime("%Y%m%d_%H%M%S", time.localtime(study.created))
    return f"hpo_{_in_a_name(backbone)}_{moment}" if backbone else f"hpo_{moment}"


def child_name(number: int) -> str:
    """``trial_0007``."""
    return f"trial_{number:04d}"


def _in_a_name(text: str) -> str:
    return re.sub(r"[/\\]", "-", text)


def parent_params(study: TrackedStudy) -> dict[str, str]:
    """What a search was begun with. ``checkpoint`` is its Optuna study, which whoever resumes by hand looks for."""
    backbone = backbone_of(study)
    params = {
        "max_trials": study.max_trials,
        "checkpoint_path": study.index,
        "checkpoint_enabled": "false" if study.index is None else "true",
        "checkpoint_storage_type": _storage_type(study.index),
        "study_name": study.name,
        "objective_metric": ",".join(metric.name for metric in study.metrics),
        "resumed_from_checkpoint": "true" if study.runs > 1 else "false",
    }
    named = {} if backbone is None else {"backbone": backbone}
    return {**named, **{name: str(value) for name, value in params.items()}}


#: Parameters that may be others later, which MLflow does not allow: they have a tag, which is.
CHANGING = ("max_trials", "checkpoint_path", "checkpoint_enabled", "checkpoint_storage_type", "resumed_from_checkpoint")


def parent_tags(study: TrackedStudy) -> dict[str, str]:
    """What is true of the study now."""
    params = parent_params(study)
    tags = {f"outlast.{name}": params[name] for name in CHANGING}
    tags |= {"outlast.folder": study.folder, "outlast.state": str(study.state), "outlast.runs": str(study.runs)}
    if study.best is not None:
        tags["outlast.best_trial"] = str(study.best)
    return {name: tag_text(value) for name, value in tags.items()}


def _storage_type(index: str | None) -> str:
    if index is None:
        return "None"
    scheme = urlsplit(index).scheme.partition("+")[0]
    return {"": "sqlite", "postgres": "postgresql", "file": "sqlite"}.get(scheme, scheme)


def parent_metrics(study: TrackedStudy) -> dict[str, float]:
    """``best_value``, ``best_{metric}``, ``n_trials``, ``n_completed_trials``."""
    found: dict[str, float] = {
        "n_trials": float(sum(study.counts.values())),
        "n_completed_trials": float(study.counts.get(TrialState.COMPLETE, 0)),
    }
    if study.best_value is not None and len(study.metrics) == 1:
        best = f"best_{study.metrics[0].name}"
        found |= {"best_value": study.best_value, taken_names([best])[best]: study.best_value}
    return found


def child_tags(trial: TrackedTrial) -> dict[str, str]:
    """What is true of a trial now."""
    tags: dict[str, Any] = {
        "outlast.state": trial.state,
        "outlast.attempts": trial.attempts,
        "outlast.cause": trial.cause,
        "outlast.reason": trial.reason,
        "outlast.host": trial.host,
        "outlast.began": "" if trial.began is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(trial.began)),
    }
    tags |= {f"outlast.attribute.{name}": value for name, value in trial.attributes.items()}
    names = taken_names(tags)
    # An empty one takes back what an earlier attempt left there, and is not worth a tag otherwise.
    return {names[name]: tag_text(value) for name, value in tags.items() if value != "" or trial.attempts > 1}


def point_rows(points: tuple[TrackedPoint, ...], names: Mapping[str, str]) -> Iterator[Row]:
    """The curves, each point at its step and its own time."""
    for point in points:
        at = milliseconds(point.at)
        for name, value in point.metrics.items():
            yield Row(names[name], float(value), at, point.step)


def final_rows(
    study: TrackedStudy, trial: TrackedTrial, names: Mapping[str, str], last: Mapping[str, float]
) -> list[Row]:
    """What a trial ended with: ``final_{metric}`` of each objective; under the metric's own name where no curve has it; and
    whatever else it reported.

    Args:
        study: The trial's study.
        trial: One that is over.
        names: What each of its metrics is called there, ``final_…`` included.
        last: The last value of each metric that its run has already.
    """
    at = milliseconds(trial.ended or 0.0)
    step = max((point.step for point in trial.points), default=0)
    curves = {name for point in trial.points for name in point.metrics}
    found = dict(trial.metrics)
    for metric, value in zip(study.metrics, trial.values or (), strict=False):
        found[f"final_{metric.name}"] = value
        if metric.name not in curves:
            found[metric.name] = value
    rows = [Row(names[name], float(value), at, step) for name, value in found.items()]
    return [row for row in rows if row.name not in last or not same_number(last[row.name], row.value)]


def names_in(study: TrackedStudy, trial: TrackedTrial) -> dict[str, str]:
    """What each metric of a trial is called in MLflow."""
    reported = {name for point in trial.points for name in point.metrics}
    objectives = [each.name for each in study.metrics]
    return taken_names({*reported, *trial.metrics, *objectives, *(f"final_{name}" for name in objectives)})
