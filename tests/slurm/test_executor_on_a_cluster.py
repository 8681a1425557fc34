"""A controller's executor on a real cluster keeps the contract that all executors keep."""

from __future__ import annotations

import sys
import time

import pytest

from lab.cluster import Cluster
from outlast.core.evidence import JobEnd
from outlast.executors.base import Executor
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.controller import SlurmExecutor
from outlast.executors.slurm.listing import SlurmJobs
from outlast.executors.slurm.script import JobScript
from outlast.testing.executors import ExecutorContract, Lab


def fast() -> float:
    """The pauses between two questions to SLURM are for people's clusters."""
    return time.monotonic() * 20


class TestSlurmExecutor(ExecutorContract):
    patience = 60.0

    @pytest.fixture(autouse=True)
    def on_a_cluster(self, cluster: Cluster) -> None:
        """`SLURM_CONF` names it."""

    def executor(self, lab: Lab) -> Executor:
        def script(name: str, marker: str, log: str) -> JobScript:
            command = [sys.executable, "-m", "outlast.runner", marker]
            return JobScript(
                f"attempt {name}", f"trial_{name}", log, command, str(lab.paths.root), options={"no-requeue": None}
            )

        return SlurmExecutor(
            SlurmJobs(Slurm(), every=5.0, now=fast), "outlast:1.2:", script, say=lambda _: None, now=fast
        )

    def test_slurms_word_for_a_cancelled_job_is_told(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        executor.cancel(attempt.name)
        lab.until(executor, lambda: executor.job_end(attempt.name) is not None, "SLURM says how it ended")
        assert executor.job_end(attempt.name) is JobEnd.CANCELLED

    def test_a_job_that_waits_in_the_queue_has_not_ended(self, lab: Lab, cluster: Cluster) -> None:
        cluster.run("scontrol", "update", "PartitionName=gpu", "State=DOWN")  # takes jobs, starts none
        try:
            executor = lab.executor()
            attempt = lab.attempt()
            executor.submit(attempt.name, attempt.marker, attempt.log)
            lab.until(executor, lambda: executor.ended(attempt.name) is False, "it is known to wait")
        finally:
            cluster.run("scontrol", "update", "PartitionName=gpu", "State=UP")
        lab.until(executor, lambda: attempt.began, "it starts")
