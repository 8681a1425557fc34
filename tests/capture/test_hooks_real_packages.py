"""What unchanged scripts log to the real Weights & Biases and MLflow, offline, and return to the real Hydra."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.reports import ReportsReader
from outlast.runner.hooks import hooks_path

pytestmark = pytest.mark.slow  # the packages take seconds to import


def train(tmp_path: Path, code: str, *arguments: str, said: str = "", fails: bool = False, **env: str) -> Path:
    """Run an unchanged script as a training, in which we say so much. Returns its ``reports.jsonl``."""
    folder = tmp_path / "trial" / "attempts" / "1"
    folder.mkdir(parents=True)
    (tmp_path / "train.py").write_text(code)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "WANDB_", "MLFLOW_"))}
    result = subprocess.run(
        [sys.executable, "train.py", *arguments],
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
    assert result.returncode == int(fails), result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("outlast:")] == ([said] if said else [])
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


HYDRA = """
import hydra
import numpy as np
@hydra.main(version_base=None, config_path=None, config_name=None)
def main(config):
    return {returned}
main()
"""


@pytest.mark.parametrize(
    ("returned", "objectives", "expected", "said"),
    [
        ("0.5", "val/acc", {"val/acc": 0.5}, ""),
        ("np.float32(0.5)", "val/acc", {"val/acc": 0.5}, ""),
        ("0.5, 2", "val/acc,size", {"val/acc": 0.5, "size": 2.0}, ""),
        ("dict(size=2, sub=dict(acc=0.5))", "size,sub.acc", {"size": 2.0, "sub.acc": 0.5}, ""),
        ("None", "val/acc", {}, ""),
        ("'text'", "val/acc", {}, ""),
        (
            "0.5, 2",
            "val/acc",
            {},
            "outlast: the main function returned 2 values, 2 of them numbers, for the objectives val/acc",
        ),
    ],
)
def test_what_a_hydra_main_function_returns_is_a_final_score(
    tmp_path: Path, returned: str, objectives: str, expected: dict[str, float], said: str
) -> None:
    path = train(tmp_path, HYDRA.replace("{returned}", returned), said=said, OUTLAST_METRICS=objectives)
    reader = ReportsReader(path)
    reader.poll()
    assert reader.followed.seen.last_values() == expected


def test_of_a_hydra_sweep_in_one_trial_the_last_job_counts_and_an_error_passes_through(tmp_path: Path) -> None:
    sweep = train(tmp_path / "sweep", HYDRA.replace("{returned}", "float(config.x)"), "-m", "+x=1,2")
    reader = ReportsReader(sweep)
    reader.poll()
    assert reader.followed.seen["val/acc"].last == 2.0
    failing = HYDRA.replace("return {returned}", "raise ValueError('theirs')")
    assert not train(tmp_path / "failed", failing, fails=True).exists()
