"""``python -m outlast.engine.cluster.task DIR TRIALS PARALLEL``: a task of a SLURM array.

What `outlast worker` does, without what a terminal needs. Five hundred tasks may start at once on the nodes of a cluster and the
disks that they share: what they import is what that costs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from outlast._system import utc_now
from outlast._system.job_environment import JobFacts
from outlast._system.observed import observe_from_environment
from outlast.engine.hold.worker import Worker
from outlast.errors import OutlastError

__all__ = ["main"]


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
    _say(f"task {job.id} on {job.node}" + (f", started anew {job.restarts} times" if job.restarts else ""))
    try:
        Worker(folder, parallel=parallel, most=trials, say=_say, job=job).run()
    except OutlastError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def _say(text: str) -> None:
    """A line with its time: a job's log is read long after."""
    print(f"{utc_now()[:19]}Z {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
