"""PSI/J's executors, the local one for real: they keep the contract of all executors."""

from __future__ import annotations

from outlast.executors.base import Executor, StudyFacts
from outlast.executors.psij import PsijExecutor
from outlast.testing.executors import ExecutorContract, Lab


class TestPsijHere(ExecutorContract):
    def executor(self, lab: Lab) -> Executor:
        return PsijExecutor(StudyFacts("s", str(lab.paths.jobs)), scheduler="local", poll=0.05)
