"""Asks SLURM about itself and about a study's scripts: what can be known in two seconds without submitting anything."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.config.slurm_section import read_site
from outlast.core.finding import Finding
from outlast.engine.cluster.facts import Answer, ClusterFacts
from outlast.engine.cluster.feasibility import request_findings
from outlast.engine.cluster.policy import policy_findings
from outlast.engine.record.recorded import study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.errors import SlurmRefused, SlurmUnavailable, UsageError
from outlast.executors.slurm.cluster_facts import Partition
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.script import JobScript, render
from outlast.executors.slurm.section import read_options

_PATIENCE = 20.0  # seconds that `check` waits for one command


def meant_for_slurm(settings: Settings) -> bool:
    """Whether the study file, or the site's defaults, say how the study is submitted. What has an executor of its own is not."""
    return not settings.executor.plugged and (settings.slurm is not None or bool(read_site().get("slurm")))


def check_cluster(settings: Settings, folder: str) -> list[Finding]:
    """What `check` says of the cluster that a study is meant for. Where SLURM cannot be asked, that is the only finding."""
    try:
        read_options(settings.slurm, settings.resources, site=read_site().get("slurm"))
    except UsageError as error:
        return [Finding("slurm", "error", error.fact, error.cure)]
    try:
        return cluster_findings(settings, folder, Slurm(timeout=_PATIENCE))
    except UsageError:
        text = "its commands are not on this machine: `outlast run` works here, `outlast submit` where they are"
        return [Finding("slurm", "note", text, "the same check there looks at the cluster too")]
    except SlurmUnavailable as error:
        text = f"no answer, so nothing is known about the cluster: {error.fact}"
        return [Finding("slurm", "error", text, "try again later")]


def cluster_findings(settings: Settings, folder: str, slurm: Slurm | None = None) -> list[Finding]:
    """What SLURM has for a study's jobs; of a study that has an executor of its own, that it has none.

    Raises:
        SlurmUnavailable: No answer.
        UsageError: SLURM's commands are not installed.
    """
    if settings.executor.plugged:
        text = f"{settings.executor.name} starts trials for `outlast run`, and SLURM's queue is not asked"
        cure = "outlast run; or leave `executor` out (--set executor=local)"
        return [Finding("executor", "error", text, cure)]
    facts = _facts(settings, folder, slurm or Slurm())
    return [*request_findings(facts), *policy_findings(facts), *deadline_findings(settings)]


def deadline_findings(settings: Settings) -> list[Finding]:
    """That a job ends by its own time limit, where the study file says another end."""
    if settings.deadline is None:
        return []
    text = "`deadline` is for `outlast run`: a job in SLURM's queue is asked to stop before its own time limit"
    return [Finding("deadline", "note", text, "slurm.time limits each job")]


def _facts(settings: Settings, folder: str, slurm: Slurm) -> ClusterFacts:
    queue = StudyQueue(study_paths(folder, settings), settings, slurm)
    options, paths = queue.options, queue.paths
    partitions = slurm.partitions()
    asked = ClusterFacts(settings, options, partitions=partitions)
    return replace(
        asked,
        answers=_answers(queue),
        folder=os.path.abspath(paths.root),
        now=time.time(),
        config=queue.config,
        nodes=slurm.nodes(),
        limits=slurm.limits(account=options.sbatch.get("account"), qos=options.sbatch.get("qos")),
        nodes_submit=_nodes_submit(slurm, asked.small, asked.chosen),
    )


def _answers(queue: StudyQueue) -> list[Answer]:
    """What SLURM says of the scripts that `submit` would submit."""
    array = queue.array(queue.tasks(queue.settings.budget.trials))  # without what it may wait for
    if queue.options.mode == "controller":  # each trial has a job of its own, with the same options
        return [
            _answer(queue.slurm, "trials", _without(array, "array")),
            _answer(queue.slurm, "controller", queue.controller()),
        ]
    finisher = _without(queue.finisher(""), "dependency")
    return [_answer(queue.slurm, "trials", array), _answer(queue.slurm, "finisher", finisher)]


def _without(script: JobScript, option: str) -> JobScript:
    return replace(script, options={key: value for key, value in script.options.items() if key != option})


def _answer(slurm: Slurm, role: str, script: JobScript) -> Answer:
    with tempfile.NamedTemporaryFile("w", prefix="outlast-", suffix=".sh") as file:
        file.write(render(script))
        file.flush()
        try:
            return Answer(role, start=slurm.test(file.name))
        except SlurmRefused as refused:
            return Answer(role, refused=refused.fact.removeprefix("sbatch: "), limit=refused.limit)


def _nodes_submit(slurm: Slurm, small: Sequence[Partition], chosen: Sequence[Partition]) -> bool:
    """Whether the nodes of the small jobs' partitions are among those that may submit to the trials' partitions.

    A site may forbid it in other ways too; only a job that tries can know."""
    doors = [each.submit_from for each in chosen if each.submit_from != "ALL"]
    if len(doors) < len(chosen) or not doors:
        return True
    allowed = frozenset[str]().union(*map(slurm.names_of, doors))
    nodes = frozenset[str]().union(*(slurm.names_of(each.node_list) for each in small if each.node_list))
    return nodes <= allowed
