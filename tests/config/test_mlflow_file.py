"""config/mlflow.yaml and infrastructure.yaml: which Azure ML workspace a study file's runs go to, and what they may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.config.mlflow_file import azure_workspace
from outlast.config.tracking_section import AzureSettings, MlflowSettings, TrackingSettings
from outlast.errors import StudyFileError

STUDY = """\
name: digits
command: echo ${args}
metric: {name: accuracy, goal: maximize}
parameters: {lr: {min: 0.1, max: 1.0}}
budget: {trials: 3}
"""
ENABLED = "azure_ml:\n  enabled: true\n  workspace_name: resume-ner-ws\ntracking: {benchmark: {enabled: true}}\n"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def tracking(folder: Path, says: str, mlflow: str = ENABLED, infrastructure: str = "") -> TrackingSettings:
    """What a study file that says this sends to, with these files beside it."""
    (folder / "config").mkdir()
    if mlflow:
        (folder / "config" / "mlflow.yaml").write_text(mlflow)
    if infrastructure:
        (folder / "config" / "infrastructure.yaml").write_text(infrastructure)
    (folder / "study.yaml").write_text(f"{STUDY}{says}\n")
    return load_study_file(folder / "study.yaml").tracking


FOLLOWED = 'tracking: {mlflow: {config: config/mlflow.yaml, experiment: "resume_ner-hpo", tags: {team: nlp}}}'


def test_a_study_file_that_follows_it_goes_to_the_workspace_with_whatever_else_it_says(tmp_path: Path) -> None:
    assert tracking(tmp_path, FOLLOWED) == TrackingSettings(
        azure_ml=AzureSettings(workspace_name="resume-ner-ws", experiment="resume_ner-hpo", tags={"team": "nlp"})
    )


@pytest.mark.parametrize(
    "off", ["azure_ml: {enabled: false, workspace_name: w}", "azure_ml: {workspace_name: w}", "naming: {}"]
)
def test_where_azure_is_not_enabled_it_is_mlflow_by_place(tmp_path: Path, off: str) -> None:
    assert tracking(tmp_path, FOLLOWED, off) == TrackingSettings(
        mlflow=MlflowSettings(experiment="resume_ner-hpo", tags={"team": "nlp"})
    )


@pytest.mark.parametrize(
    "says", ["tracking: azure_ml", "tracking: [azure_ml]", "tracking: {azure_ml: {}}", "tracking: {azure_ml: }"]
)
def test_a_study_file_that_asks_for_azure_finds_the_file_by_itself(tmp_path: Path, says: str) -> None:
    found = tracking(tmp_path, says)
    assert found.azure_ml == AzureSettings(workspace_name="resume-ner-ws")


def test_the_infrastructure_says_what_the_variables_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "mine")
    infrastructure = (
        "azure:\n  workspace_name: resume-ner-ws\n  resource_group: theirs\n  subscription_id: '${NOT_SET}'"
    )
    assert tracking(tmp_path, "tracking: azure_ml", infrastructure=infrastructure).azure_ml == AzureSettings(
        workspace_name="resume-ner-ws"
    )
    monkeypatch.delenv("AZURE_RESOURCE_GROUP")
    azure = load_study_file(tmp_path / "study.yaml").tracking.azure_ml
    assert azure == AzureSettings(workspace_name="resume-ner-ws", resource_group="theirs")


def test_a_workspace_that_only_the_infrastructure_names_is_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSPACE", "by-variable")
    azure = tracking(
        tmp_path, "tracking: azure_ml", "azure_ml: {enabled: true}", "workspace_name: '${WORKSPACE}'"
    ).azure_ml
    assert azure == AzureSettings(workspace_name="by-variable")


@pytest.mark.parametrize(
    ("says", "mlflow", "infrastructure", "expected"),
    [
        (
            "tracking: azure_ml", ENABLED, "azure:\n  region: x\n  workspace_name: other-ws\n",
            "config/mlflow.yaml:3: azure_ml.workspace_name: is resume-ner-ws, but config/infrastructure.yaml:3 says "
            "azure.workspace_name: other-ws\n  write the same in both, or take it out of one",
        ),
        (
            "tracking: azure_ml", "", "",
            "study.yaml:6: tracking.azure_ml: names no workspace, and there is no config/mlflow.yaml",
        ),
        ("tracking: azure_ml", "azure_ml: {enabled: false}", "", "config/mlflow.yaml does not enable `azure_ml`"),
        ("tracking: azure_ml", "azure_ml:\n  enabled: yes please\n", "", "mlflow.yaml:2: azure_ml.enabled: must be true or"),
        ("tracking: azure_ml", "azure_ml: {enabled: true}", "", "mlflow.yaml:1: azure_ml: is enabled and names no"),
        (FOLLOWED, "", "", "study.yaml:6: tracking.mlflow.config: there is no file config/mlflow.yaml"),
        (
            'tracking: {mlflow: {config: config/mlflow.yaml, uri: "http://x"}}', ENABLED, "",
            "tracking.mlflow.uri: is there beside the workspace of config/mlflow.yaml",
        ),
        (
            "tracking: {mlflow: {config: config/mlflow.yaml}, azure_ml: {}}", ENABLED, "",
            "tracking.azure_ml: is there beside the workspace of config/mlflow.yaml",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_its_place(
    tmp_path: Path, says: str, mlflow: str, infrastructure: str, expected: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        tracking(tmp_path, says, mlflow, infrastructure)
    assert expected in str(caught.value)


def test_a_study_file_that_names_its_workspace_needs_no_file(tmp_path: Path) -> None:
    azure = tracking(tmp_path, "tracking: {azure_ml: {workspace_name: mine}}", "").azure_ml
    assert azure == AzureSettings(workspace_name="mine")
    assert tracking_is_on_record(tmp_path)


def tracking_is_on_record(folder: Path) -> bool:
    """Whether the resolved study file says the same without the file."""
    settings = load_study_file(folder / "study.yaml")
    return settings.resolved["tracking"] == {"azure_ml": {"workspace_name": "mine"}}


def test_the_file_is_read_for_whoever_has_no_study_file(tmp_path: Path) -> None:
    (tmp_path / "mlflow.yaml").write_text(ENABLED)
    assert azure_workspace("mlflow.yaml", {}) == {"workspace_name": "resume-ner-ws"}
