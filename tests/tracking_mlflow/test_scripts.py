"""Unchanged scripts that log to MLflow themselves: into their trial's run, whatever becomes of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from lab.lying_proxy import LyingProxy
from lab.sent_to_mlflow import FileMemory, a_study, a_trial, send_all
from lab.tracking_server import QUIET, TrackingServer
from lab.waiting import until
from outlast.core.states import TrialState
from outlast.runner.hooks import hooks_path
from outlast.tracking.mlflow_sink import MlflowSink
from outlast.tracking.sink import TrackedPoint
from tracking_mlflow.counted import runs_of

pytestmark = [pytest.mark.slow, pytest.mark.foreign, pytest.mark.filterwarnings("default")]

TRAIN = """
import mlflow
mlflow.set_experiment("of my own")
with mlflow.start_run():
    mlflow.log_params({"lr": "1e-3", "optimizer": "adam"})
    for epoch in range(6):
        mlflow.log_metric("val_acc", 0.5 + epoch / 8, step=epoch)
    with mlflow.start_run(nested=True, run_name="calibration"):
        mlflow.log_metric("ece", 0.1)
mlflow.set_tracking_uri("sqlite:///of-my-own.db")
import os
print(sorted(name for name in os.environ if name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID")))
"""


def train(folder: Path, handed: dict[str, dict[str, str]], code: str) -> subprocess.CompletedProcess[str]:
    """Run a script as trial 1's training, as the runner would."""
    attempt = folder / "trials" / "0001" / "attempts" / "1"
    attempt.mkdir(parents=True, exist_ok=True)
    (folder / "tracking").mkdir(exist_ok=True)
    (folder / "tracking" / "mlflow.environment").write_text(json.dumps(handed))
    (folder / "train.py").write_text(code)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "MLFLOW_"))}
    ours = {
        "OUTLAST_TRIAL_DIR": str(attempt.parents[1]), "OUTLAST_TRIAL": "1", "OUTLAST_ATTEMPT": "1",
        "OUTLAST_METRICS": "val_acc", "PYTHONPATH": hooks_path(),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "train.py"],
        cwd=folder,
        env={**env, **QUIET, **ours},
        capture_output=True,
        text=True,
        timeout=120,
    )


def points_in(folder: Path) -> tuple[TrackedPoint, ...]:
    lines = (folder / "trials" / "0001" / "attempts" / "1" / "reports.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return tuple(
        TrackedPoint(line["step"], 1.7e9 + line["step"], line["metrics"], line["via"])
        for line in found
        if line.get("step") is not None and "val_acc" in line["metrics"]
    )


@pytest.mark.parametrize("dies", [False, True])
def test_what_a_script_logs_is_in_its_trials_run_once_even_if_the_server_dies_meanwhile(
    server: TrackingServer, tmp_path: Path, dies: bool
) -> None:
    study, memory = a_study(f"scripts-{dies}", upcoming=(1,)), FileMemory(tmp_path / "memory")
    send_all(lambda: MlflowSink(uri=server.uri), study, [], memory, close=False)
    running = msgspec.structs.replace(a_trial(1, TrialState.RUNNING, points=0), params={"lr": 0.001, "layers": 2})
    send_all(lambda: MlflowSink(uri=server.uri), study, [running], memory, close=False)
    logged: list[str] = []

    def fault(_method: str, path: str) -> str:
        logged.append(path)
        return "refused" if dies and sum("log-metric" in each for each in logged) > 2 else ""

    with LyingProxy(server.port, fault) as proxy:
        handed = {"1": {**memory.data["environment"]["1"], "MLFLOW_TRACKING_URI": proxy.uri}}
        began = time.monotonic()
        result = train(tmp_path, handed, TRAIN)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("[]\n")  # it has gone elsewhere
    assert time.monotonic() - began < 60
    points = points_in(tmp_path)
    assert len(points) == 6
    over = msgspec.structs.replace(
        running, state=TrialState.COMPLETE, ended=1_700_000_900.0, values=(1.125,), points=points
    )
    study = msgspec.structs.replace(study, upcoming=())
    send_all(lambda: MlflowSink(uri=server.uri), study, [over], memory)

    run, status = next((run, status) for run, trial, status in runs_of(server.database, study) if trial == "1")
    curve = server.rows("SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'val_acc' ORDER BY step", run)
    assert curve == [(epoch, 0.5 + epoch / 8) for epoch in range(len(points))]
    assert status == "FINISHED"
    if not dies:
        params = dict(server.rows("SELECT key, value FROM params WHERE run_uuid = ?", run))
        assert params == {"lr": "0.001", "layers": "2", "optimizer": "adam"}
        below = server.rows(
            "SELECT r.name FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid"
            " WHERE t.key = 'mlflow.parentRunId' AND t.value = ?", run,
        )  # fmt: skip
        assert below == [("calibration",)]
        assert "of my own" not in [name for (name,) in server.rows("SELECT name FROM experiments")]


def test_where_nobody_answers_it_is_as_if_there_were_no_run_for_it(tmp_path: Path) -> None:
    code = "import mlflow, os; print(sorted(name for name in os.environ if name in ('MLFLOW_RUN_ID', 'MLFLOW_EXPERIMENT_ID')))"
    dead = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_RUN_ID": "a", "MLFLOW_EXPERIMENT_ID": "1"}
    result = train(tmp_path, {"1": dead}, code)
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr
    assert "does not answer" in result.stderr


def test_trainings_that_begin_together_make_a_databases_tables_one_after_the_other(tmp_path: Path) -> None:
    spec = spec_from_file_location("outlast_mlflow_tables", Path(hooks_path()) / "outlast_mlflow_tables.py")
    assert spec is not None and spec.loader is not None
    hook = module_from_spec(spec)
    spec.loader.exec_module(hook)
    tables: list[str] = []
    inside: list[int] = []

    def make(_engine: object) -> None:
        inside.append(len(inside))
        until(lambda: not tables, "nobody else", 5)
        time.sleep(0.05)  # a migration; whoever came in between would find no tables
        tables.append("experiments")

    utils = SimpleNamespace(_initialize_tables=make, _all_tables_exist=lambda _engine: bool(tables))
    hook.make_one_by_one(utils)
    engine = SimpleNamespace(url=SimpleNamespace(database=str(tmp_path / "mlflow.db")))
    threads = [threading.Thread(target=utils._initialize_tables, args=(engine,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (tables, inside) == (["experiments"], [0])
