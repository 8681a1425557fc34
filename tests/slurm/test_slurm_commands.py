"""Our calls of SLURM's commands, answered by a real SLURM."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.cluster import Cluster, running_cluster
from lab.waiting import until
from outlast._system.job_environment import ENDS_IN, KILL_WAIT
from outlast.core.evidence import JobEnd
from outlast.errors import SlurmRefused, SlurmUnavailable
from outlast.executors.slurm.cluster_facts import Limits
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job, JobLife, Sightings, life_of

Submit = Callable[..., str]


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Submits a script as Outlast does."""

    def of(*arguments: str, command: str = "sleep 600") -> str:
        script = tmp_path / "job.sh"
        script.write_text(f"#!/bin/bash\n#SBATCH --output=/dev/null\nexec {command}\n")
        return Slurm().submit(str(script), arguments)

    return of


@pytest.fixture(scope="module")
def accounted_cluster(slurm_installed: None) -> Iterator[Cluster]:
    """Accounting, a short memory, small limits, whole nodes for each job, and clients that give up soon."""
    with running_cluster(
        accounting=True, partition="OverSubscribe=EXCLUSIVE MaxTime=60 DefaultTime=10",
        extra="MinJobAge=2\nMaxArraySize=11\nMessageTimeout=4",
    ) as started:  # fmt: skip
        yield started


@pytest.fixture
def accounted(accounted_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("SLURM_CONF", accounted_cluster.env["SLURM_CONF"])
    yield accounted_cluster
    accounted_cluster.reset()


def listed(job: str) -> Job | None:
    return next((found for found in Slurm().jobs() if found.id == job), None)


def test_one_listing_tells_everything_about_our_jobs(cluster: Cluster, submit: Submit) -> None:
    array = submit("--array=0-2,7%1", "--job-name=é|b, c=d", "--comment=attempt\n0007.2|", "--time=30")
    cluster.wait_for_job(f"{array}_0", "RUNNING")
    held = submit("--hold", "--partition=high")
    jobs = {job.id: job for job in Slurm().jobs()}
    assert {f"{array}_{task}" for task in (0, 1, 2, 7)} | {held} <= set(jobs)
    first, last = jobs[f"{array}_0"], jobs[f"{array}_7"]
    assert (first.array, first.task, first.life, first.restarts) == (array, 0, JobLife.RUNNING, 0)
    assert first.node in ("n1", "n2", "n3", "n4") and first.name == "é|b, c=d" and first.comment == "attempt\n0007.2|"
    assert first.starts is not None and abs(first.starts - time.time()) < 60 and first.ends == first.starts + 1800
    assert (last.life, last.reason, last.node) == (JobLife.WAITING, "JobArrayTaskLimit", "")
    assert (jobs[held].reason, jobs[held].comment, jobs[held].task) == ("JobHeldUser", "", None)
    Slurm().cancel([f"{array}_0", f"{array}_7", "4711"])
    assert listed(f"{array}_2") is not None
    until(
        lambda: (job := listed(f"{array}_0")) is not None and job.state == "CANCELLED", lambda: f"{Slurm().jobs()}", 30
    )


def test_a_job_is_found_by_the_id_that_it_calls_itself(cluster: Cluster, submit: Submit) -> None:
    array = submit("--array=3-4")
    raw = cluster.wait_for_job(f"{array}_3", "RUNNING")["JobId"]
    job = Slurm().job(raw)
    assert (
        job is not None and (job.id, job.life) == (f"{array}_3", JobLife.RUNNING) and job == Slurm().job(f"{array}_3")
    )
    assert Slurm().job("4711") is None


def test_what_a_job_finds_in_its_environment_does_not_change_the_next_one(
    cluster: Cluster, submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        "SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "9999999", "SBATCH_PARTITION": "nowhere", "SQUEUE_STATES": "FAILED",
        "SQUEUE_FORMAT": "%i", "SLURM_TIME_FORMAT": "relative", "SLURM_CPUS_PER_TASK": "77",
        ENDS_IN: "60", KILL_WAIT: "9",
    }  # fmt: skip
    with monkeypatch.context() as inside:
        for key, value in variables.items():
            inside.setenv(key, value)
        job = submit(command=f"sh -c 'env >{tmp_path}/env.new; mv {tmp_path}/env.new {tmp_path}/env; sleep 600'")
        until(lambda: (seen := listed(job)) is not None and seen.life is JobLife.RUNNING, lambda: f"{listed(job)}")
        seen = listed(job)
        assert seen is not None and seen.starts is not None
    assert (cluster.show(job)["Partition"], cluster.show(job)["CPUs/Task"]) == ("gpu", "1")
    until((tmp_path / "env").exists, lambda: "the job does not run")
    found = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "PATH" in found and not found & {ENDS_IN, KILL_WAIT, "SRUN_CPUS_PER_TASK"}, (
        "they are of the job that submits"
    )


@pytest.mark.parametrize(
    "asked",
    ["partition=nope", "array=0-2000", "gpus=99", "nope", "time=abc", "mem=99999G", "constraint=nope", "gres=nope:1"],
)
def test_a_mistake_is_told_in_slurms_words(cluster: Cluster, submit: Submit, asked: str) -> None:
    with pytest.raises(SlurmRefused, match="sbatch: ") as caught:
        submit(f"--{asked}")
    assert not caught.value.limit and len(caught.value.fact) > 20


def test_a_requeued_job_waits_for_its_next_start_under_its_id(cluster: Cluster, submit: Submit) -> None:
    job = submit("--comment=kept")
    cluster.wait_for_job(job, "RUNNING")
    sightings = Sightings()
    assert Slurm().requeue(job) and not Slurm().requeue("4711")
    until(lambda: (seen := listed(job)) is not None and seen.life is JobLife.WAITING, lambda: f"{listed(job)}")
    sightings.take(Slurm().jobs(), [job])
    last = sightings.last(job)
    assert last is not None and (last.restarts, last.comment) == (1, "kept") and not sightings.certainly_over(job)


def test_why_a_job_ended_is_seen_while_slurm_remembers_it(cluster: Cluster, submit: Submit) -> None:
    ended = {
        submit(command="true"): JobEnd.UNTOLD,
        submit(command="false"): JobEnd.UNTOLD,
        (cancelled := submit()): JobEnd.CANCELLED,
        (lost := submit("--no-requeue")): JobEnd.HOST_LOST,
        (taken := submit("--no-requeue", "--exclusive")): JobEnd.PREEMPTED,
    }
    nodes = {job: cluster.wait_for_job(job, "RUNNING")["NodeList"] for job in (cancelled, lost, taken)}
    Slurm().cancel([cancelled])
    thief = cluster.preempt(nodes[taken])
    cluster.wait_for_job(thief, "RUNNING")
    cluster.set_down(nodes[lost])
    sightings = Sightings()

    def all_over() -> bool:
        sightings.take(Slurm().jobs(), ended)
        return all(sightings.certainly_over(job) for job in ended)

    until(all_over, lambda: f"{[sightings.last(job) for job in ended]}")
    assert {job: sightings.last(job).end for job in ended} == ended


def test_every_state_that_this_slurm_knows_is_in_our_table(cluster: Cluster) -> None:
    asked = subprocess.run(["squeue", "--states=bogus"], capture_output=True, text=True, check=False)
    names = asked.stderr.rpartition("include:")[2].strip().split(",")
    assert {"PENDING", "RUNNING", "OUT_OF_MEMORY"} <= set(names)
    assert {name for name in names if life_of(name) is JobLife.UNKNOWN} <= {"REVOKED"}


def test_five_hundred_waiting_jobs_are_one_cheap_query(cluster: Cluster, submit: Submit) -> None:
    submit("--hold", "--array=0-499")
    began = time.process_time()
    assert len([job for job in Slurm().jobs() if job.life is JobLife.WAITING]) == 500
    assert time.process_time() - began < 0.5


def test_nodes_that_may_not_submit_are_no_limit(
    cluster: Cluster, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{cluster.refusing_sbatch(everywhere=True)}:{os.environ['PATH']}")
    with pytest.raises(SlurmRefused, match="permission denied") as caught:
        submit()
    assert not caught.value.limit


def test_partitions_are_read(cluster: Cluster) -> None:
    gpu, high = Slurm().partitions()
    assert (gpu.name, gpu.default, gpu.up, gpu.max_time_s, gpu.exclusive, gpu.preempt_mode, gpu.nodes) == (
        "gpu", True, True, None, False, "REQUEUE", 4,
    )  # fmt: skip
    assert (high.name, high.default, high.preempt_mode, high.submit_from) == ("high", False, "OFF", "ALL")


def test_a_cluster_without_accounting_is_asked_no_accounts(cluster: Cluster) -> None:
    slurm = Slurm()
    assert not slurm.has_accounting() and slurm.past(["1"]) == [] and slurm.limits() == Limits()


def test_limits_pass_and_are_known_before(accounted: Cluster, submit: Submit) -> None:
    accounted.limit_submissions(20)
    try:
        assert Slurm().limits().submitted == 20
        jobs = [submit("--hold", "--array=0-9"), submit("--hold", "--array=0-9")]
        with pytest.raises(SlurmRefused, match="AssocMaxSubmitJobLimit") as caught:
            submit("--hold")
        assert caught.value.limit
        Slurm().cancel([f"{jobs[0]}_3"])
        submit("--hold")
    finally:
        accounted.limit_submissions(None)
    assert Slurm().limits().submitted is None
    with pytest.raises(SlurmRefused, match="Invalid job array") as caught:
        submit("--array=0-11")
    assert not caught.value.limit and Slurm().config()["MaxArraySize"] == "11"
    gpu = Slurm().partitions()[0]
    assert gpu.exclusive and (gpu.max_time_s, gpu.default_time_s) == (3600.0, 600.0)


def test_a_partition_in_maintenance_is_waited_for(accounted: Cluster, submit: Submit) -> None:
    accounted.run("scontrol", "update", "PartitionName=gpu", "State=DRAIN")
    try:
        with pytest.raises(SlurmRefused, match="not available") as caught:
            submit()
        assert caught.value.limit and not Slurm().partitions()[0].up
    finally:
        accounted.run("scontrol", "update", "PartitionName=gpu", "State=UP")


def test_a_purged_job_is_missing_and_accounting_knows_why_it_ended(accounted: Cluster, submit: Submit) -> None:
    slurm, sightings = Slurm(), Sightings()
    failed, cancelled = submit(command="false"), submit("--array=5")
    task = f"{cancelled}_5"
    accounted.wait_for_job(task, "RUNNING")
    slurm.cancel([task])
    never = submit("--hold")
    slurm.cancel([never])  # never started: no accounting remembers more than that
    awaited = [failed, task]
    until(lambda: not {failed, task, never} & {job.id for job in slurm.jobs()}, lambda: f"{slurm.jobs()}")
    sightings.take(slurm.jobs(), awaited)
    assert not any(sightings.certainly_over(job) for job in awaited)
    until(lambda: len(slurm.past(awaited)) == 2, lambda: f"{slurm.past(awaited)}")
    sightings.explain(slurm.past(sightings.missing))
    sightings.take(slurm.jobs(), awaited)
    assert all(sightings.certainly_over(job) for job in awaited)
    assert [(sightings.last(job).word, sightings.last(job).end) for job in awaited] == [
        ("FAILED", JobEnd.UNTOLD),
        ("CANCELLED", JobEnd.CANCELLED),
    ]


def test_accounting_that_waits_for_a_requeued_job_ends_nothing(accounted: Cluster, submit: Submit) -> None:
    job = submit()
    node = accounted.wait_for_job(job, "RUNNING")["NodeList"]
    accounted.set_down(node)
    until(lambda: [past.state for past in Slurm().past([job])] == ["NODE_FAIL"], lambda: f"{Slurm().past([job])}")
    seen = listed(job)
    assert seen is not None and seen.life is JobLife.WAITING  # and so says the only one who decides


def test_nothing_is_concluded_while_slurm_does_not_answer(accounted: Cluster, submit: Submit) -> None:
    slurm, sightings = Slurm(), Sightings()
    job = submit()
    accounted.wait_for_job(job, "RUNNING")
    sightings.take(slurm.jobs(), [job])
    accounted.stop_controller()
    with pytest.raises(SlurmUnavailable, match="Unable to contact"):
        slurm.jobs()
    sightings.take(None, [job])
    with pytest.raises(SlurmUnavailable, match="Unable to contact"):
        submit()
    with pytest.raises(SlurmUnavailable):
        slurm.requeue(job)
    with pytest.raises(SlurmUnavailable, match="no answer within 1 s"):
        Slurm(timeout=1).jobs()
    assert Slurm(timeout=1).config() == {} and not sightings.certainly_over(job)
    accounted.start_controller()
    sightings.take(slurm.jobs(), [job])
    last = sightings.last(job)
    assert last is not None and last.life is JobLife.RUNNING
