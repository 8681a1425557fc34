"""MLflow's package in this process: what it reads of the environment, and the database that it makes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

#: One request has this long: a server that takes a minute is still one. Nothing is tried again down there; whoever sends does.
_BOUNDS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120", "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "600"}
_OURS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
_MAKING = 300.0  # seconds for MLflow to make its tables, by whoever is first


def local_database(uri: str) -> str | None:
    """The file of an SQLite database, where the URI means one by its absolute path."""
    path = uri.removeprefix("sqlite:///")
    return path if path != uri and path.startswith("/") else None


def make_database(path: str) -> None:
    """Make MLflow's tables, beside the place and then there, where there is no database yet.

    MLflow makes them in dozens of steps. Of several processes that begin at once, all do, and all but one fail; where one is
    killed meanwhile, none can use the database any more.
    """
    if os.path.exists(path):
        return
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    digest = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:16]
    lock = FileLock(os.path.join(tempfile.gettempdir(), f"outlast-mlflow-{os.getuid()}-{digest}.lock"))
    with suppress(Timeout):
        lock.acquire(timeout=_MAKING)
    try:
        if os.path.exists(path):
            return
        with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=folder) as aside:
            made = os.path.join(aside, "mlflow.db")
            with bounded(folder):
                from mlflow.tracking import MlflowClient

                MlflowClient(tracking_uri=f"sqlite:///{made}")
            try:
                os.link(made, path)
            except FileExistsError:
                pass  # MLflow itself was first
            except OSError:  # no links there, as on Google Drive
                if not os.path.exists(path):
                    os.rename(made, path)
    finally:
        lock.release()


@contextmanager
def bounded(folder: str | None = None) -> Iterator[None]:
    """What MLflow reads from the environment, bounded; and, while a local database is opened, its folder as the working one,
    since MLflow keeps the files of its runs there."""
    added = {name: value for name, value in _BOUNDS.items() if name not in os.environ} | _OURS
    before = {name: os.environ.get(name) for name in added}
    here = os.getcwd() if folder else ""
    os.environ.update(added)
    try:
        if folder:
            os.makedirs(folder, exist_ok=True)
            os.chdir(folder)
        yield
    finally:
        if folder:
            os.chdir(here)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
