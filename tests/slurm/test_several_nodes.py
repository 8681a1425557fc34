"""A trial on several nodes: its ranks stop and go on together."""

from __future__ import annotations

import sys
from pathlib import Path

from lab.cluster import Cluster
from lab.slurm import SlurmLab
from lab.study import TRAININGS
from lab.waiting import until


def test_all_ranks_of_a_preempted_trial_stop_and_resume_together(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(
        tmp_path / "lab", trials=2, parallel=1,
        slurm={
            "nodes": 2, "ntasks": 2, "ntasks_per_node": 1, "srun": ["--job-name=ranks"], "gpus_per_node": 1, "cpus_per_task": 2,
        },
    )  # fmt: skip
    lab.write(
        command=[
            sys.executable, "-S", "-E", str(TRAININGS / "ranks.py"), "${args}",
            "--audit", str(tmp_path / "lab" / "audit.jsonl"), "--checkpoint-dir", "${checkpoint_dir}",
        ]
    )  # fmt: skip
    lab.outlast("submit", "study.yaml")
    until(lambda: {line["rank"] for line in lab.audit if line["epoch"] == 1} == {0, 1}, "both ranks train")
    first = {line["node"] for line in lab.audit}
    assert len(first) == 2
    assert all("TresPerTask=cpu:2" in line["step"] for line in lab.audit), lab.audit[0]["step"]
    assert all("Name=ranks" in line["step"] for line in lab.audit), "srun's own arguments reach it"
    high = cluster.preempt(sorted(first)[1])  # the node of the second rank
    cluster.wait_for_job(high, "RUNNING", "COMPLETED")
    cluster.run("scancel", high)
    lab.wait_done()
    assert [t.state.value for t in lab.study().trials.values()] == ["complete", "complete"]
    attempts = [o.cause.value for o in lab.study().trials[0].ended]
    assert attempts == ["preempted", "completed"], attempts
    for rank in (0, 1):
        epochs = [line["epoch"] for line in lab.audit if line["trial"] == 0 and line["rank"] == rank]
        assert sorted(set(epochs)) == list(range(6))
        assert len(epochs) <= 7, epochs  # one epoch may be begun again
    later = [line["epoch"] for line in lab.audit if line["trial"] == 0 and line["attempt"] == 2]
    assert min(later) >= 1
