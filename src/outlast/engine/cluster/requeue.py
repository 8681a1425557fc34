"""A job's last act before its walltime is over: it goes back into the queue."""

from __future__ import annotations

import time

from outlast._system.job_environment import JobFacts
from outlast.errors import SlurmMissing, SlurmUnavailable
from outlast.executors.slurm.commands import Slurm

_AGAIN_AFTER = 5.0  # seconds
_WITHIN = 120.0  # seconds, where no walltime ends it


def requeue(job: JobFacts, slurm: Slurm | None = None) -> bool:
    """``scontrol requeue`` of the job that we are, asked for as long as there is time: slurmctld may be away just now.

    Returns:
        Whether SLURM took it.
    """
    slurm, began = slurm or Slurm(), time.monotonic()
    while True:
        try:
            if slurm.requeue(job.requeue_id):
                return True
        except SlurmUnavailable:
            pass  # it may come back
        except SlurmMissing:
            return False  # this node has no scontrol, and will not get one
        left = job.seconds_left()
        if (_WITHIN - (time.monotonic() - began) if left is None else left) < _AGAIN_AFTER:
            return False
        time.sleep(_AGAIN_AFTER)
