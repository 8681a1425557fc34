"""The handwriting example: by hand, and from search to model by the commands on its page, on fewer trials and epochs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "handwriting"
pytestmark = [pytest.mark.slow, pytest.mark.foreign]


def ran(*words: str, at: Path) -> str:
    """What a program printed, which ended well."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=at, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_resumed_training_prints_what_an_uninterrupted_one_prints(tmp_path: Path) -> None:
    script, words = str(FOLDER / "train.py"), ["--arch=vit", "--loss=triplet", "--dropout=0.2"]
    whole = ran(script, *words, "--epochs=2", at=tmp_path).splitlines()
    begun = ran(script, *words, "--epochs=1", "--output=kept", at=tmp_path).splitlines()
    resumed = ran(script, *words, "--epochs=2", "--output=kept", "--resume", at=tmp_path).splitlines()
    assert resumed[0] == "resuming after epoch 1"
    assert [begun[0], *resumed[1:]] == whole
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"latest.pt", "best.pt", "final.pt"}


def test_the_commands_of_the_page_lead_from_a_search_to_a_model(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "examples" / "handwriting", ignore=shutil.ignore_patterns("__pycache__"))
    study = tmp_path / "examples" / "handwriting" / "study.yaml"
    small = {
        "trials: 16": "trials: 2",
        "epochs: {value: 10}": "epochs: {value: 2}",
        "top: 3, seeds: 4": "top: 2, seeds: 2",
    }
    text = study.read_text()
    for usual, fewer in small.items():
        assert usual in text
        text = text.replace(usual, fewer)
    study.write_text(text)
    (block,) = re.findall(r"```console\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines():
        _, program, *words = shlex.split(line)
        assert program == "outlast"
        ran("-m", "outlast", *words, at=tmp_path)
    metrics = json.loads((tmp_path / "writer" / "metrics.json").read_text())
    assert {"search", "confirm", "refit", "test"} <= set(metrics)
    assert (tmp_path / "studies" / "handwriting" / "report.html").stat().st_size > 10_000
    assert any((tmp_path / "writer").rglob("final.pt"))
