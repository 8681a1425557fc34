"""`outlast check` and `outlast submit` on real clusters: what is found, and what is left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lab.cluster import Cluster, running_cluster
from lab.slurm import SlurmLab
from lab.waiting import until
from outlast.cli.invocation import Invocation
from outlast.cli.targets.search_request import SearchRequest
from outlast.config.load import load_study_file
from outlast.core.finding import Finding
from outlast.engine.cluster.inspection import check_cluster, cluster_findings, meant_for_slurm
from outlast.engine.launch import make_ready
from outlast.errors import SlurmUnavailable, UsageError
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import Job, JobLife


@pytest.fixture(scope="module")
def strict_cluster(slurm_installed: None) -> Iterator[Cluster]:
    """Whole nodes for five minutes, small arrays, preemption that cancels, no requeue by default; answers that fail soon."""
    with running_cluster(
        partition="OverSubscribe=EXCLUSIVE MaxTime=5 PreemptMode=CANCEL",
        extra="MaxArraySize=11\nJobRequeue=0\nMessageTimeout=4",
    ) as started:
        yield started


@pytest.fixture
def strict(strict_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("SLURM_CONF", strict_cluster.env["SLURM_CONF"])
    yield strict_cluster
    strict_cluster.reset()


def cluster_jobs() -> list[Job]:
    """What waits or runs; tests before have left jobs that are over."""
    return [job for job in Slurm().jobs() if job.life is not JobLife.ENDED]


def found_in(lab: SlurmLab) -> dict[str, Finding]:
    """What is found about the cluster, by what it is about. Nothing is written, nothing is submitted."""
    found = cluster_findings(load_study_file(str(lab.place / "study.yaml")), str(lab.folder))
    assert os.listdir(lab.place) == ["study.yaml"] and not cluster_jobs()
    return {finding.about: finding for finding in found}


def test_check_looks_at_the_cluster_that_a_study_file_speaks_of(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=24, slurm={"partition": "gpu", "time": "1:00:00"})
    said = lab.outlast("check", "study.yaml", "--json")
    found = {finding["about"]: finding for finding in json.loads(said)["findings"]}
    assert found["partition"]["text"] == "gpu: 4 nodes, with 2 GPUs and 4 CPUs each"
    assert found["slurm"]["text"] == "sbatch would take the script; a job could start now"
    assert found["tasks"]["text"] == "24 trials, one array of 24 tasks"
    assert found["mode"]["level"] == "ok" and found["mode"]["text"].startswith("array fits")
    assert "looks local to this machine" in found["shared folder"]["text"]
    assert os.listdir(lab.place) == ["study.yaml"] and not cluster_jobs()


def test_a_mistake_is_refused_before_anything_is_written_or_submitted(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, slurm={"partition": "nope"})
    said = " ".join(lab.outlast("submit", "study.yaml", code=2).split())
    assert "study.yaml:1: slurm.partition: sbatch refuses the trials: invalid partition specified: nope" in said
    assert "partitions: gpu, high" in said
    assert os.listdir(lab.place) == ["study.yaml"] and not cluster_jobs()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"gpuss": 2}, "sbatch refuses the trials: unrecognized option '--gpuss=2'"),
        ({"gpus": 3}, "3 GPUs for a job, and no node of gpu has more than 2: SLURM would spread them"),
        ({"constraint": "a100"}, "sbatch refuses the trials: Invalid feature specification"),
        ({"controller": {"partition": "nope"}}, "sbatch refuses the finisher: invalid partition"),
        ({"mode": "controller", "controller": {"mem": "9T"}}, "sbatch refuses the controller: Requested node"),
    ],
)
def test_mistakes_are_told_in_slurms_words(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], words: str
) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, slurm=wrong)
    monkeypatch.chdir(lab.place)
    search = SearchRequest(Invocation(), ("study.yaml",))
    with pytest.raises(UsageError) as refused:
        make_ready(load_study_file("study.yaml"), "studies/lab", on_cluster=True, refusal=search.refusal)
    assert words in str(refused.value)


def test_nodes_that_are_down_are_no_mistake(cluster: Cluster, tmp_path: Path) -> None:
    cluster.run("scontrol", "update", "NodeName=n[1-4]", "State=DRAIN", "Reason=test")
    found = found_in(SlurmLab.make(tmp_path / "lab", trials=4))
    assert found["slurm"].level == "note"
    assert found["slurm"].text == "4 nodes that trials would fit on are down or drained: they would wait"


def test_nodes_that_may_not_submit_are_told_with_the_line_for_a_crontab(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4)
    cluster.run("scontrol", "update", "PartitionName=gpu", "AllocNodes=localhost")
    try:
        found = found_in(lab)
    finally:
        cluster.run("scontrol", "update", "PartitionName=gpu", "AllocNodes=ALL")
    assert found["submitting"].text.startswith("jobs come from localhost only (AllocNodes), not from nodes")
    assert f"-m outlast finisher --once {lab.folder} >>{lab.folder}/jobs/cron.log" in (found["submitting"].cure or "")
    assert found["mode"].text == "array fits: nodes may not submit, and its tasks need not"


def test_a_strict_cluster_is_described(strict: Cluster, tmp_path: Path) -> None:
    found = found_in(SlurmLab.make(tmp_path / "lab", trials=24, trial={"grace": "3m"}))
    assert "jobs up to 5m" in found["partition"].text
    assert found["nodes"].cure == "slurm: {trials_at_once: 2} fills a node"
    assert "an array may have 11 (MaxArraySize 11): 3 arrays one after another" in found["tasks"].text
    assert "cancelled, not requeued (PreemptMode=CANCEL)" in found["preemption"].text
    assert "(JobRequeue=0)" in found["requeue"].text
    assert "has 1s of trial.grace 3m" in found["grace"].text
    assert "trials are asked to stop 1m before its end" in found["time"].text
    assert found["mode"].text == "array fits: a controller that is preempted would be cancelled for good"


def test_more_time_than_a_partition_allows_would_wait_for_ever(strict: Cluster, tmp_path: Path) -> None:
    found = found_in(SlurmLab.make(tmp_path / "lab", trials=4, slurm={"time": 60}))
    assert found["time"].level == "error" and found["time"].cure == "time: 0:05:00, or partition: high"
    assert found["slurm"].text.startswith("sbatch would take")  # it does, and never starts the job


def test_a_search_is_finished_where_jobs_have_five_minutes(strict: Cluster, tmp_path: Path) -> None:
    """The finisher asks for no more than its partition allows, and has time to work."""
    lab = SlurmLab.make(tmp_path / "lab", trials=2, epochs=1)
    lab.outlast("submit", "study.yaml")
    lab.wait_done()
    until(lambda: not strict.jobs(), "the finisher has left the queue")
    assert lab.faults(trials=2, epochs=1) == []


def test_a_cluster_that_gives_no_answer_is_one_finding(strict: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, slurm={"partition": "gpu"})
    settings = load_study_file(str(lab.place / "study.yaml"))
    strict.stop_controller()
    (found,) = check_cluster(settings, str(lab.folder))
    assert (found.about, found.level) == ("slurm", "error") and "Unable to contact slurm controller" in found.text
    with pytest.raises(SlurmUnavailable):
        cluster_findings(settings, str(lab.folder), Slurm(timeout=0.5))


def test_without_slurms_commands_there_is_one_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, slurm={"partition": "gpu"})
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = check_cluster(load_study_file(str(lab.place / "study.yaml")), str(lab.folder))
    assert found.level == "note" and "`outlast run` works here" in found.text


def test_a_study_is_meant_for_slurm_where_its_file_or_the_sites_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    lab = SlurmLab.make(tmp_path / "lab", trials=4)
    settings = load_study_file(str(lab.place / "study.yaml"))
    assert not meant_for_slurm(settings)
    assert meant_for_slurm(replace(settings, slurm={}))
    (tmp_path / "outlast.yaml").write_text("slurm: {partition: gpu}\n")
    assert meant_for_slurm(settings)
