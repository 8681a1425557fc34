"""Arrays on a real cluster: tasks that coordinate themselves, and a finisher."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lab.cluster import NODES, Cluster
from lab.slurm import SlurmLab
from lab.waiting import until


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


def test_stop_cancels_our_waiting_tasks_only_and_submit_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=10, epochs=4, parallel=4, hold=2)
    other = cluster.sbatch("--job-name=theirs", "--hold")
    lab.outlast("submit", "study.yaml")
    for trial in range(4):  # tasks of different nodes: none waits for another
        lab.wait_for_epoch(trial, 2)
    status = json.loads(lab.outlast("status", "studies/lab", "--json"))
    assert status["state"] == "running"
    assert {"array", "finisher"} <= {job["role"] for job in status["jobs"]}
    assert all(trial["node"] in NODES and trial["job"] for trial in status["running"])
    assert "on n" in lab.outlast("status", "studies/lab")
    assert "epoch 0" in lab.outlast("logs", "studies/lab", "2")
    assert "is stopping" in lab.outlast("stop", "studies/lab")
    until(lambda: set(cluster.jobs()) == {other}, "only the job that is not ours is left")
    assert lab.state() == "stopped"
    stopped = lab.outlast("status", "studies/lab")
    assert "outlast submit studies/lab" in stopped
    lab.let_go()
    lab.outlast("submit", "studies/lab")
    lab.wait_done()
    assert lab.faults(trials=10, epochs=4, interruptions=4) == []
    assert cluster.show(other)["JobState"] == "PENDING"


def test_tasks_that_are_cancelled_requeued_or_preempted_cost_an_epoch_each(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=8, epochs=4, parallel=6, hold=2)
    lab.outlast("submit", "study.yaml")
    for trial in range(6):
        lab.wait_for_epoch(trial, 2)
    jobs = {t.number: (t.attempts[0].job, t.attempts[0]) for t in lab.study().trials.values() if t.attempts}
    cluster.run("scancel", jobs[0][0])
    cluster.requeue(jobs[1][0])
    node = next(line["node"] for line in lab.audit if line["trial"] == 2)
    high = cluster.preempt(node)
    cluster.wait_for_job(high, "RUNNING", "COMPLETED")
    cluster.run("scancel", high)
    lab.let_go()
    lab.wait_done()
    assert lab.faults(trials=8, epochs=4, interruptions=6) == []
    causes = {t.number: [o.cause.value for o in t.ended] for t in lab.study().trials.values()}
    assert causes[0][-1] == causes[1][-1] == "completed"
    assert causes[0][0] == "stopped", causes
    assert causes[1][0] in ("preempted", "lost"), causes


def test_a_script_that_cannot_work_halts_the_study_and_empties_the_queue(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=40, parallel=2)
    lab.write(command=[sys.executable, "-c", "raise ValueError('no such backbone')", "${args}"])
    lab.outlast("submit", "study.yaml")
    until(lambda: lab.folder.exists() and lab.state() == "halted", "the study is halted")
    until(lambda: not cluster.jobs(), "the queue is empty")
    assert len(lab.study().trials) < 8
    assert "no such backbone" in lab.outlast("show", "studies/lab", "failures")
    assert lab.outlast("status", "studies/lab", "--check", code=1)


def test_an_array_on_scratch_brings_home_what_must_not_be_lost(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, parallel=4, slurm={"scratch": str(tmp_path / "scratch")})
    lab.outlast("submit", "study.yaml")
    lab.wait_done()  # by the ledger at home
    until(lambda: not cluster.jobs(), "the finisher is over")
    assert {"trials.csv", "best_config.yaml", "study.db", "ledger", "live"} <= {p.name for p in lab.folder.iterdir()}
    assert json.loads(lab.outlast("status", "studies/lab", "--json"))["counts"]["complete"] == 4
    live = (lab.folder / "live").resolve()
    assert live.is_relative_to(tmp_path / "scratch") and (live / "jobs").is_dir()
    assert "submitted" not in lab.outlast("submit", "study.yaml")
