"""What is said about a cluster that is known: from facts to findings. Pure."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.config.settings import (
    BudgetSettings,
    MetricSettings,
    PrunerSettings,
    ResourceSettings,
    Settings,
    TrialSettings,
)
from outlast.core.finding import Finding
from outlast.engine.cluster.facts import Answer, ClusterFacts
from outlast.engine.cluster.feasibility import request_findings
from outlast.engine.cluster.policy import fitting_mode, policy_findings
from outlast.executors.slurm.cluster_facts import (
    Limits,
    Nodes,
    Partition,
    asked_gpus,
    asked_nodes,
    asked_time_s,
    fits_on,
    walltime_s,
)
from outlast.executors.slurm.section import read_options

HOUR = 3600.0
CONFIG = {
    "PreemptType": "preempt/partition_prio", "PreemptMode": "REQUEUE", "KillWait": "130 sec", "MaxArraySize": "1001",
    "JobRequeue": "1", "AccountingStorageType": "accounting_storage/none",
}  # fmt: skip
GPU = Partition("gpu", True, True, 24 * HOUR, None, False, "REQUEUE", 4, "ALL", "n[1-4]")
LONG = Partition("long", False, True, None, None, False, "OFF", 2, "ALL", "m[1-2]")
NODES = (Nodes("gpu", 4, 64, 512_000, 4, True), Nodes("long", 2, 8, 64_000, 0, True))


_SECTIONS: dict[str, Any] = {
    "budget": BudgetSettings, "pruner": PrunerSettings, "resources": ResourceSettings, "trial": TrialSettings,
}  # fmt: skip


def facts(
    slurm: dict[str, Any] | None = None,
    *,
    study: dict[str, Any] | None = None,
    config: dict[str, str] | None = None,
    gpu: dict[str, Any] | None = None,
    **more: Any,
) -> ClusterFacts:
    """A study of 24 trials with a GPU each, on a cluster that suits it; with what is given instead."""
    given = {"budget": {"trials": 24}, "resources": {"gpus": 1.0}, **(study or {})}
    sections = {key: _SECTIONS[key](**values) for key, values in given.items()}
    settings = Settings(name="s", metrics=(MetricSettings(name="acc"),), **sections)
    return replace(
        ClusterFacts(
            settings,
            read_options(slurm or {}, settings.resources),
            config={**CONFIG, **(config or {})},
            partitions=(replace(GPU, **(gpu or {})), LONG),
            nodes=NODES,
            answers=(Answer("trials", start=1000.0), Answer("finisher", start=1000.0)),
            folder="/home/me/studies/s",
            now=990.0,
        ),
        **more,
    )


def findings(known: ClusterFacts) -> list[Finding]:
    return [*request_findings(known), *policy_findings(known)]


def test_a_cluster_that_suits_a_study_gives_no_note() -> None:
    found = findings(facts())
    assert [(finding.about, finding.text) for finding in found] == [
        ("partition", "gpu: 4 nodes, with 4 GPUs and 64 CPUs each, jobs up to 1d"),
        ("slurm", "sbatch would take the script; a job could start now"),
        ("tasks", "24 trials, one array of 24 tasks"),
        ("preemption", "preempted jobs are requeued, and go on with their trials"),
        ("accounting", "none on this cluster; squeue and scontrol are enough"),
        ("mode", "array fits: its tasks coordinate themselves, no job of ours has to live long"),
    ]
    assert {finding.level for finding in found} == {"ok"}


REFUSED = "Requested node configuration is not available"
SAID = [
    # the partition
    (facts(gpu={"up": False}), "partition", "note", "gpu is not up"),
    (facts({"partition": "hidden"}), "partition", "note", "does not show hidden"),
    (
        facts(nodes=(NODES[0], Nodes("gpu", 1, 8, 1, 1, False))), "partition", "ok",
        "(1 down or drained), most with 4 GPUs and 64 CPUs each",
    ),
    # walltime
    (facts({"time": "2-00:00:00"}), "time", "error", "2d is asked for and gpu allows 1d: jobs would wait for ever"),
    (facts({"time": "2-0", "qos": "long"}), "time", "note", "2d is asked for and gpu allows 1d"),
    (facts({"time": "2-0", "partition": "gpu,long"}), "time", "note", "2d is more than gpu allows"),
    (facts(gpu={"default_time_s": HOUR}), "time", "note", "jobs get the partition's DefaultTime, 1h"),
    (facts({"time": "10:00:00"}, limits=Limits(None, 8 * HOUR)), "time", "note", "account or QOS of yours allows 8h"),
    (facts({"time": 60}, study={"trial": {"timeout": 6 * HOUR}}), "time", "note", "trial.timeout is 6h, and a job has 1h"),
    (facts({"time": 5}), "time", "note", "a job has 5m, little for trial.grace 2m: trials are asked to stop 1m before"),
    (facts({"controller": {"time": "2-0"}}), "controller", "error", "the finisher's jobs would wait for ever"),
    # GPUs
    (facts(study={"resources": {"gpus": 6}}), "GPUs", "error", "6 GPUs for a job, and no node of gpu has more than 4: SLURM"),
    (facts({"gres": "gpu:a100:5"}), "GPUs", "error", "5 GPUs for a job, and no node of gpu has more than 4"),
    (facts(study={"resources": {}}), "GPUs", "note", "none is asked for, and the nodes of gpu have 4"),
    # whole nodes
    (facts(gpu={"exclusive": True}), "nodes", "note", "4 GPUs each: 1 trial a job leaves the rest idle"),
    (facts({"exclusive": True, "trials_at_once": 4}), "nodes", "ok", "4 trials at once fill one"),
    (facts({"exclusive": True, "partition": "long"}, study={"resources": {"cpus": 2}}), "nodes", "note", "8 CPUs each: 1 trial"),
    (facts({"exclusive": True, "partition": "long"}, study={"resources": {}}), "nodes", "note", "nothing says what a trial"),
    # sbatch
    (facts(answers=(Answer("trials", start=12600.0),)), "slurm", "ok", "a job could start in about 3h13m"),
    (facts(answers=(Answer("trials", refused="Invalid account"),)), "slurm", "error", "refuses the trials: Invalid account"),
    (facts({"account": "x"}, answers=(Answer("trials", refused="Invalid account"),)), "account", "error", "Invalid account"),
    (facts(answers=(Answer("trials", refused="AssocMaxSubmitJobLimit", limit=True),)), "slurm", "note", "AssocMaxSubmitJobLimit"),
    (facts(answers=(Answer("trials", refused=REFUSED),)), "slurm", "error", REFUSED),
    (
        facts(answers=(Answer("trials", refused=REFUSED),), nodes=(replace(NODES[0], usable=False),)), "slurm", "note",
        "4 nodes that trials would fit on are down or drained",
    ),
    (
        facts({"mem": "600G"}, answers=(Answer("trials", refused=REFUSED),), nodes=(replace(NODES[0], usable=False),)), "slurm",
        "error", REFUSED,
    ),
    (facts(answers=(Answer("trials"), Answer("finisher", refused="no"))), "controller", "error", "refuses the finisher: no"),
    # tasks
    (facts(config={"MaxArraySize": "11"}), "tasks", "ok", "24 tasks, and an array may have 11 (MaxArraySize 11): 3 arrays"),
    (facts(limits=Limits(20)), "tasks", "ok", "an array may have 19 (20 jobs of yours in the queue): 2 arrays"),
    (facts(study={"budget": {"time": HOUR}}), "tasks", "ok", "no number of trials is asked for"),
    (facts(study={"trial": {"timeout": 120}}), "tasks", "note", "a job each for trials of at most 2m"),
    # preemption
    (facts(gpu={"preempt_mode": "CANCEL"}), "preemption", "note", "cancelled, not requeued (PreemptMode=CANCEL): the finisher"),
    (facts({"mode": "controller"}, gpu={"preempt_mode": "CANCEL"}), "preemption", "note", "the controller goes on with"),
    (facts(gpu={"preempt_mode": "SUSPEND"}), "preemption", "ok", "stand still and wake up"),
    (facts(config={"PreemptType": "preempt/qos", "PreemptMode": "CANCEL"}), "preemption", "note", "cancelled, not requeued"),
    (facts(config={"JobRequeue": "0"}), "requeue", "ok", "JobRequeue=0"),
    # others
    (
        facts(nodes_submit=False, gpu={"submit_from": "login[1-2]"}), "submitting", "note",
        "jobs come from login[1-2] only (AllocNodes), not from nodes: the finisher cannot submit",
    ),
    (facts(config={"KillWait": "30 sec"}), "grace", "note", "a trial that it ends has 25s of trial.grace 2m"),
    (
        facts(config={"AccountingStorageType": "accounting_storage/slurmdbd"}, limits=Limits(200, 48 * HOUR)), "limits", "ok",
        "at most 200 jobs of yours in the queue and jobs of 2d",
    ),
    (facts({"mode": "controller"}), "mode", "note", "controller, but array fits better"),
]  # fmt: skip


@pytest.mark.parametrize(("known", "about", "level", "words"), SAID)
def test_what_matters_is_said(known: ClusterFacts, about: str, level: str, words: str) -> None:
    found = findings(known)
    assert any((f.about, f.level) == (about, level) and words in f.text for f in found), "\n".join(map(str, found))
    if level == "note":
        assert not [finding for finding in found if finding.level == "error"]


SILENT = [
    (facts({"partition": "gpu"}, gpu={"preempt_mode": "OFF"}), "preemption"),
    (facts(config={"PreemptType": "preempt/none", "PreemptMode": "OFF"}, gpu={"preempt_mode": "CANCEL"}), "preemption"),
    (facts({"nodes": 2}, study={"resources": {"gpus": 8}}), "GPUs"),
    (facts({"partition": "long"}, study={"resources": {}}), "GPUs"),
    (facts({"exclusive": True}, study={"resources": {}}), "GPUs"),
    (facts({"exclusive": True, "nodes": 2}), "nodes"),
    (facts({"exclusive": True}, study={"resources": {"gpus": 8}}), "nodes"),
    (facts({"time": "0"}), "time"),
    (facts({"time": "24:00:00"}), "time"),
    (facts(study={"trial": {"timeout": 120}}, slurm={"trials_per_task": 10}), "grace"),
    (facts(nodes=(), partitions=(), config={}), "mode"),
]


@pytest.mark.parametrize(("known", "about"), SILENT)
def test_what_does_not_matter_is_not_said(known: ClusterFacts, about: str) -> None:
    assert [finding for finding in findings(known) if finding.about == about] == []


@pytest.mark.parametrize(
    ("known", "cure"),
    [
        (facts(gpu={"exclusive": True}), "slurm: {trials_at_once: 4} fills a node"),
        (facts(gpu={"exclusive": True}, study={"resources": {"gpus": 0.5}}), "slurm: {trials_at_once: 8} fills a node"),
        (facts(study={"trial": {"timeout": 120}}), "slurm: {trials_per_task: 6}"),
        (facts({"time": "2-0"}), "time: 24:00:00, or partition: long"),
        (
            facts({"partition": "x"}, answers=(Answer("trials", refused="invalid partition x"),)),
            "partitions: gpu, long",
        ),
        (
            facts(answers=(Answer("trials", refused="Access/permission denied"),), gpu={"submit_from": "login1"}),
            "submit from login1",
        ),
        (
            facts(nodes_submit=False),
            f"in a crontab there: */10 * * * * {sys.executable} -m outlast finisher --once /home/me/studies/s "
            ">>/home/me/studies/s/jobs/cron.log 2>&1",
        ),
        (facts({"mode": "controller"}), "slurm: {mode: array}"),
    ],
)
def test_there_is_a_cure(known: ClusterFacts, cure: str) -> None:
    assert cure in [finding.cure for finding in findings(known)]


def test_what_sbatch_says_of_both_scripts_is_said_once() -> None:
    both = facts(answers=(Answer("trials", refused="Invalid qos"), Answer("finisher", refused="Invalid qos")))
    assert [finding.text for finding in findings(both) if finding.level == "error"] == [
        "sbatch refuses the trials: Invalid qos"
    ]


PRUNING = {"pruner": {"name": "median"}}


@pytest.mark.parametrize(
    ("known", "mode"),
    [
        (facts(), "array"),
        (facts(study={"budget": {"time": HOUR}}), "controller"),
        (facts(config={"MaxArraySize": "13"}), "array"),
        (facts(config={"MaxArraySize": "11"}), "controller"),
        (facts(limits=Limits(submitted=5)), "controller"),
        (facts(config={"MaxArraySize": "11"}, gpu={"preempt_mode": "CANCEL"}), "array"),
        (facts(config={"MaxArraySize": "11"}, nodes_submit=False), "array"),
        (facts(study={**PRUNING, "trial": {"timeout": 600}}), "controller"),
        (facts(study={**PRUNING, "trial": {"timeout": 6 * HOUR}}), "array"),
        (facts(study=PRUNING), "array"),
    ],
)
def test_the_mode_that_fits(known: ClusterFacts, mode: str) -> None:
    assert fitting_mode(known)[0] == mode


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400.0), ("90:30", 5430.0), ("1:00:00", 3600.0), ("2-12", 216000.0), ("1-0:30", 88200.0),
        ("1-02:03:04", 93784.0), ("0", None), ("UNLIMITED", None), ("", None),
    ],
)  # fmt: skip
def test_a_walltime_is_read_as_sbatch_reads_it(text: str, seconds: float | None) -> None:
    assert asked_time_s({"time": text}) == seconds


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"time": "90"}, 5400.0), ({"time": "90", "partition": "short"}, 5400.0), ({"time": "UNLIMITED"}, None),
        ({}, HOUR), ({"partition": "short"}, 60.0), ({"partition": "short,gpu"}, 60.0), ({"partition": "endless"}, None),
    ],
)  # fmt: skip
def test_a_job_that_asks_for_no_walltime_gets_its_partition_s(options: dict[str, str], seconds: float | None) -> None:
    there = [
        Partition(name, name == "gpu", True, most, default, False, "OFF", 1, "ALL")
        for name, most, default in (("gpu", 9 * HOUR, HOUR), ("short", 60.0, None), ("endless", None, None))
    ]
    assert walltime_s(options, there) == seconds


@pytest.mark.parametrize(
    ("options", "gpus"),
    [
        ({}, 0), ({"gpus": "2"}, 2), ({"gpus": "a100:2"}, 2), ({"gpus": "8", "nodes": "2"}, 4), ({"gres": "gpu:3"}, 3),
        ({"gres": "gpu:a100:3,nvme:1"}, 3), ({"gres": "gpu"}, 1), ({"gpus-per-node": "h100:4"}, 4), ({"gres": "nvme:1"}, 0),
        ({"gpus-per-task": "1", "ntasks-per-node": "4", "nodes": "2"}, 4),
        ({"gpus-per-task": "1", "ntasks": "8", "nodes": "2"}, 4),
        ({"tres-per-task": "cpu=4,gres/gpu=2"}, 2),
    ],
)  # fmt: skip
def test_the_gpus_of_a_node_are_counted_however_they_are_asked_for(options: dict[str, str], gpus: int) -> None:
    assert asked_gpus(options) == gpus


def test_a_node_fits_by_gpus_cpus_and_memory() -> None:
    node = Nodes("gpu", 1, 64, 512_000, 4, True)
    assert fits_on(node, {"gpus": "4", "cpus-per-task": "64", "mem": "500G"})
    assert not any(fits_on(node, asked) for asked in ({"gpus": "5"}, {"cpus-per-task": "65"}, {"mem": "1T"}))
    assert (asked_nodes({"nodes": "2-4"}), asked_nodes({})) == (2, 1)
