"""A run's first lines say where it is sent, without what is secret in it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from outlast.cli.looking.mlflow_studies import _parts
from outlast.cli.running.tracked_where import tracked_where
from outlast.config.load import settings_from_resolved
from outlast.tracking.mlflow_find import FoundStudy

STUDY = {
    "name": "ner", "command": ["true", "${args}"], "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": [1, 2], "backbone": "distilbert"}, "budget": {"trials": 2},
}  # fmt: skip


@pytest.mark.parametrize(
    ("tracking", "said"),
    [
        (None, []),
        ({"mlflow": {"uri": "http://tracker:5000"}}, ["MLflow http://tracker:5000, experiment ner-hpo-distilbert"]),
        (
            {"mlflow": {"uri": "https://${WHO}:${WORD}@tracker/a", "experiment": "mine"}},
            ["MLflow https://tracker/a, experiment mine"],
        ),
        ({"mlflow": {"uri": "https://me:p@ss@tracker/a", "experiment": "mine"}}, ["MLflow https://tracker/a, experiment mine"]),
        ({"mlflow": {"uri": "sqlite:////a/mlflow.db"}}, ["MLflow sqlite:////a/mlflow.db, experiment ner-hpo-distilbert"]),
        ({"azure_ml": {"workspace_name": "ws"}}, ["Azure ML workspace ws, experiment ner-hpo-distilbert"]),
        (
            {"wandb": {"project": "p", "entity": "us", "mode": "offline"}, "tensorboard": {"dir": "runs"}},
            ["W&B project p, entity us, offline", "TensorBoard runs"],
        ),
        (["tensorboard", "my.trackers.Mine"], ["TensorBoard studies/ner/tensorboard/", "my.trackers.Mine"]),
    ],
)  # fmt: skip
def test_each_tracker_is_a_line(tracking: object, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "swordfish")
    settings = settings_from_resolved({**STUDY, "tracking": tracking}, os.getcwd())
    rows = tracked_where(settings, "studies/ner")
    assert [text.removesuffix(" (sent behind the run)") for _, text in rows] == said
    assert [label for label, _ in rows] == ["tracking", *[""] * len(said)][: len(said)]


def test_no_tracker_is_loaded_for_it() -> None:
    code = f"""
import os, sys
from outlast.cli.running.tracked_where import tracked_where
from outlast.config.load import settings_from_resolved
study = {{**{STUDY!r}, "tracking": ["mlflow", "wandb", "tensorboard", "a.B"]}}
assert len(tracked_where(settings_from_resolved(study, os.getcwd()), "x")) == 4
assert not {{"mlflow", "wandb", "tensorboard"}} & {{*sys.modules}}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_a_foreign_server_says_of_a_state_changes_no_terminal() -> None:
    words = dict.fromkeys(("name", "experiment", "run_id", "backbone", "checkpoint_path", "folder", "metric"), "x")
    found = FoundStudy(**words, state="do\x1b[31mne", best=None, trials=0, completed=0, began=0.0, is_here=False)
    assert "\x1b" not in _parts(found)[0].text.plain  # type: ignore[union-attr]
