"""MLflow's package in this process: what it reads of the environment, and the database that it makes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

#: One request has this long: a server that takes a minute is still one. Nothing is tried again down there; whoever sends does.
_BOUNDS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120", "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "600"}
_LEFT_AFTER = 600.0  # seconds: one that makes a database takes less
_OURS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}


def local_database(uri: str) -> str | None:
    """The file of an SQLite database, where the URI means one by its absolute path."""
    path = uri.removeprefix("sqlite:///")
    return path if path != uri and path.startswith("/") else None


def artifacts_of(uri: str, experiment: str) -> str | None:
    """Where the files of a new experiment go: beside a local database, where MLflow puts them if it is used there; ``None``: as
    the server says."""
    database = local_database(uri)
    if database is None:
        return None
    folder = re.sub(r"[^\w.-]", "_", experiment).strip(".") or "_"
    return Path(os.path.dirname(database), "mlruns", folder).as_uri()


@contextmanager
def one_by_one(path: str) -> Iterator[None]:
    """Only one process of ours at a time opens a database: whoever does makes or completes its tables.

    MLflow makes them in dozens of steps. Of several processes that begin at once, all do, and all but one fail.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    digest = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:16]
    name = f"outlast-mlflow-{os.getuid()}-{digest}.lock"  # trainings take it as well: `outlast_mlflow_tables.py` among the hooks
    with open(os.path.join(tempfile.gettempdir(), name), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_database(path: str) -> None:
    """Make MLflow's tables, beside the place and then there, where there is no database yet: one that is killed in between
    leaves none that nobody can use any more."""
    folder, prefix = os.path.dirname(path), f".{os.path.basename(path)}-"
    for left in Path(folder).glob(f"{escape(prefix)}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_AFTER:  # by one that was killed
                shutil.rmtree(left)
    if os.path.exists(path):
        return
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as aside:
        made = os.path.join(aside, "mlflow.db")
        with bounded(), _working_in(folder):  # where MLflow means the files of its default experiment to go
            from mlflow.tracking import MlflowClient

            MlflowClient(tracking_uri=f"sqlite:///{made}")
        try:
            os.link(made, path)
        except FileExistsError:
            pass  # MLflow itself was first
        except OSError:  # no links there, as on Google Drive
            if not os.path.exists(path):
                os.rename(made, path)


_lock = threading.Lock()
_inside = 0
_before: dict[str, str | None] = {}


@contextmanager
def bounded() -> Iterator[None]:
    """What MLflow reads from the environment, bounded; the last one of several at once puts everything back."""
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            added = {name: value for name, value in _BOUNDS.items() if name not in os.environ} | _OURS
            _before.update({name: os.environ.get(name) for name in added})
            os.environ.update(added)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for name, value in _before.items():
                    _put_back(name, value)
                _before.clear()


def _put_back(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    here = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
