"""Finds studies in MLflow by what their runs say, and where their checkpoints lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from outlast.tracking.mlflow_content import STUDY_TAG, TRIAL_TAG
from outlast.tracking.mlflow_place import tracking_uri
from outlast.tracking.mlflow_server import Server

#: What every study that can be resumed says of itself.
RESUMABLE = "params.checkpoint_enabled = 'true'"
#: A study's trials have none of it, and would fill the answer.
_OF_A_STUDY = "params.study_name LIKE '%'"
_MOST = 1000


class FoundStudy(Struct, frozen=True):
    """A study as MLflow has it."""

    name: str
    state: str
    experiment: str
    run_id: str
    backbone: str
    checkpoint_path: str  # as it is now; "None" where it keeps none
    folder: str  # where it lay when it was last sent
    metric: str
    best: float | None
    trials: int
    completed: int
    began: float  # seconds since 1970, UTC
    is_here: bool  # its folder, or its checkpoint, exists on this machine


def found_studies(uri: str | None, filter_string: str = RESUMABLE) -> list[FoundStudy]:
    """The studies that an MLflow filter finds, the newest first.

    Args:
        uri: MLflow's tracking URI; by default MLFLOW_TRACKING_URI, or what MLflow takes here.
        filter_string: In MLflow's own language for searching runs.

    Raises:
        SinkError: Nothing can be asked there, or the filter is none.
    """
    server = Server(tracking_uri(uri, os.getcwd()))
    experiments = server.experiments()
    asked = " AND ".join(each for each in (filter_string.strip(), _OF_A_STUDY) if each)
    runs = server.runs([*experiments], asked, newest=_MOST) if experiments else []
    found = [_found(run, experiments) for run in runs if _is_a_study(run)]
    return sorted(found, key=lambda each: each.began, reverse=True)


def _is_a_study(run: Any) -> bool:
    """Ours, or one that only has the parameters: of the program that had them first."""
    tags = run.data.tags
    is_child = TRIAL_TAG in tags or "mlflow.parentRunId" in tags
    return (
        run.info.lifecycle_stage == "active" and not is_child and (STUDY_TAG in tags or "study_name" in run.data.params)
    )


def _found(run: Any, experiments: Mapping[str, str]) -> FoundStudy:
    params, tags, metrics = run.data.params, run.data.tags, run.data.metrics
    path = tags.get("outlast.checkpoint_path", params.get("checkpoint_path", "None"))
    folder = tags.get("outlast.folder", os.path.dirname(path))
    return FoundStudy(
        name=params.get("study_name", run.info.run_name),
        state=tags.get("outlast.state", run.info.status.lower()),
        experiment=experiments.get(run.info.experiment_id, run.info.experiment_id),
        run_id=run.info.run_id,
        backbone=params.get("backbone", ""),
        checkpoint_path=path,
        folder=folder,
        metric=params.get("objective_metric", ""),
        best=metrics.get("best_value"),
        trials=int(metrics.get("n_trials", 0)),
        completed=int(metrics.get("n_completed_trials", 0)),
        began=(run.info.start_time or 0) / 1000,
        is_here=os.path.isdir(folder) if folder else os.path.exists(path),
    )
