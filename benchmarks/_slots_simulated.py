"""A cluster in simulated time: jobs begin a while after they were submitted, and leave their evidence when they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from outlast.core.evidence import Evidence
from outlast.core.file_names import parse_attempt_name
from outlast.executors.slurm.controller import SlurmExecutor
from outlast.testing.fake_slurm import FakeSlurm
from outlast.testing.manual_clock import FakeClock

__all__ = ["SimulatedCluster", "SimulatedExecutor"]


@dataclass
class _Task:
    job: str
    exit: Path
    begin: float
    end: float


class SimulatedCluster(FakeSlurm):
    """Room for whatever is submitted.

    Args:
        clock: Simulated.
        seconds_of: Trial → how long its training takes.
        latency: Seconds from sbatch to the training's begin.

    Attributes:
        spans: From when to when trainings ran.
    """

    def __init__(self, clock: FakeClock, seconds_of: Callable[[int], float], latency: float) -> None:
        super().__init__()
        self.spans: list[tuple[float, float]] = []
        self._clock, self._seconds_of, self._latency = clock, seconds_of, latency
        self._tasks: list[_Task] = []

    def _accept(self, script: str) -> str:
        job = super()._accept(script)
        trial, _ = parse_attempt_name(self.queue[job].comment.rpartition(":")[2]) or (0, 0)
        begin = self._clock.seconds + self._latency
        task = _Task(job, Path(script).with_name("exit.json"), begin, begin + self._seconds_of(trial))
        self._tasks.append(task)
        self.spans.append((task.begin, task.end))
        return job

    def catch_up(self) -> None:
        """What happened up to now."""
        for task in list(self._tasks):
            if task.end <= self._clock.seconds:
                evidence = Evidence(exit_code=0, seconds=task.end - task.begin, scores={"score": task.end})
                task.exit.write_text(json.dumps(evidence.to_json()))
                self.set(task.job, "COMPLETED")
                self._tasks.remove(task)
            elif task.begin <= self._clock.seconds:
                self.set(task.job, "RUNNING")


class SimulatedExecutor(SlurmExecutor):
    """Waits in simulated time."""

    cluster: SimulatedCluster
    clock: FakeClock

    def wait(self, timeout: float) -> None:
        """See `Executor.wait`."""
        self.clock.advance(timeout)
        self.cluster.catch_up()
