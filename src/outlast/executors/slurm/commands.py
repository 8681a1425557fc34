"""SLURM's commands, each called once and bounded in time. A failed call is an error, never an answer."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from outlast._system.job_environment import ENDS_IN, KILL_WAIT, NOTICE, JobFacts
from outlast.errors import SlurmMissing, SlurmRefused, SlurmUnavailable
from outlast.executors.slurm.cluster_facts import (
    LIMIT_FIELDS,
    NODES_FORMAT,
    Limits,
    Nodes,
    Partition,
    parse_config,
    parse_limits,
    parse_nodes,
    parse_partitions,
)
from outlast.executors.slurm.parse import (
    SACCT_FIELDS,
    SEPARATOR,
    SQUEUE_FORMAT,
    Job,
    Refusal,
    parse_sacct,
    parse_sbatch,
    parse_squeue,
    parse_start,
    refusal_of,
    refusal_words,
)

_TIMEOUT = 60.0
_REQUEUE_AGAIN_AFTER, _REQUEUED_WITHIN = 5.0, 120.0  # seconds; the latter where no walltime ends it
_WITHOUT_SLURM = "outlast run searches without SLURM; outlast submit --dry-run prints what would be submitted"
#: These would change what the scripts say and how answers look.
_OPTIONS = ("SBATCH_", "SQUEUE_", "SCANCEL_", "SACCT_", "SCONTROL_", "SLURM_TIME_FORMAT")
#: What the script of a job says of this one job: the next one has a time of its own.
_OF_ONE_JOB = (ENDS_IN, KILL_WAIT, NOTICE)
#: Of what a job finds in its environment, all that its commands need; the rest would be taken for options of the next job.
_KEPT = ("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS")


def can_list() -> bool:
    """Whether this machine has the command that lists jobs."""
    return shutil.which("squeue") is not None


def can_submit() -> bool:
    """Whether this machine has the command that submits jobs."""
    return shutil.which("sbatch") is not None


class Slurm:
    """The commands of one cluster, as this environment reaches it.

    Every call raises `SlurmUnavailable` where SLURM gave no answer, and `SlurmMissing` where the command is not installed.

    Args:
        timeout: Seconds that one command may take.
    """

    def __init__(self, *, timeout: float = _TIMEOUT) -> None:
        self._timeout = timeout
        self._accounting: bool | None = None

    def submit(self, script: str, arguments: Sequence[str] = ()) -> str:
        """``sbatch`` a script file. Returns the job's id.

        Raises:
            SlurmRefused: sbatch said no; its stderr.
            SlurmUnavailable: No answer. The job may exist all the same: a start claims an attempt, a submission does not.
        """
        done = self._call(["sbatch", "--parsable", *arguments, script])
        if done.returncode != 0:
            words = done.stderr.strip().removeprefix("sbatch: error: ")
            raise SlurmRefused(f"sbatch: {words}", limit=refusal_of(words) is Refusal.LIMIT)
        return parse_sbatch(done.stdout)

    def test(self, script: str) -> float | None:
        """``sbatch --test-only``: whether SLURM would take a script. Nothing is submitted.

        It is stricter than a submission: where no node that the job fits on is up, it refuses what would be left to wait.

        Returns:
            When the job could start, in seconds since the epoch; ``None`` where SLURM does not say.

        Raises:
            SlurmRefused: sbatch said no; its words.
        """
        done = self._call(["sbatch", "--test-only", script])
        if done.returncode != 0:
            words = refusal_words(done.stderr)
            raise SlurmRefused(f"sbatch: {words}", limit=refusal_of(words) is Refusal.LIMIT)
        return parse_start(done.stderr)

    def jobs(self) -> list[Job]:
        """All our own jobs that SLURM still knows, of every state and in every partition: one unfiltered listing.

        A job that has ended is known for MinJobAge (five minutes on most clusters) and then missing, see `past`.

        Raises:
            SlurmUnavailable: The listing failed; what is missing from nothing is not missing.
        """
        return self._listing("--me", "--states=all", "--array")

    def job(self, job: str) -> Job | None:
        """One job, by the id it calls itself too (``SLURM_JOB_ID``); ``None`` where SLURM does not know it."""
        try:
            found = self._listing(f"--jobs={job}", "--states=all", "--array")
        except SlurmUnavailable as error:
            if "Invalid job id" in error.fact:
                return None
            raise
        return found[0] if found else None

    def past(self, jobs: Sequence[str]) -> list[Job]:
        """What accounting says of jobs that have ended: one call for all; empty on clusters without accounting."""
        if not jobs or not self.has_accounting():
            return []
        fields = ",".join(SACCT_FIELDS)
        done = self._call(
            [
                "sacct", "--noheader", "--allocations", "--parsable2", f"--delimiter={SEPARATOR}", f"--format={fields}",
                f"--jobs={','.join(jobs)}",
            ]
        )  # fmt: skip
        if done.returncode != 0:
            raise SlurmUnavailable(f"sacct: {done.stderr.strip()}")
        return parse_sacct(done.stdout)

    def has_accounting(self) -> bool:
        """Whether the cluster keeps accounts in a database."""
        if self._accounting is None:
            kept = self.config().get("AccountingStorageType")
            if kept is None:
                return False  # no answer: ask again next time
            self._accounting = kept == "accounting_storage/slurmdbd"
        return self._accounting

    def cancel(self, jobs: Sequence[str], *, pending_only: bool = False) -> None:
        """``scancel`` jobs of ours by id. Those that are over already are no error."""
        if jobs:
            states = ["--state=PENDING"] if pending_only else []
            self._call(["scancel", *states, *jobs])

    def throttle(self, array: str, tasks: int) -> bool:
        """Let so many tasks of an array run side by side from now on. Returns whether SLURM took it: an array that waits for
        nothing any more has no limit to change."""
        return self._call(["scontrol", "update", f"JobId={array}", f"ArrayTaskThrottle={tasks}"]).returncode == 0

    def requeue(self, job: str) -> bool:
        """``scontrol requeue``: the job starts again under its id. Returns whether SLURM took it."""
        return self._call(["scontrol", "requeue", job]).returncode == 0

    def requeue_us(self, job: JobFacts) -> bool:
        """`requeue` of the job that we are, asked for as long as there is time: slurmctld may be away just now."""
        began = time.monotonic()
        while True:
            try:
                if self.requeue(job.requeue_id):
                    return True
            except SlurmUnavailable:
                pass  # it may come back
            except SlurmMissing:
                return False  # this node has no scontrol, and will not get one
            left = job.seconds_left()
            if (_REQUEUED_WITHIN - (time.monotonic() - began) if left is None else left) < _REQUEUE_AGAIN_AFTER:
                return False
            time.sleep(_REQUEUE_AGAIN_AFTER)

    def config(self) -> dict[str, str]:
        """``scontrol show config`` by key; empty where it cannot be read."""
        try:
            return parse_config(self._call(["scontrol", "show", "config"]).stdout)
        except (SlurmUnavailable, SlurmMissing):
            return {}

    def partitions(self) -> list[Partition]:
        """The partitions that we can see."""
        return parse_partitions(self._call(["scontrol", "--oneliner", "show", "partition"]).stdout)

    def nodes(self) -> list[Nodes]:
        """What nodes there are, those that are alike together, by partition."""
        return parse_nodes(self._call(["sinfo", "--noheader", "--exact", f"--format={NODES_FORMAT}"]).stdout)

    def names_of(self, nodes: str) -> frozenset[str]:
        """The nodes in a list such as ``n[1-4],login1``."""
        return frozenset(self._call(["scontrol", "show", "hostnames", nodes]).stdout.split())

    def limits(self, *, account: str | None = None, qos: str | None = None) -> Limits:
        """Our own limits by accounting; no limits are known on clusters without."""
        if not self.has_accounting():
            return Limits()
        where = ["where", f"user={getpass.getuser()}", *([f"account={account}"] if account else [])]
        return parse_limits(self._accounts("assoc", *where), self._accounts("qos"), only=qos)

    def _accounts(self, what: str, *where: str) -> str:
        fields = ",".join(LIMIT_FIELDS[what])
        done = self._call(["sacctmgr", "--noheader", "--parsable2", "show", what, *where, f"format={fields}"])
        return done.stdout if done.returncode == 0 else ""

    def _listing(self, *which: str) -> list[Job]:
        done = self._call(["squeue", "--all", "--noheader", *which, f"--Format={SQUEUE_FORMAT}"])
        if done.returncode != 0:
            raise SlurmUnavailable(f"squeue: {done.stderr.strip()}")
        return parse_squeue(done.stdout)

    def _call(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            done = subprocess.run(
                list(argv), env=_environment(), capture_output=True, encoding="utf-8", errors="replace", timeout=self._timeout,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            fact = f"{argv[0]} is not found: is this a SLURM cluster's node?"
            raise SlurmMissing(fact, cure=_WITHOUT_SLURM) from None
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode("utf-8", "replace").strip()
            raise SlurmUnavailable(f"{argv[0]}: no answer within {self._timeout:g} s {said}".rstrip()) from error
        except OSError as error:
            raise SlurmUnavailable(f"{argv[0]}: {error}") from error
        if done.returncode != 0 and refusal_of(done.stderr) is Refusal.NO_ANSWER:
            raise SlurmUnavailable(f"{argv[0]}: {done.stderr.strip()}")
        return done


def _environment() -> dict[str, str]:
    in_job = "SLURM_JOB_ID" in os.environ
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_OPTIONS) and not (in_job and _is_of_the_job(key))
    }
    return {**kept, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"}


def _is_of_the_job(key: str) -> bool:
    return key in _OF_ONE_JOB or (key.startswith("SLURM_") and key not in _KEPT)
