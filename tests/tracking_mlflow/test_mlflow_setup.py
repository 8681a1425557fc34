"""What reference programs call to set MLflow up: by config/mlflow.yaml, by a client of a workspace, or by place."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.azure_cloud import SIGNED_IN, URI, WORKSPACE, Cloud, cloud_instead_of_the_network
from lab.tracking_server import TrackingServer
from outlast.errors import OutlastError, StudyFileError
from outlast.tracking import setup_mlflow_cross_platform, setup_mlflow_from_config

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
_PAGE = (Path(__file__).parents[2] / "docs" / "azure.md").read_text()
(ENABLED,) = re.findall(r"^```text\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)
FROM_CONFIG, CROSS_PLATFORM = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def project(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a configuration and an empty database, and MLflow as it was before."""
    import mlflow

    (tmp_path / "config").mkdir()
    shutil.copy(empty, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", *SIGNED_IN):
        monkeypatch.delenv(name, raising=False)
    mlflow.set_tracking_uri(None)
    yield tmp_path
    mlflow.set_tracking_uri(None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)


def logged_to(uri: str) -> None:
    """Assert that what a script logs goes there."""
    import mlflow

    with mlflow.start_run() as run:
        mlflow.log_metric("f1", 0.5)
    assert mlflow.get_tracking_uri() == uri
    assert mlflow.MlflowClient(uri).get_run(run.info.run_id).data.metrics == {"f1": 0.5}


def test_locally_it_is_a_database_here(project: Path) -> None:
    uri = setup_mlflow_cross_platform(experiment_name="resume_ner")
    assert uri == f"sqlite:///{project}/mlflow.db"
    logged_to(uri)


def test_a_database_where_the_program_had_it_before_is_gone_on_with(project: Path) -> None:
    (project / "mlruns").mkdir()
    (project / "mlflow.db").rename(project / "mlruns" / "mlflow.db")
    assert setup_mlflow_from_config("resume_ner", project / "config") == f"sqlite:///{project}/mlruns/mlflow.db"


def test_an_enabled_workspace_is_where_scripts_log_to(
    project: Path, server: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "config" / "mlflow.yaml").write_text(ENABLED)
    for name, value in SIGNED_IN.items():
        monkeypatch.setenv(name, value)
    with cloud_instead_of_the_network(Cloud(server=server.uri), monkeypatch):
        assert setup_mlflow_from_config("from-config", config_dir=Path("config")) == URI
        logged_to(URI)
        client = SimpleNamespace(
            workspace_name=WORKSPACE,
            workspaces=SimpleNamespace(get=lambda name: SimpleNamespace(mlflow_tracking_uri=URI)),
        )
        assert setup_mlflow_cross_platform("by-client", ml_client=client) == URI
    names = {name for (name,) in server.rows("SELECT name FROM experiments")}
    assert {"from-config", "by-client"} <= names


def test_a_workspace_that_cannot_be_had_is_said_once_and_runs_go_to_the_local_place(project: Path) -> None:
    (project / "config" / "mlflow.yaml").write_text(ENABLED)
    with pytest.warns(
        UserWarning, match=r"needs AZURE_SUBSCRIPTION_ID and AZURE_RESOURCE_GROUP .*; runs are logged locally"
    ):
        uri = setup_mlflow_from_config("resume_ner", "config")
    assert uri == f"sqlite:///{project}/mlflow.db"
    with pytest.raises(OutlastError, match="AZURE_RESOURCE_GROUP"):
        setup_mlflow_from_config("resume_ner", "config", fallback_to_local=False)


def test_files_that_disagree_are_an_error_and_change_nothing(project: Path) -> None:
    import mlflow

    (project / "config" / "mlflow.yaml").write_text(ENABLED)
    (project / "config" / "infrastructure.yaml").write_text("azure: {workspace_name: other}\n")
    before = mlflow.get_tracking_uri()
    with pytest.raises(StudyFileError, match="is resume-ner-ws, but config"):
        setup_mlflow_from_config("resume_ner", "config")
    assert mlflow.get_tracking_uri() == before


@pytest.mark.parametrize("script", [FROM_CONFIG, CROSS_PLATFORM])
def test_what_the_page_shows_runs(project: Path, script: str) -> None:
    import mlflow

    exec(script, {})
    assert mlflow.get_tracking_uri() == f"sqlite:///{project}/mlflow.db"
    assert mlflow.get_experiment_by_name("resume_ner_baseline") is not None
