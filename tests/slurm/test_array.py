"""Arrays on a real cluster: tasks that coordinate themselves, and a finisher."""

from __future__ import annotations

from pathlib import Path

from cluster import Cluster
from slurm_lab import SlurmLab


def test_an_array_runs_the_budget_exactly_each_trial_on_a_card_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=24, parallel=6)
    said = lab.outlast("submit", "study.yaml")
    assert "submitted 24 tasks as array" in said
    lab.wait_done()
    assert lab.faults(trials=24, epochs=2) == []
    assert lab.most_at_once() <= 6
    assert lab.shared_cards() == []
    again = lab.outlast("submit", "study.yaml")
    assert "submitted" not in again
    assert "all 24 trials are finished" in again
