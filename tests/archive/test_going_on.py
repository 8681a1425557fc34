"""Study folders of earlier versions go on: those that hold their training are run once more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ENTRIES = sorted(path.parent.name for path in HERE.glob("*/train.py"))
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("entry", ENTRIES)]


def test_it_goes_on_with_one_more_trial_and_repeats_none(entry: str, tmp_path: Path) -> None:
    folder = _unpacked(entry, tmp_path)
    before, records = _status(folder), _records(folder)
    more = before["target"] + 1
    _outlast(folder, "run", str(folder), "--trials", str(more))
    after = _status(folder)
    assert after["state"] == "done"
    assert sum(after["counts"][state] for state in ("complete", "pruned", "infeasible")) == more
    now = _records(folder)
    assert {name: now[name] for name in records} == records
    assert "nothing is wrong" in _outlast(folder, "repair", str(folder), "--check")


def _unpacked(entry: str, place: Path) -> Path:
    """The study where it was run: ``studies/NAME`` beside its training."""
    for name in ("study.yaml", "train.py"):
        shutil.copy(HERE / entry / name, place / name)
    folder = place / "studies" / entry
    shutil.copytree(HERE / entry / "study", folder, symlinks=True)
    return folder


def _outlast(folder: Path, *arguments: str) -> str:
    place = folder.parent.parent
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "outlast", *arguments]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _status(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(_outlast(folder, "status", str(folder), "--json"))
    return status


def _records(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in sorted(folder.glob("trials/*/trial.json"))}
