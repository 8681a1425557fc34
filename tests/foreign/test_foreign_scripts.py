"""Training programs that know nothing of Outlast, each in a folder of its own, run as they are.

A folder holds what a user would have: a program (or none, where a package ships the entry point), a study file, and a
``make.py`` where data or models have to be generated first. Everything runs offline.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TRIALS = 2
SECONDS_ALLOWED = 300


def environment() -> dict[str, str]:
    """This process's environment with ``python`` and console scripts of the running interpreter found first."""
    binaries = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": binaries + os.pathsep + os.environ.get("PATH", "")}


def call(*argv: str, cwd: Path) -> str:
    """Run a command to its end and return what it printed; a failure shows its output."""
    done = subprocess.run(
        argv, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=SECONDS_ALLOWED, check=False
    )
    assert done.returncode == 0, f"{argv} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@dataclass(frozen=True)
class Searched:
    """What a search left: ``status --json``, ``show 0 --json``, and the folder it ran in."""

    status: dict[str, Any]
    first: dict[str, Any]
    place: Path

    @property
    def best(self) -> dict[str, Any]:
        return self.status["best"]

    def assert_complete(self, *, parameters: set[str], source: str) -> None:
        """The budget was used exactly, nothing failed, and the score came from where it was meant to."""
        assert self.status["counts"]["complete"] == TRIALS
        assert self.status["counts"]["failed"] == self.status["counts"]["remaining"] == 0
        assert math.isfinite(self.best["value"])
        assert set(self.best["params"]) == parameters
        assert self.first["events"][-1]["source"] == source


def search(folder: str, tmp_path: Path) -> Searched:
    """Copy a folder, make its data, and run the search to its end."""
    place = tmp_path / folder
    shutil.copytree(HERE / folder, place)
    if (place / "make.py").exists():
        call(sys.executable, "make.py", cwd=place)
    outlast = (sys.executable, "-m", "outlast")
    call(*outlast, "run", "study.yaml", "--dir", "result", "--trials", str(TRIALS), cwd=place)
    status = json.loads(call(*outlast, "status", "result", "--json", cwd=place))
    first = json.loads(call(*outlast, "show", "result", "0", "--json", cwd=place))
    return Searched(status, first, place)


@pytest.mark.foreign
def test_spacy_train_is_searched_through_the_table_it_prints(tmp_path: Path) -> None:
    searched = search("spacy_textcat", tmp_path)
    searched.assert_complete(parameters={"training.optimizer.learn_rate", "training.dropout"}, source="pattern")
    assert 0 <= searched.best["value"] <= 1


@pytest.mark.foreign
def test_trl_sft_is_searched_through_the_dicts_it_prints(tmp_path: Path) -> None:
    searched = search("trl_sft", tmp_path)
    searched.assert_complete(parameters={"learning_rate", "per_device_train_batch_size"}, source="output")


@pytest.mark.foreign
def test_a_lightning_cli_is_searched_through_its_csv_log(tmp_path: Path) -> None:
    searched = search("lightning_cli", tmp_path)
    searched.assert_complete(parameters={"model.lr", "model.batch_size"}, source="file")


@pytest.mark.foreign
def test_a_hydra_application_takes_key_value_arguments(tmp_path: Path) -> None:
    searched = search("hydra_app", tmp_path)
    searched.assert_complete(parameters={"optimizer.lr", "optimizer.name", "model.width"}, source="output")
    best = searched.best
    penalty = 0.0 if best["params"]["optimizer.name"] == "adam" else 0.1
    expected = (best["params"]["optimizer.lr"] - 0.01) ** 2 + 1 / best["params"]["model.width"] + penalty
    assert best["value"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.foreign
def test_what_a_hydra_application_returns_is_its_score(tmp_path: Path) -> None:
    searched = search("hydra_returns", tmp_path)
    searched.assert_complete(parameters={"optimizer.lr", "model.width"}, source="hook")
    params = searched.best["params"]
    assert searched.best["value"] == pytest.approx((params["optimizer.lr"] - 0.01) ** 2 + 1 / params["model.width"])


@pytest.mark.foreign
def test_wandb_log_is_heard_without_a_line_of_output(tmp_path: Path) -> None:
    searched = search("wandb_log", tmp_path)
    searched.assert_complete(parameters={"lr", "depth"}, source="hook")
    best = searched.best
    assert best["value"] == pytest.approx((best["params"]["lr"] - 0.1) ** 2 + 1 / (2 + best["params"]["depth"]))


@pytest.mark.foreign
def test_a_wandb_sweep_script_gets_its_configuration_without_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    searched = search("wandb_sweep", tmp_path)
    searched.assert_complete(parameters={"lr", "depth"}, source="hook")
    best = searched.best
    assert best["value"] == pytest.approx((best["params"]["lr"] - 0.1) ** 2 + 1 / (2 + best["params"]["depth"]))


@pytest.mark.slow
def test_a_shell_script_gets_values_as_they_are_written(tmp_path: Path) -> None:
    searched = search("shell_script", tmp_path)
    searched.assert_complete(parameters={"width"}, source="output")
    assert searched.best["value"] == pytest.approx(1 / (3 + searched.best["params"]["width"]), abs=1e-4)
    printed = call(sys.executable, "-m", "outlast", "logs", "result", "0", cwd=searched.place)
    assert "label is [two words; $(touch ran-in-a-shell) `touch ran-in-a-shell`]" in printed
    assert not list(searched.place.rglob("ran-in-a-shell"))


@pytest.mark.slow
def test_a_training_environment_needs_nothing_of_ours(tmp_path: Path) -> None:
    searched = search("other_environment", tmp_path)
    searched.assert_complete(parameters={"x"}, source="output")
    assert searched.best["value"] == pytest.approx((searched.best["params"]["x"] - 0.5) ** 2)
