"""An Azure ML workspace, asked for the address of its MLflow.

Azure's own pipeline asks the resource manager (https://learn.microsoft.com/rest/api/azureml/workspaces/get): it signs in, tries
again and keeps the token. `azure-ai-ml`, which asks the same question, is not needed for it. ``azureml-mlflow`` is: it is what
makes MLflow understand an ``azureml://`` address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from outlast.config.tracking_section import AzureSettings
from outlast.tracking.sink import SinkError

#: What installs all that is needed.
INSTALL = "pip install 'outlast[azure]'"
_CLOUD = "https://management.azure.com"
_SCOPE = "https://management.azure.com/.default"
_VERSION = "2024-04-01"
#: What helps where no credential is accepted.
SIGN_IN = "az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
_PATIENCE = 20.0  # seconds for an answer


class Workspace:
    """An Azure ML workspace by its name.

    Args:
        settings: Its name and where it is; what they leave out is taken from AZURE_SUBSCRIPTION_ID and AZURE_RESOURCE_GROUP.
        environ: The environment; that of this process by default.
        credential: Of ``azure.identity``; by default whatever ``DefaultAzureCredential`` finds.
        transport: What carries the requests, in place of ``requests``.

    Raises:
        SinkError: A package or a variable is missing.
    """

    def __init__(
        self,
        settings: AzureSettings,
        environ: Mapping[str, str] | None = None,
        *,
        credential: Any = None,
        transport: Any = None,
    ) -> None:
        known = os.environ if environ is None else environ
        self.name = settings.workspace_name or ""
        self._subscription = settings.subscription_id or known.get("AZURE_SUBSCRIPTION_ID", "")
        self._group = settings.resource_group or known.get("AZURE_RESOURCE_GROUP", "")
        if not self.name:
            raise SinkError("names no workspace", cure="azure_ml: {workspace_name: …}", lasting=True)
        lacking = [
            variable
            for variable, value in (
                ("AZURE_SUBSCRIPTION_ID", self._subscription),
                ("AZURE_RESOURCE_GROUP", self._group),
            )
            if not value
        ]
        if lacking:
            reason = f"needs {' and '.join(lacking)} for the workspace {self.name}"
            raise SinkError(reason, cure="export " + " ".join(f"{each}=…" for each in lacking), lasting=True)
        _need_packages()
        self._credential, self._transport = credential, transport

    def tracking_uri(self, *, patience: float = _PATIENCE) -> str:
        """The address of its MLflow.

        Args:
            patience: Seconds for an answer.

        Raises:
            SinkError: No credential is accepted, there is no such workspace, it may not be read, or Azure does not answer.
        """
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            answer = self._asked(patience)
        except ClientAuthenticationError as error:
            reason = f"Azure accepts no credential here: {_essence(error)}"
            raise SinkError(reason, cure=SIGN_IN, lasting=True) from error
        except AzureError as error:
            raise SinkError(f"Azure does not answer: {_essence(error)}") from error
        if answer.status_code != 200:
            raise self._refused(answer)
        uri = (_body(answer).get("properties") or {}).get("mlFlowTrackingUri")
        if not uri:
            raise SinkError(f"the workspace {self.name} has no MLflow address", lasting=True)
        return str(uri)

    def _asked(self, patience: float) -> Any:
        from azure.core.pipeline.policies import RetryPolicy
        from azure.core.rest import HttpRequest
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.core import ARMPipelineClient
        from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

        credential = self._credential or DefaultAzureCredential()
        options: dict[str, Any] = {} if self._transport is None else {"transport": self._transport}
        client: Any = ARMPipelineClient(
            base_url=_CLOUD,
            policies=[
                RetryPolicy(retry_total=2, retry_backoff_factor=0.2, retry_backoff_max=2),
                ARMChallengeAuthenticationPolicy(credential, _SCOPE),
            ],
            **options,
        )
        path = (
            f"/subscriptions/{quote(self._subscription, safe='')}/resourceGroups/{quote(self._group, safe='')}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{quote(self.name, safe='')}"
        )
        with client:
            request = HttpRequest("GET", f"{_CLOUD}{path}", params={"api-version": _VERSION})
            return client.send_request(request, connection_timeout=patience, read_timeout=patience)

    def _refused(self, answer: Any) -> SinkError:
        """What Azure's refusal means for a person; its codes are those of the resource manager's own errors."""
        said = _body(answer).get("error") or {}
        code, where = str(said.get("code", "")), f"in the resource group {self._group}"
        if answer.status_code == 401:
            return SinkError(f"Azure accepts no credential here ({code or 401})", cure=SIGN_IN, lasting=True)
        if answer.status_code == 403:
            cure = "a role such as AzureML Data Scientist on the workspace gives it"
            return SinkError(f"the credential may not read the workspace {self.name} {where}", cure=cure, lasting=True)
        if code == "SubscriptionNotFound" or code == "InvalidSubscriptionId":
            fact = f"there is no subscription {self._subscription}"
            return SinkError(fact, cure="az account list shows yours: export AZURE_SUBSCRIPTION_ID=…", lasting=True)
        if code == "ResourceGroupNotFound":
            fact, cure = (
                f"there is no resource group {self._group}",
                "az group list shows yours: export AZURE_RESOURCE_GROUP=…",
            )
            return SinkError(fact, cure=cure, lasting=True)
        if answer.status_code == 404:
            cure = "az ml workspace list shows yours: azure_ml: {workspace_name: …}"
            return SinkError(f"there is no workspace {self.name} {where}", cure=cure, lasting=True)
        return SinkError(f"Azure answers {answer.status_code} {code}".rstrip())


def need_plugin() -> None:
    """See that MLflow understands ``azureml://``.

    Raises:
        SinkError: It does not.
    """
    _need("azureml.mlflow", "azureml-mlflow")


def _need_packages() -> None:
    _need("azure.identity", "azure-identity")
    _need("azure.mgmt.core", "azure-mgmt-core")
    need_plugin()


def _need(module: str, package: str) -> None:
    from importlib.util import find_spec

    try:
        found = find_spec(module)
    except (ImportError, ValueError):  # of what it is in
        found = None
    if found is None:
        raise SinkError(f"needs {package}, which is not installed here", cure=INSTALL, lasting=True)


def _body(answer: Any) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _essence(error: Exception) -> str:
    """A line of it: what the credential that was tried was told, or else its first one, before long advice."""
    text = str(error).strip() or type(error).__name__
    told = re.search(r"Authentication failed: (.+)", text)
    return (told[1] if told else text.splitlines()[0])[:200].rstrip(". ")
