"""How busy a controller keeps the slots of a real cluster: refilled one by one, and by whole batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.alone]
TRIAL = 40.0  # seconds; what a slot stands empty between two trials does not depend on it, so shorter ones are run here
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "slots.py"


def test_refilled_slots_are_busy_and_batches_wait_for_their_longest(slurm_installed: None, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    load = ("--trials", "24", "--mean", "8", "--sigma", "0.8", "--slots", "8", "--seed", "35")
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), *load, "--json", str(figures)], capture_output=True, text=True, check=False
    )
    print(f"\n{done.stdout}")
    assert figures.exists(), done.stdout + done.stderr
    found = json.loads(figures.read_text())
    assert {way: one["complete"] for way, one in found.items()} == {"refilling": 24, "barrier": 24}
    assert TRIAL / (TRIAL + found["refilling"]["idle"]) >= 0.95
    assert found["barrier"]["utilisation"] < 0.75 * found["refilling"]["utilisation"]
    assert found["refilling"]["seconds"] < found["barrier"]["seconds"]
