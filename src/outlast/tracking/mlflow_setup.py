"""MLflow set up for a notebook or script, by ``config/mlflow.yaml`` or by place, as `tracking: mlflow` would go.

For programs that call ``setup_mlflow_from_config`` or ``setup_mlflow_cross_platform``: only the line that imports them changes.
Where Azure ML cannot be had, it is said once, and runs go to the local place.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from outlast.config.mlflow_file import azure_workspace
from outlast.config.secrets import mask_text
from outlast.config.tracking_section import AzureSettings
from outlast.errors import MissingExtra, OutlastError
from outlast.tracking.azure_workspace import Workspace, need_plugin
from outlast.tracking.mlflow_place import tracking_uri
from outlast.tracking.sink import SinkError


def setup_mlflow_from_config(
    experiment_name: str, config_dir: str | Path = "config", fallback_to_local: bool = True
) -> str:
    """Have MLflow log to the Azure ML workspace that ``mlflow.yaml`` enables, or to the local place.

    Args:
        experiment_name: Made where there is none.
        config_dir: The folder of ``mlflow.yaml`` and ``infrastructure.yaml``; without the first, Azure ML is not enabled.
        fallback_to_local: Whether runs go to the local place where Azure ML cannot be had.

    Returns:
        The tracking URI, which is MLflow's from now on.

    Raises:
        StudyFileError: The files are wrong, or disagree.
        MissingExtra: MLflow is not installed.
        OutlastError: Azure ML cannot be had, and `fallback_to_local` is false.
    """
    path = os.path.join(config_dir, "mlflow.yaml")
    said = azure_workspace(path, os.environ) if os.path.exists(path) else None
    if said is None:
        return setup_mlflow_cross_platform(experiment_name)
    settings = AzureSettings(
        workspace_name=said["workspace_name"],
        resource_group=os.environ.get("AZURE_RESOURCE_GROUP") or said.get("resource_group"),
        subscription_id=os.environ.get("AZURE_SUBSCRIPTION_ID") or said.get("subscription_id"),
    )
    return _at_azure(lambda: Workspace(settings).tracking_uri(), experiment_name, fallback_to_local)


def setup_mlflow_cross_platform(experiment_name: str, ml_client: Any = None, fallback_to_local: bool = True) -> str:
    """Have MLflow log to a workspace, or to the local place.

    That is MLFLOW_TRACKING_URI where it is set, and otherwise a database: on Drive on Colab, if it is mounted, in
    ``/kaggle/working`` on Kaggle, in the working directory elsewhere.

    Args:
        experiment_name: Made where there is none.
        ml_client: An ``azure.ai.ml.MLClient`` of a workspace.
        fallback_to_local: Whether runs go to the local place where the workspace does not answer.

    Returns:
        The tracking URI, which is MLflow's from now on.

    Raises:
        MissingExtra: MLflow is not installed.
        OutlastError: The workspace does not answer, and `fallback_to_local` is false.
    """
    if ml_client is not None:
        name = ml_client.workspace_name
        return _at_azure(lambda: ml_client.workspaces.get(name).mlflow_tracking_uri, experiment_name, fallback_to_local)
    return _set_up(tracking_uri(None, os.getcwd()), experiment_name)


def _at_azure(uri: Callable[[], object], experiment_name: str, fallback_to_local: bool) -> str:
    """At a workspace, if it can be had."""
    try:
        need_plugin()
        return _set_up(str(uri()), experiment_name)
    except MissingExtra:
        raise
    except Exception as error:  # whatever the packages of Azure and MLflow raise
        reason, cure = (error.reason, error.cure) if isinstance(error, SinkError) else (_line(error), "")
        if not fallback_to_local:
            raise OutlastError(f"Azure ML: {reason}", cure=cure or None) from error
    advice = f" ({cure})" if cure else ""
    warnings.warn(f"Azure ML: {reason}{advice}; runs are logged locally", stacklevel=3)
    elsewhere = {name: value for name, value in os.environ.items() if not value.startswith("azureml:")}
    return _set_up(tracking_uri(None, os.getcwd(), elsewhere), experiment_name)


def _set_up(uri: str, experiment_name: str) -> str:
    try:
        import mlflow
    except ImportError as error:
        raise MissingExtra("MLflow is not installed here", cure="pip install 'outlast[mlflow]'") from error
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.set_experiment(experiment_name)
    except BaseException:
        mlflow.set_tracking_uri(before)
        raise
    return uri


def _line(error: Exception) -> str:
    lines = mask_text(str(error)).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
