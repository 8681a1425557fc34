"""A study in an Azure ML workspace: Azure's and MLflow's own clients, a real server where the workspace's would be."""

from __future__ import annotations

import pytest

from lab.azure_cloud import SIGNED_IN, URI, WORKSPACE, Cloud, cloud_instead_of_the_network
from lab.sent_to_mlflow import a_study, a_trial
from lab.tracked import RememberedMemory
from lab.tracking_server import TrackingServer
from outlast.config.tracking_section import AzureSettings
from outlast.core.states import TrialState
from outlast.tracking.azure_sink import AzureSink
from outlast.tracking.choosing import make_sink
from outlast.tracking.sink import SinkError
from tracking_mlflow.counted import is_exactly_there

pytestmark = [pytest.mark.foreign, pytest.mark.slow]


def test_a_study_stands_in_the_workspace_once_however_often_it_is_sent(
    server: TrackingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SIGNED_IN.items():
        monkeypatch.setenv(name, value)
    study, memory = a_study("azure.digits"), RememberedMemory()
    settings = AzureSettings(workspace_name=WORKSPACE, artifacts=False, tags={"team": "nlp"})
    with cloud_instead_of_the_network(Cloud(server=server.uri), monkeypatch) as cloud:
        for trials in ([a_trial(0, TrialState.RUNNING, points=2)], [a_trial(0), a_trial(1)], [a_trial(0)]):
            sink = make_sink("azure_ml", settings, {})
            sink.open(study, memory)
            sink.send(study, trials)
            sink.close(study)
            memory = memory.after_a_crash()
    assert any("/api/2.0/mlflow/runs/log-batch" in asked for asked in cloud.asked)
    is_exactly_there(server.database, study, [a_trial(0), a_trial(1)])
    names = "SELECT DISTINCT e.name FROM runs r JOIN experiments e USING (experiment_id) JOIN tags t USING (run_uuid)"
    here = server.rows(f"{names} WHERE t.key = 'outlast.study' AND t.value = ?", study.identity)
    assert here == [("azure-digits-hpo-distilbert",)]
    assert memory.data["environment"] == {} or all(
        each["MLFLOW_TRACKING_URI"] == URI for each in memory.data["environment"].values()
    )


def test_a_workspace_that_is_refused_is_said_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SIGNED_IN.items():
        monkeypatch.setenv(name, value)
    with cloud_instead_of_the_network(Cloud(may_read=False), monkeypatch):
        sink = AzureSink(AzureSettings(workspace_name=WORKSPACE))
        with pytest.raises(SinkError, match="may not read the workspace"):
            sink.open(a_study(), RememberedMemory())
