"""No slurmctld for longer than anybody's patience: trainings run on, and whoever needed it waits and goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.cluster import Cluster
from lab.slurm import SlurmLab
from lab.waiting import until
from outlast.core.states import TrialState

PATIENCE = 40.0  # seconds without a heartbeat; half of it is for the scheduler to say how a job ended
OUTAGE = 25.0


def finished(lab: SlurmLab) -> int:
    return len(lab.study().in_state(TrialState.COMPLETE))


def test_a_long_time_without_slurmctld_costs_neither_a_trial_nor_an_epoch(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAST_SILENT_SECONDS", str(PATIENCE))  # a job takes it over from whoever submits it
    steps, trials = {"epochs": 4, "hold": 2}, 8
    slots = SlurmLab.make(
        tmp_path / "slots", trials=trials, parallel=3, slurm={"mode": "controller", "poll": "3s"}, **steps
    )
    array = SlurmLab.make(tmp_path / "array", trials=trials, parallel=3, slurm={"trials_per_task": 2}, **steps)
    for lab in (slots, array):
        lab.outlast("submit", "study.yaml")
    for lab in (slots, array):
        for trial in range(3):
            lab.wait_for_epoch(trial, 2)

    began = time.monotonic()
    cluster.stop_controller()
    for lab in (slots, array):
        said = lab.outlast("status", "studies/lab")
        assert "no answer from SLURM" in said and "3 running" in said
        lab.let_go()
    until(lambda: finished(slots) >= 3 and finished(array) >= 3, "trainings end, and their ends are noticed")
    time.sleep(max(0.0, began + OUTAGE - time.monotonic()))
    before = finished(slots)
    assert before == 3, "a controller has nowhere to submit the next ones to"
    cluster.start_controller()

    for lab in (slots, array):
        lab.wait_done()
        assert lab.faults(trials=trials, epochs=4) == []
        assert {o.cause.value for t in lab.study().trials.values() for o in t.ended} == {"completed"}
    until(lambda: not cluster.jobs(), "the queue is empty")
