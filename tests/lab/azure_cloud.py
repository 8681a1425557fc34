"""Azure as its clients meet it, up to the network: what `requests` would send is answered here, and nothing leaves the machine.

It signs in a service principal, is the resource manager of one workspace, and hands what is meant for the workspace's MLflow to a
real server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

TENANT, SECRET, TOKEN = "11111111-2222-3333-4444-555555555555", "right", "a-token"
SUBSCRIPTION, GROUP, WORKSPACE = "99999999-8888-7777-6666-555555555555", "research", "resume-ner-ws"
_HOST = "westeurope.api.azureml.ms"
SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
URI = f"azureml://{_HOST}/mlflow/v1.0{SCOPE}"
#: What a person who may do everything has in the environment.
SIGNED_IN = {
    "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "a-client", "AZURE_CLIENT_SECRET": SECRET,
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "AZURE_RESOURCE_GROUP": GROUP,
}  # fmt: skip


@dataclass
class Cloud:
    """What it answers, and was asked."""

    server: str = ""  # the address of a real MLflow server
    may_read: bool = True
    is_up: bool = True
    has_route: bool = True  # to it
    asked: list[str] = field(default_factory=list)

    def answer(self, request: requests.PreparedRequest) -> tuple[int, Any]:
        url = urlsplit(str(request.url))
        self.asked.append(f"{request.method} {url.netloc}{url.path}")
        if not self.has_route:
            raise requests.ConnectionError("no route to host")
        if url.netloc.startswith("login.microsoft"):
            return self._signed_in(url.path, str(request.body))
        if url.path == "/metadata/endpoints":  # of other clouds than the public one
            return 200, []
        if url.netloc == "management.azure.com":
            return self._workspace(url.path, request.headers)
        raise requests.ConnectionError(f"nothing may leave this machine: {url.netloc}")

    def _signed_in(self, path: str, body: str) -> tuple[int, Any]:
        base = f"https://login.microsoftonline.com/{TENANT}"
        if path.endswith("/openid-configuration"):
            kinds = {f"{kind}_endpoint": f"{base}/oauth2/v2.0/{kind}" for kind in ("token", "authorization")}
            return 200, {**kinds, "issuer": f"{base}/v2.0"}
        if path.endswith("/discovery/instance"):
            return 200, {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": []}
        if f"client_secret={SECRET}" in body:
            return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": TOKEN}
        error = "AADSTS7000215: Invalid client secret provided. Trace ID: 1"
        return 401, {"error": "invalid_client", "error_description": error}

    def _workspace(self, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        """As the resource manager answers."""
        if not self.is_up:
            return 503, {"error": {"code": "ServerTimeout", "message": "later"}}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"error": {"code": "InvalidAuthenticationToken", "message": "no"}}
        for code, name in (
            ("SubscriptionNotFound", SUBSCRIPTION),
            ("ResourceGroupNotFound", GROUP),
            ("ResourceNotFound", WORKSPACE),
        ):
            if f"/{name}" not in path:
                return 404, {"error": {"code": code, "message": f"{code} {path}"}}
        if not self.may_read:
            return 403, {
                "error": {"code": "AuthorizationFailed", "message": "does not have authorization to perform action"}
            }
        return 200, {"id": SCOPE, "name": WORKSPACE, "properties": {"mlFlowTrackingUri": URI}}


@contextmanager
def cloud_instead_of_the_network(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Within it, whatever `requests` sends is answered by this cloud; what goes to loopback is let through."""
    send = HTTPAdapter.send

    def answered(self: HTTPAdapter, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        url = str(request.url)
        if url.startswith("http://127.0.0.1"):
            return send(self, request, **kwargs)
        if (found := re.match(rf"https://{_HOST}/mlflow/v2\.0{SCOPE}(/api/.*)", url)) and cloud.server:
            assert request.headers["Authorization"] == f"Bearer {TOKEN}"
            cloud.asked.append(f"{request.method} {found[1].partition('?')[0]}")
            request.url = cloud.server + found[1]
            return send(self, request, **{**kwargs, "verify": False, "proxies": {}})
        status, body = cloud.answer(request)
        return _response(request, status, body)

    with monkeypatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", answered)
        yield cloud


def _response(request: requests.PreparedRequest, status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.request = status, str(request.url), request
    response.headers["content-type"] = "application/json"
    response.raw = urllib3.HTTPResponse(
        body=BytesIO(json.dumps(body).encode()), status=status, headers=dict(response.headers), preload_content=False
    )
    return response
