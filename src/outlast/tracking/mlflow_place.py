"""Where MLflow's runs go when nobody says, as MLflow itself would have it; and what a local address means."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from glob import glob
from urllib.parse import unquote, urlsplit

from outlast._system.platforms import current_platform

_DATABASE, _FOLDER = "mlflow.db", "mlruns"


def tracking_uri(given: str | None, cwd: str, environ: Mapping[str, str] | None = None) -> str:
    """An absolute tracking URI.

    Without one, and without MLFLOW_TRACKING_URI: a database ``mlflow.db`` where the trainings run (on Colab and Kaggle, where
    what is kept goes), or the folder ``mlruns`` where there is one with experiments: as MLflow 3 does itself
    (``mlflow/tracking/_tracking_service/utils.py``). A database in that folder, where other programs put it, is gone on with.

    Args:
        given: What the study file says.
        cwd: Where the trainings run, absolute.
        environ: The environment; that of this process by default.
    """
    known = os.environ if environ is None else environ
    uri = given or known.get("MLFLOW_TRACKING_URI") or ""
    if not uri:
        platform = current_platform(known)
        folder = cwd if platform.kind == "local" else str(platform.root)
        has_runs = bool(glob(os.path.join(_as_pattern(folder), _FOLDER, "[0-9]*", "meta.yaml")))
        inner = os.path.join(folder, _FOLDER, _DATABASE)
        database = inner if os.path.exists(inner) else os.path.join(folder, _DATABASE)
        uri = os.path.join(folder, _FOLDER) if has_runs else f"sqlite:///{database}"
    return _absolute(uri, cwd)


def _absolute(uri: str, cwd: str) -> str:
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        path = uri.removeprefix("sqlite:///")
        return uri if path.startswith(":memory:") else f"sqlite:///{os.path.join(cwd, path)}"
    if "://" in uri or re.match(r"(databricks|uc)\b", uri):
        return uri
    path = unquote(urlsplit(uri).path) if uri.startswith("file:") else os.path.expanduser(uri)
    return f"file://{os.path.abspath(os.path.join(cwd, path))}"


def _as_pattern(path: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", path)
