"""A small search that is over, copied for each test, and the command line in this process."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.followup.models import FOR_GOOD, HOW, PYTHON, TEST

from outlast.cli.main import run_cli

#: Scores by x, with a noise that the seed decides; each run leaves a line.
TRAIN = """\
import os, random, sys
x, seed = float(sys.argv[1].split("=")[1]), int(os.environ["OUTLAST_SEED"])
with open("audit.txt", "a") as file:
    file.write(f"{x} {seed} {os.environ.get('OUTLAST_FOLD', '')}\\n")
if os.path.exists("broken"):
    raise ValueError("broken")
noise = 0.0 if os.path.exists("deaf") else random.Random(seed).gauss(0, 0.05)
print(f"score={1 - (x - 0.3) ** 2 + noise:.6f}")
"""
STUDY: dict[str, Any] = {
    "name": "small",
    "command": [sys.executable, "-S", "-E", "train.py", "${args}"],
    "metric": {"name": "score", "goal": "maximize", "target": 5.0},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "budget": {"trials": 5},
    "sampler": {"name": "random", "seed": 1},
    "parallel": 2,
    "pruner": "median",
    "enqueue": [{"x": 0.3}],
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("search")
    (place / "train.py").write_text(TRAIN)
    (place / "study.yaml").write_text(json.dumps(STUDY))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run_cli(["run", "study.yaml"]) == 0
    return place


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the search's user; the search is in ``studies/small``."""
    place = tmp_path / "here"
    shutil.copytree(finished, place, symlinks=True)
    os.unlink(place / "audit.txt")
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="session")
def refitted(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("refitted") / "here"
    shutil.copytree(finished, place, symlinks=True)
    (place / "forgood.py").write_text(FOR_GOOD)
    (place / "test.py").write_text(TEST)
    study = json.loads((place / "study.yaml").read_text())
    study |= {"refit": {"command": [*PYTHON, "forgood.py", "${args}"], "seeds": 2}, "evaluate": HOW}
    (place / "study.yaml").write_text(json.dumps(study))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run_cli(["refit"]) == 0
    return place
