"""Azure ML: an MLflow server by another name, once the workspace has said its address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from outlast.config.tracking_section import AzureSettings
from outlast.tracking.azure_workspace import SIGN_IN, Workspace
from outlast.tracking.mlflow_content import experiment_name
from outlast.tracking.mlflow_sink import MlflowSink
from outlast.tracking.sink import Memory, SinkError, TrackedStudy, TrackedTrial

#: What MLflow, through ``azureml-mlflow``, says of a token that it could not get.
_NO_TOKEN = re.compile(r"DefaultAzureCredential|AADSTS\d+|[Aa]uthentication(Error| failed)|credential")


class AzureSink:
    """Sends a study to an Azure ML workspace as `MlflowSink` does to a server.

    Args:
        settings: Which workspace.
        workspace: Asked for its address; by default the one of the settings.

    Raises:
        SinkError: A package or a variable is missing.
    """

    def __init__(self, settings: AzureSettings, workspace: Workspace | None = None) -> None:
        self._settings, self._workspace = settings, workspace or Workspace(settings)
        self._mlflow: MlflowSink | None = None

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        """Ask for the address, and begin or go on there."""
        settings = self._settings
        self._mlflow = MlflowSink(
            uri=self._workspace.tracking_uri(),
            experiment=allowed(settings.experiment or experiment_name(study)),
            run_name=settings.run_name,
            artifacts=settings.artifacts,
            log_best_checkpoint=settings.log_best_checkpoint,
            tags=settings.tags,
        )
        with self._told():
            self._mlflow.open(study, memory)

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        """As `MlflowSink.send`."""
        assert self._mlflow is not None
        with self._told():
            self._mlflow.send(study, changed)

    def close(self, study: TrackedStudy) -> None:
        """As `MlflowSink.close`."""
        if self._mlflow is not None:
            with self._told():
                self._mlflow.close(study)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """An expired sign-in is said as one, whoever noticed it."""
        try:
            yield
        except SinkError as error:
            if error.cure or not _NO_TOKEN.search(error.reason):
                raise
            raise SinkError(error.reason, cure=SIGN_IN, lasting=True) from error


def allowed(name: str) -> str:
    """An experiment's name as Azure ML takes it: letters, digits, ``_`` and ``-``, beginning with a letter or digit."""
    return re.sub(r"^[^a-zA-Z0-9]+", "", re.sub(r"[^a-zA-Z0-9_-]+", "-", name))[:255] or "outlast"
