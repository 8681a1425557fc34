"""``python -m outlast.engine.task DIR``: a task of a SLURM array. What `outlast worker` does, without what a terminal needs.

Five hundred tasks may start at once on the nodes of a cluster and the disks that they share: what they import is what that
costs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from outlast._system import utc_now
from outlast.engine.worker import Worker
from outlast.errors import OutlastError
from outlast.runner.job import JobFacts

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Fetch trials and run them until there is nothing more to do. Returns the exit code."""
    if os.environ.get("OUTLAST_FAULTS"):
        from outlast.testing.faults import install_from_environment

        install_from_environment("coordinator")
    parser = argparse.ArgumentParser(prog="outlast.engine.task", description=__doc__)
    parser.add_argument("folder", metavar="DIR", help="study folder")
    parser.add_argument("--trials", type=int, default=1, help="in all, one after the other")
    parser.add_argument("--parallel", type=int, default=1, help="side by side")
    asked = parser.parse_args(argv)
    job = JobFacts.of(os.environ)
    if job is None:
        parser.error(f"this is no job of SLURM's; by hand: outlast worker {asked.folder}")
    _say(f"task {job.id} on {job.node}" + (f", started anew {job.restarts} times" if job.restarts else ""))
    try:
        Worker(asked.folder, parallel=asked.parallel, most=asked.trials, say=_say, job=job).run()
    except OutlastError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def _say(text: str) -> None:
    """A line with its time: a job's log is read long after."""
    print(f"{utc_now()[:19]}Z {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
