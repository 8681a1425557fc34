"""SLURM's commands, each called once and bounded in time. A failed call is an error, never an answer."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Sequence

from outlast.errors import SlurmRefused, SlurmUnavailable, UsageError
from outlast.executors.slurm.parse import SQUEUE_FORMAT, Job, parse_sbatch, parse_squeue

__all__ = ["Slurm"]

_TIMEOUT = 60.0


#: sbatch's words for limits that pass (slurm/slurm_errno.c); everything else is a mistake in the request.
_LIMITS = (
    "QOSMaxSubmitJobPerUserLimit",
    "AssocMaxSubmitJobLimit",
    "Job violates accounting/QOS policy",
    "MaxSubmitJobs",
    "Slurm temporarily unable to accept job",
    "Resource temporarily unavailable",
    "exceeds limit",
    "Unable to contact slurm controller",
    "Socket timed out",
)


class Slurm:
    """The commands of one cluster, as this environment reaches it."""

    def __init__(self, *, timeout: float = _TIMEOUT) -> None:
        self._timeout = timeout

    def submit(self, script: str, arguments: Sequence[str] = ()) -> str:
        """``sbatch`` a script file.

        Returns:
            The job's id.

        Raises:
            SlurmRefused: sbatch said no; its stderr.
            SlurmUnavailable: No answer. The job may exist all the same: a start claims an attempt, a submission does not.
        """
        done = self._call(["sbatch", "--parsable", *arguments, script])
        if done.returncode != 0:
            words = done.stderr.strip().removeprefix("sbatch: error: ")
            raise SlurmRefused(f"sbatch: {words}", limit=any(limit in words for limit in _LIMITS))
        return parse_sbatch(done.stdout)

    def jobs(self) -> list[Job]:
        """All our own jobs that SLURM still knows, of every state: one unfiltered listing.

        Raises:
            SlurmUnavailable: The listing failed; what is missing from nothing is not missing.
        """
        user = getpass.getuser()
        done = self._call(
            ["squeue", "--noheader", "--array", "--states=all", "--user", user, "--format", SQUEUE_FORMAT]
        )
        if done.returncode != 0:
            raise SlurmUnavailable(f"squeue: {done.stderr.strip()}")
        return parse_squeue(done.stdout)

    def cancel(self, jobs: Sequence[str], *, pending_only: bool = False) -> None:
        """``scancel`` jobs of ours by id. Those that are over already are no error."""
        if jobs:
            states = ["--state=PENDING"] if pending_only else []
            self._call(["scancel", *states, *jobs])

    def requeue(self, job: str) -> bool:
        """``scontrol requeue``: the job starts again under its id. Returns whether SLURM took it."""
        return self._call(["scontrol", "requeue", job]).returncode == 0

    def config(self) -> dict[str, str]:
        """``scontrol show config`` by key; empty where it cannot be read."""
        try:
            done = self._call(["scontrol", "show", "config"])
        except SlurmUnavailable:
            return {}
        pairs = (line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        return {key.strip(): value.strip() for key, value in pairs}

    def _call(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        # Options from the environment (SBATCH_*, SQUEUE_*) would change what the scripts say and how answers look.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SBATCH_", "SQUEUE_", "SCANCEL_"))}
        try:
            return subprocess.run(
                list(argv), env={**inherited, "LC_ALL": "C"}, capture_output=True, text=True, timeout=self._timeout,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise UsageError(f"{argv[0]} is not found: is this a SLURM cluster's node?") from None
        except (subprocess.TimeoutExpired, OSError) as error:
            raise SlurmUnavailable(f"{argv[0]}: {error}") from error
