"""``python -m outlast.engine.cluster.task DIR TRIALS PARALLEL``: a task of a SLURM array.

What `outlast worker` does, without what a terminal needs. Five hundred tasks may start at once on the nodes of a cluster and the
disks that they share: what they import is what that costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from outlast._system.clock import say_with_time
from outlast._system.job_environment import JobFacts
from outlast._system.observed import observe_from_environment
from outlast.core.states import TrialState
from outlast.engine.hold.worker import Worker
from outlast.engine.hold.workplace import Workplace
from outlast.errors import OutlastError
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.core.plan import Verdict
    from outlast.engine.coordinator.coordinator import Coordinator


class SlurmTask:
    """What SLURM has for a worker that is a task of an array. Most never need it, so that it is imported by those that do."""

    def __init__(self, folder: str, facts: JobFacts) -> None:
        self._folder, self.facts = folder, facts

    def something_was_lost(self) -> bool:
        """See `OwnJob`."""
        from outlast.engine.cluster.topup import something_was_lost

        return something_was_lost(self._folder, [self.facts.id])

    def top_up(self, coordinator: Coordinator, verdict: Verdict | None, say: Callable[[str], object]) -> None:
        """See `OwnJob`."""
        if coordinator.study.in_state(TrialState.INTERRUPTED):
            from outlast.engine.cluster.topup import top_up

            top_up(coordinator, verdict, say)

    def requeue(self) -> str:
        """See `OwnJob`."""
        from outlast.executors.slurm.commands import Slurm

        if Slurm().requeue_us(self.facts):
            return "out of walltime: this job goes back into the queue and goes on from the checkpoint"
        return "out of walltime, and this job could not go back into the queue: the finisher submits the rest"


def main(argv: Sequence[str]) -> int:
    """Fetch trials and run them: so many, so many side by side, or until there is nothing more to do. Returns the exit code."""
    observe_from_environment("coordinator")
    try:
        folder, trials, parallel = argv[0], int(argv[1]), int(argv[2])  # argparse would cost as much as all of the rest
    except (IndexError, ValueError):
        print("usage: python -m outlast.engine.cluster.task DIR TRIALS PARALLEL", file=sys.stderr)
        return 2
    job = JobFacts.of(os.environ)
    if job is None:
        print(f"error: this is no job of SLURM's; by hand: outlast worker {folder}", file=sys.stderr)
        return 2
    say_with_time(f"task {job.id} on {job.node}" + (f", started anew {job.restarts} times" if job.restarts else ""))
    try:
        Worker(Workplace(StudyPaths.at(folder), say_with_time, parallel, trials, SlurmTask(folder, job))).run()
    except OutlastError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
