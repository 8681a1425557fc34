"""PSI/J's executor for SLURM on a real cluster: the life of a job, of one that is ended, and of one while nobody answers."""

from __future__ import annotations

import pytest
from cluster import Cluster

from outlast.executors.base import Executor, StudyFacts
from outlast.executors.psij import PsijExecutor
from outlast.testing.executors import ExecutorContract, Lab


class TestPsijSlurm(ExecutorContract):
    patience = 60.0

    @pytest.fixture(autouse=True)
    def on_a_cluster(self, cluster: Cluster) -> None:
        """`SLURM_CONF` names it."""

    def executor(self, lab: Lab) -> Executor:
        return PsijExecutor(StudyFacts("s", str(lab.paths.jobs)), scheduler="slurm", poll=0.3)
