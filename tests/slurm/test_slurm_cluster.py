"""The cluster that the other tests stand on does what they count on."""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab.cluster import Cluster
from lab.waiting import until


def test_four_tasks_get_four_gpus(cluster: Cluster) -> None:
    job = cluster.sbatch("--gpus=1", "--array=0-3", command='echo "$SLURMD_NODENAME:$CUDA_VISIBLE_DEVICES"; sleep 600')
    places = set()
    for task in range(4):
        cluster.wait_for_job(f"{job}_{task}", "RUNNING")
        output = Path(f"{cluster.folder}/job.{job}_{task}.out")
        until(lambda output=output: output.exists() and output.read_text().endswith("\n"), lambda: "no output")
        places.add(output.read_text().strip())
    assert len(places) == 4 and all(place.split(":")[1] in ("0", "1") for place in places)


def test_a_job_is_preempted_and_starts_again_when_it_is_released(cluster: Cluster) -> None:
    job = cluster.sbatch("--gpus=1")
    node = cluster.wait_for_job(job, "RUNNING")["NodeList"]
    thief = cluster.preempt(node)
    cluster.wait_for_job(thief, "RUNNING")
    assert cluster.wait_for_job(job, "PENDING")["Restarts"] == "1"
    cluster.release(job)
    assert cluster.wait_for_job(job, "RUNNING")["NodeList"] != node


def test_a_job_outlives_its_slurmd_and_the_controller(cluster: Cluster, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    job = cluster.sbatch(command=f"while :; do echo x >> {ticks}; sleep 0.1; done")
    node = cluster.wait_for_job(job, "RUNNING")["NodeList"]
    until(
        ticks.exists, lambda: "the job does not run"
    )  # the controller calls it running before its slurmd has begun it
    cluster.kill_slurmd(node)
    cluster.stop_controller()
    before = ticks.stat().st_size
    until(lambda: ticks.stat().st_size > before, lambda: "the job died with its slurmd")
    cluster.start_controller()
    cluster.set_down(node)
    cluster.wait_for_job(job, "PENDING")
    cluster.reset()
    after = ticks.stat().st_size
    assert not cluster.jobs() and not _processes_of(cluster)
    assert ticks.stat().st_size == after


def _processes_of(cluster: Cluster) -> list[str]:
    """Names of what runs for the jobs of the cluster."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (place / "comm").read_text().strip()
            if cluster.env["SLURM_CONF"].encode() in (place / "environ").read_bytes():
                found.append(name)
    return [name for name in found if name not in ("slurmctld", "slurmd", "slurmscriptd")]


def test_a_job_stops_and_goes_on(cluster: Cluster) -> None:
    job = cluster.sbatch()
    cluster.wait_for_job(job, "RUNNING")
    cluster.suspend(job)
    cluster.wait_for_job(job, "SUSPENDED")
    cluster.wake(job)
    cluster.wait_for_job(job, "RUNNING")
