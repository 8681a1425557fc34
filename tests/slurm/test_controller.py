"""A controller on a real cluster: it keeps jobs in the queue, may die, and nothing is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lab.cluster import Cluster
from lab.slurm import SlurmLab
from lab.waiting import until
from outlast.study.lease import current_holder


def test_a_controller_keeps_eight_slots_filled(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=12, parallel=8, slurm={"mode": "controller"})
    assert "submitted the controller as job" in lab.outlast("submit", "study.yaml")
    lab.wait_done()
    assert lab.faults(trials=12, epochs=2) == []
    assert lab.most_at_once() <= 8
    assert lab.shared_cards() == []
    until(lambda: not list(lab.paths.trials.glob("*/attempts")), "everything is put away")
    attempts = {number: trial.attempts[-1] for number, trial in lab.study().trials.items()}
    assert all({"job.sh", "output.log"} <= set(os.listdir(lab.paths.trial(number).folder)) for number in attempts)
    assert f"job {attempts[3].job}" in lab.outlast("show", "studies/lab", "3")


_EPOCHS = 6


def _running(lab: SlurmLab, cluster: Cluster) -> dict[int, tuple[str, str]]:
    """Trial that trains now → its job and node."""
    listing = cluster.run("squeue", "--noheader", "--states=RUNNING", "--format=%i %N %j").splitlines()
    jobs = {name: (job, node) for job, node, name in (line.split() for line in listing)}
    ended = {line["trial"] for line in lab.audit if line["epoch"] == _EPOCHS}
    return {
        trial: jobs[f"lab_trial_{trial}"]
        for trial in {line["trial"] for line in lab.audit} - ended
        if f"lab_trial_{trial}" in jobs
    }


def _pick(lab: SlurmLab, cluster: Cluster, not_on: set[str]) -> tuple[int, str, str]:
    """A trial in the middle of its training on a node that nothing has happened to yet: trial, job, node."""
    found: list[tuple[int, str, str]] = []

    def there() -> bool:
        found[:] = [(trial, job, node) for trial, (job, node) in _running(lab, cluster).items() if node not in not_on]
        return bool(found)

    until(there, f"a trial trains on another node than {not_on}")
    return found[0]


def test_whatever_dies_the_same_trials_go_on_and_the_budget_is_exact(cluster: Cluster, tmp_path: Path) -> None:
    trials = 24
    lab = SlurmLab.make(
        tmp_path / "lab", trials=trials, epochs=_EPOCHS, parallel=8, hold=3,
        slurm={"mode": "controller", "poll": "3s"},
    )  # fmt: skip
    lab.outlast("submit", "study.yaml")
    until(lambda: len(_running(lab, cluster)) == 8, "eight trials train")

    holder = current_holder(lab.paths.ledger)
    os.kill(int(holder["pid"]), signal.SIGKILL)
    until(lambda: not [j for j in cluster.run("squeue", "-h", "-o", "%j").split() if "controller" in j], "it is gone")
    lab.outlast("submit", "study.yaml")
    until(
        lambda: current_holder(lab.paths.ledger).get("pid") not in (holder["pid"], None), "another one holds the study"
    )

    hurt: set[str] = set()
    _, _, node = _pick(lab, cluster, hurt)
    cluster.set_down(node)
    hurt.add(node)
    _, _, node = _pick(lab, cluster, hurt)
    cluster.kill_slurmd(node)
    hurt.add(node)
    _, job, node = _pick(lab, cluster, hurt)
    high = cluster.preempt(node)
    cluster.wait_for_job(high, "RUNNING", "COMPLETED")
    cluster.run("scancel", high)
    _, job, node = _pick(lab, cluster, hurt)
    cluster.suspend(job)
    assert "1 suspended" in lab.outlast("status", "studies/lab")
    cluster.stop_controller()
    cluster.start_controller()
    for node in hurt:
        cluster.bring_back(node)
    cluster.wake(job)
    lab.let_go()

    lab.wait_done(seconds=240)
    assert lab.faults(trials=trials, epochs=_EPOCHS, interruptions=8) == []
    causes = {o.cause.value for t in lab.study().trials.values() for o in t.ended}
    assert causes <= {"completed", "preempted", "lost", "stopped", "never_started"}, causes
    assert "lost" in causes or "preempted" in causes
