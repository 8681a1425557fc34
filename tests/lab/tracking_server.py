"""A real MLflow server with a database behind it, on loopback, that is killed and started again at will."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lab.ports import free_port
from lab.waiting import until
from outlast.tracking.sink import TrackedStudy, TrackedTrial

_TESTS = Path(__file__).parents[1]
#: What MLflow's own client is to do in tests: little, and nothing behind anybody's back.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Zygote:
    """The process that has MLflow imported; see `lab.mlflow_zygote`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        env = {**os.environ, **QUIET, "PYTHONPATH": str(_TESTS)}
        with (folder / "zygote.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lab.mlflow_zygote"], cwd=folder, env=env, text=True, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self._pids: list[int] = []
        self._is_ready = False

    def order(self, **order: Any) -> int:
        """Have a process begun; returns its pid."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if not self._is_ready:
            assert self._process.stdout.readline() == "ready\n", (self.folder / "zygote.log").read_text()
            self._is_ready = True
        self._process.stdin.write(json.dumps({"log": str(self.folder / "log"), **order}) + "\n")
        self._process.stdin.flush()
        self._pids.append(int(self._process.stdout.readline()))
        return self._pids[-1]

    def close(self) -> None:
        """End it and all that it began."""
        for pid in self._pids:
            kill(pid)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)


def kill(pid: int) -> None:
    """As the machine would."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    """Whether the process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TrackingServer:
    """An MLflow server with a database of its own."""

    def __init__(self, zygote: Zygote, empty: Path, folder: Path) -> None:
        self._zygote, self._empty, self.folder = zygote, empty, folder
        folder.mkdir(exist_ok=True)
        self.database = folder / "mlflow.db"
        shutil.copy(empty, self.database)
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._pid = 0

    def start(self) -> None:
        """Begin, and wait until it answers."""
        self._pid = self._zygote.order(
            do="serve", database=f"sqlite:///{self.database}", port=self.port, artifacts=str(self.folder / "artifacts")
        )
        until(self._answers, "an MLflow server", 60)

    def kill(self) -> None:
        """End it at once."""
        pid, self._pid = self._pid, 0
        if pid:
            kill(pid)
            until(lambda: not lives(pid), "the end of the server", 20)

    def begin_anew(self) -> None:
        """Another, empty database behind the same address."""
        self.kill()
        self.database = self.folder / f"other-{time.monotonic_ns()}.db"
        shutil.copy(self._empty, self.database)
        self.start()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200  # type: ignore[no-any-return]
        return False

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What stands in its database."""
        return rows(self.database, sql, *values)


def rows(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What stands in an MLflow database."""
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection:
        return connection.execute(sql, values).fetchall()


def begin_sending(
    zygote: Zygote, uri: str, study: TrackedStudy, trials: Sequence[TrackedTrial], memory: Path, within: float = 60.0
) -> int:
    """Have a process of its own send a study; returns its pid. It leaves ``MEMORY.done`` when all has arrived."""
    return zygote.order(
        do="send", uri=uri, study=msgspec.to_builtins(study), trials=msgspec.to_builtins(list(trials)),
        memory=str(memory), within=within,
    )  # fmt: skip
