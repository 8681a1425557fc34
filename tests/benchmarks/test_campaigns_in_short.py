"""The benchmarks' campaigns in short: they run, and what they promise holds whatever the machine does."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import confirming
import pytest

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(tmp_path: Path, program: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> Any:
    """Run a benchmark and return the figures that it kept."""
    argv = [sys.executable, str(FOLDER / program), *arguments, "--json", str(tmp_path / "figures.json")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    return json.loads((tmp_path / "figures.json").read_text())


def test_twenty_kills_cost_no_trial_and_no_epoch_behind_a_checkpoint(tmp_path: Path) -> None:
    campaign = ("--kills", "20", "--trials", "6", "--epochs", "12", "--seconds", "0.05", "--seed", "5")
    found = run(tmp_path, "chaos.py", *campaign, "--only", "ours")["ours"]
    assert found["faults"] == []
    assert (found["struck"], found["finished"], found["numbers"], found["left"], found["hanging"]) == (20, 6, 6, 0, 0)
    assert found["needless"] == 0
    assert 0 < found["repeated"] <= 20 * 2
    assert found["epochs"] == 6 * 12 + found["repeated"]


def test_the_same_campaign_runs_over_plain_optuna(tmp_path: Path) -> None:
    campaign = ("--kills", "2", "--trials", "2", "--epochs", "6", "--seconds", "0.1", "--seed", "5")
    found = run(tmp_path, "chaos.py", *campaign, "--only", "theirs")["theirs"]
    assert found["finished"] >= 2
    assert found["epochs"] >= 12


def test_every_script_that_turns_hopeless_is_answered_while_all_report(tmp_path: Path) -> None:
    scripts, rate, seconds = 16, 20, 4
    alone, together = run(
        tmp_path, "reports.py", "--scripts", str(scripts), "--rate", str(rate), "--seconds", str(seconds), codes=(0, 1)
    )
    assert (alone["counts"]["pruned"], alone["unanswered"]) == (1, 0)
    assert together["unanswered"] == 0
    assert together["counts"]["pruned"] == together["fell"] > 0
    assert together["counts"]["complete"] == scripts - together["fell"]
    assert together["reports"] >= 0.5 * rate * seconds * together["counts"]["complete"], "reports came at their pace"


def test_a_pruner_saves_epochs_of_the_digits_example(tmp_path: Path) -> None:
    shorter = ("--seeds", "1", "--trials", "8", "--epoch", "0.1")
    ((none, asha),) = run(tmp_path, "pruning.py", *shorter, codes=(0, 1))
    assert none["complete"] == 8
    assert asha["complete"] + asha["pruned"] == 8
    assert asha["pruned"] > 0
    assert asha["epochs"] < none["epochs"]


def test_a_sampler_that_is_taught_keeps_away_from_what_cannot_run(tmp_path: Path) -> None:
    found = run(tmp_path, "failure_feedback.py", "--trials", "60", "--seeds", "2", "tpe")
    assert set(found) == {"30% cannot run", "half diverges"}
    for figures in found.values():
        assert figures["tpe"]["taught"] < 0.7 * figures["tpe"]["left_out"]


def test_a_controller_that_refills_its_slots_keeps_them_busy_and_batches_do_not(tmp_path: Path) -> None:
    found = run(tmp_path, "slots.py", "--simulated", "--mean", "60", "--trials", "64")
    assert {way: one["complete"] for way, one in found.items()} == {"refilling": 64, "barrier": 64}
    assert found["refilling"]["utilisation"] >= 0.95
    assert found["barrier"]["utilisation"] < 0.75 * found["refilling"]["utilisation"]
    assert found["refilling"]["seconds"] < found["barrier"]["seconds"]


def test_what_fresh_seeds_rank_first_is_truly_better_where_the_best_score_was_luck() -> None:
    found = confirming.measure(
        partial(confirming.simulated, trials=50, noise=0.3, shared=0.3), studies=60, seeds=10, seed=3, racing=True
    )
    assert found.misled == 60
    assert found.better >= 0.8 * 60
    assert found.runs < 60 * 50


def test_two_searches_share_slots_whatever_their_trials_take(tmp_path: Path) -> None:
    """The shares themselves are held by values (tests/sharing); here, that real coordinators come to them within a few trials."""
    found = run(tmp_path, "sharing.py", "--only", "equal", "--seconds", "8", codes=(0, 1))["equal"]
    assert abs(found["shares"]["a"] - found["shares"]["b"]) < 0.3
    assert found["busy"] > 0.7
