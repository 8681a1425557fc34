"""PSI/J's executor for SLURM keeps the contract on a real cluster: jobs that live, that are ended, and that die."""

from __future__ import annotations

import pytest

from lab.cluster import Cluster
from outlast.executors.base import Executor, StudyFacts
from outlast.executors.psij import PsijExecutor
from outlast.testing.executors import ExecutorContract, Lab


class TestPsijSlurm(ExecutorContract):
    patience = 60.0
    #: What is the same code for every scheduler is shown by its local executor.
    test_attempts_run_side_by_side = test_cancelling_what_is_over_or_unknown_is_harmless = None  # type: ignore[assignment]
    test_words_of_a_good_end_add_nothing = test_what_is_forgotten_goes_on_and_is_unknown = None  # type: ignore[assignment]
    test_close_ends_nothing = test_submit_starts_the_runner_of_an_open_attempt = None  # type: ignore[assignment]

    @pytest.fixture(autouse=True)
    def on_a_cluster(self, cluster: Cluster) -> None:
        """`SLURM_CONF` names it."""

    def executor(self, lab: Lab) -> Executor:
        return PsijExecutor(StudyFacts("s", str(lab.paths.jobs)), scheduler="slurm", poll=0.3)
