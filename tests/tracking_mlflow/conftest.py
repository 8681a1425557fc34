"""One MLflow server for all, with a database of its own for each test that harms it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.tracking_server import TrackingServer, Zygote, lives
from lab.waiting import until


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    found = Zygote(tmp_path_factory.mktemp("mlflow"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def empty(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing else: made by four at once, as four new studies would; one for all workers."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    path = zygote.folder / "empty.db"
    if session:
        path = tmp_path_factory.getbasetemp().parent / f"mlflow-{session}.db"
    pids = [zygote.order(do="create", uri=f"sqlite:///{path}") for _ in range(4)]
    for pid in pids:
        until(lambda pid=pid: not lives(pid), "MLflow's tables", 120)  # type: ignore[misc]
    assert "Traceback" not in (zygote.folder / "log").read_text(), (zygote.folder / "log").read_text()
    return path


@pytest.fixture(scope="session")
def server(zygote: Zygote, empty: Path) -> Iterator[TrackingServer]:
    found = TrackingServer(zygote, empty, zygote.folder / "server")
    found.start()
    yield found
    found.kill()
