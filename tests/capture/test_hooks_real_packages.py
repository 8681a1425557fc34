"""What unchanged scripts log to the real Weights & Biases and MLflow, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.runner.capture import LiveReports, Objective, ReportsReader
from outlast.runner.hooks import hooks_path

pytestmark = pytest.mark.slow  # both packages take seconds to import


def train(tmp_path: Path, code: str, **env: str) -> Path:
    """Run an unchanged script as a training. Returns its ``reports.jsonl``."""
    folder = tmp_path / "trial" / "attempts" / "1"
    folder.mkdir(parents=True)
    (tmp_path / "train.py").write_text(code)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "WANDB_", "MLFLOW_"))}
    result = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env={
            **clean,
            "PYTHONPATH": hooks_path(),
            "OUTLAST_TRIAL_DIR": str(tmp_path / "trial"),
            "OUTLAST_ATTEMPT": "1",
            "OUTLAST_METRICS": "val/acc",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "outlast:" not in result.stderr
    return folder / "reports.jsonl"


def points(path: Path) -> list[tuple[int, float]]:
    return [(report.step, report.metrics["val/acc"]) for report in LiveReports(path, [Objective("val/acc")]).poll()]


WANDB = """
import numpy as np
import wandb
run = wandb.init(project="p")
for epoch in range(3):
    wandb.log({"loss": 1 / (epoch + 1), "val/acc": np.float32(0.5 + epoch / 8), "h": wandb.Histogram([1, 2])})
run.log({"val/acc": 0.875}, step=7)
run.summary["best"] = 0.95
run.summary.update({"nested": {"x": 1}})
wandb.finish()
"""


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_what_is_logged_to_wandb_is_reported(tmp_path: Path, mode: str) -> None:
    path = train(tmp_path, WANDB, WANDB_MODE=mode, WANDB_SILENT="true", WANDB_DIR=str(tmp_path))
    assert points(path) == [(0, 0.5), (1, 0.625), (2, 0.75), (7, 0.875)]
    assert {json.loads(line)["via"] for line in path.read_text().splitlines()} == {"wandb"}


def test_a_wandb_summary_is_a_final_score(tmp_path: Path) -> None:
    path = train(tmp_path, WANDB, WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(tmp_path))
    reader = ReportsReader(path)
    reader.poll()
    assert reader.followed.seen["best"].last == 0.95


MLFLOW = """
import mlflow
from mlflow import log_metric
with mlflow.start_run() as run:
    for epoch in range(3):
        mlflow.log_metrics({"val/acc": 0.5 + epoch / 8, "loss": 1.0}, step=epoch)
    mlflow.log_metric("val/acc", 0.875, step=7)
    mlflow.MlflowClient().log_metric(run.info.run_id, "val/acc", 0.9375, step=8)
    log_metric("val/acc", 0.96875)
"""


def test_what_is_logged_to_mlflow_is_reported(tmp_path: Path) -> None:
    path = train(
        tmp_path, MLFLOW, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db", MLFLOW_DISABLE_TELEMETRY="true"
    )
    assert points(path) == [(0, 0.5), (1, 0.625), (2, 0.75), (7, 0.875), (8, 0.9375)]
    reader = ReportsReader(path)
    reader.poll()
    assert reader.followed.seen["val/acc"].last == 0.96875
    assert {json.loads(line)["via"] for line in path.read_text().splitlines()} == {"mlflow"}
