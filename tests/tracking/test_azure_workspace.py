"""An Azure ML workspace is found by Azure's own clients, up to the network; what is missing is one line with its cure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.azure_cloud import SIGNED_IN, URI, WORKSPACE, Cloud, cloud_instead_of_the_network
from outlast.config.load import load_study_file
from outlast.config.tracking_section import AzureSettings
from outlast.engine.sending.usable import tracking_findings
from outlast.tracking.azure_workspace import Workspace
from outlast.tracking.choosing import make_sink
from outlast.tracking.sink import SinkError

pytestmark = pytest.mark.foreign
SETTINGS = AzureSettings(workspace_name=WORKSPACE)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in SIGNED_IN.items():
        monkeypatch.setenv(name, value)
    with cloud_instead_of_the_network(Cloud(), monkeypatch) as found:
        yield found


def refused(settings: AzureSettings = SETTINGS) -> SinkError:
    with pytest.raises(SinkError) as caught:
        Workspace(settings).tracking_uri()
    assert "\n" not in caught.value.reason
    return caught.value


def test_whoever_is_signed_in_is_told_the_address_of_the_workspaces_mlflow(cloud: Cloud) -> None:
    assert Workspace(SETTINGS).tracking_uri() == URI
    assert cloud.asked[-1].startswith("GET management.azure.com/subscriptions/")


@pytest.mark.parametrize("variable", ["AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP"])
def test_a_variable_that_is_missing_is_named_before_anything_is_asked(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv(variable)
    error = refused()
    assert error.reason == f"needs {variable} for the workspace {WORKSPACE}"
    assert (error.cure, error.lasting, cloud.asked) == (f"export {variable}=…", True, [])


def test_what_the_study_file_says_wins_over_the_variables(cloud: Cloud) -> None:
    error = refused(AzureSettings(workspace_name=WORKSPACE, resource_group="theirs"))
    assert error.reason == "there is no resource group theirs"
    assert "AZURE_RESOURCE_GROUP" in error.cure


def test_a_wrong_secret_is_said_without_it(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong-5up3r")
    error = refused()
    assert error.reason.startswith("Azure accepts no credential here")
    assert "az login" in error.cure and error.lasting
    assert "AADSTS7000215: Invalid client secret provided" in error.reason
    assert "5up3r" not in f"{error.reason}{error.cure}"


def test_without_any_credential_it_is_said_how_to_sign_in(cloud: Cloud) -> None:
    from azure.identity import EnvironmentCredential

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AZURE_CLIENT_SECRET")
        with pytest.raises(SinkError, match="accepts no credential") as caught:
            Workspace(SETTINGS, credential=EnvironmentCredential()).tracking_uri()
    assert "AZURE_CLIENT_SECRET" in caught.value.cure


def test_a_workspace_that_there_is_not_is_named(cloud: Cloud) -> None:
    error = refused(AzureSettings(workspace_name="resume-ner"))
    assert (error.reason, error.lasting) == ("there is no workspace resume-ner in the resource group research", True)


def test_a_subscription_that_there_is_not_is_named(cloud: Cloud) -> None:
    assert refused(AzureSettings(workspace_name=WORKSPACE, subscription_id="0")).reason == "there is no subscription 0"


def test_who_may_not_read_it_is_told_so(cloud: Cloud) -> None:
    cloud.may_read = False
    error = refused()
    assert error.reason == f"the credential may not read the workspace {WORKSPACE} in the resource group research"
    assert "role" in error.cure and error.lasting


def test_an_azure_that_is_away_is_asked_again_later(cloud: Cloud) -> None:
    cloud.is_up = False
    error = refused()
    assert (error.reason, error.lasting) == ("Azure answers 503 ServerTimeout", False)


def test_without_a_network_it_is_asked_again_later(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from azure.core.credentials import AccessToken

    class Signed:
        def get_token(self, *scopes: str, **_: object) -> AccessToken:
            return AccessToken("t", 2**31)

    cloud.has_route = False
    with pytest.raises(SinkError, match="Azure does not answer") as caught:
        Workspace(SETTINGS, credential=Signed()).tracking_uri()
    assert not caught.value.lasting


@pytest.mark.parametrize("package", ["azure.identity", "azureml.mlflow"])
def test_a_package_that_is_missing_is_named_with_its_extra(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SinkError, match="is not installed here") as caught:
        make_sink("azure_ml", SETTINGS, {})
    assert caught.value.cure == "pip install 'outlast[azure]'"


def checked(tmp_path: Path) -> list[tuple[str, str, str | None]]:
    """What `outlast check` says of a study that is sent to the workspace."""
    text = (
        "name: a\ncommand: echo ${args}\nmetric: {name: f1, goal: maximize}\nparameters: {lr: {min: 0.1, max: 1.0}}\n"
    )
    (tmp_path / "a.yaml").write_text(
        f"{text}budget: {{trials: 1}}\ntracking: {{azure_ml: {{workspace_name: {WORKSPACE}}}}}\n"
    )
    found = tracking_findings(load_study_file(tmp_path / "a.yaml"))
    return [(each.level, each.text, each.cure) for each in found]


def test_check_says_beforehand_what_azure_would_refuse(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked(tmp_path) == [("ok", "sent to azure_ml", None)]
    cloud.may_read = False
    level, text, cure = checked(tmp_path)[0]
    assert (level, "may not read the workspace resume-ner-ws" in text, "role" in str(cure)) == ("note", True, True)
    monkeypatch.delenv("AZURE_RESOURCE_GROUP")
    level, text, cure = checked(tmp_path)[0]
    assert "needs AZURE_RESOURCE_GROUP" in text and cure == "export AZURE_RESOURCE_GROUP=…"
