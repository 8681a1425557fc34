"""Kill -9 in the middle of refit, evaluate and export: the same command finishes it, and nothing counts twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.followup.models import SEARCH

pytestmark = pytest.mark.slow
SEED = 7
POINTS = 1  # of each command; KILLS=20 tries more


def command(place: Path, *words: str, faults: dict | None = None) -> int:
    """The exit code of a command of its own, with what is to happen to it."""
    env = {**os.environ, "COLUMNS": "80"}
    if faults is not None:
        env |= {
            "OUTLAST_FAULTS": json.dumps({"role": "coordinator", **faults}),
            "OUTLAST_OBSERVER": "outlast.testing.fault_injection:install_from_environment",
        }
    words = (sys.executable, "-m", "outlast", *words)
    return subprocess.run(words, cwd=place, env=env, timeout=120, capture_output=True, check=False).returncode


def operations(place: Path, *words: str) -> int:
    """How many file operations an undisturbed command has."""
    record = place / "operations.jsonl"
    assert command(place, *words, faults={"record": str(record)}) == 0
    pids = [json.loads(line)["pid"] for line in record.read_text().splitlines()]
    return pids.count(pids[0])


def kept(place: Path) -> None:
    """A refit is one training with its model."""
    facts = json.loads((place / SEARCH / "refit/refit.json").read_text())
    assert [(each["trial"], each["state"]) for each in facts["trainings"]] == [(0, "complete"), (1, "complete")]
    assert all((place / SEARCH / "refit" / each["model"]).is_file() for each in facts["trainings"])
    assert len(list((place / SEARCH / "refit/trials").glob("0*"))) == 2


def counted(place: Path) -> None:
    """A look is one look, at each model once."""
    facts = json.loads((place / SEARCH / "evaluate/evaluation.json").read_text())
    assert facts["looked"] == 1
    assert [len(look["models"]) for look in facts["looks"]] == [2]
    assert command(place, "evaluate") == 2


def whole(place: Path) -> None:
    """An export is there under its name and nothing beside it."""
    folder = place / SEARCH / "export"
    assert json.loads((folder / "export.json").read_text())["mark"]
    assert (folder / "model/last.pkl").is_file() and (folder / "run.sh").is_file()
    assert [each.name for each in (place / SEARCH).iterdir() if each.name.startswith(".export")] == []


def without(*parts: str) -> Callable[[Path, Path], Path]:
    """A copy of the folder in which these follow-ups were not begun."""

    def copied(source: Path, target: Path) -> Path:
        shutil.copytree(source, target, symlinks=True)
        for part in parts:
            shutil.rmtree(target / SEARCH / part, ignore_errors=True)
        return target

    return copied


@pytest.mark.parametrize(
    ("word", "begun", "holds"),
    [("refit", "refit", kept), ("evaluate", "evaluate", counted), ("export", "export", whole)],
)
def test_the_same_command_finishes_what_was_killed(
    word: str,
    begun: str,
    holds: Callable[[Path], None],
    refitted: Path,
    tmp_path: Path,
) -> None:
    copied = without(begun)
    many = operations(copied(refitted, tmp_path / "whole"), word)
    points = sorted(random.Random(SEED).sample(range(1, many + 1), int(os.environ.get("KILLS", POINTS))))
    print(f"seed {SEED}: killed at {points} of {many} operations")
    for point in points:
        place = copied(refitted, tmp_path / str(point))
        code = command(place, word, faults={"kill_at": point})
        assert code in (-signal.SIGKILL, 0), (point, code)  # 0: it had fewer operations this time
        if not (word == "evaluate" and code == 0):  # then it was told, and would be looked again
            assert command(place, word) == 0, point
        holds(place)
