"""The job that this process runs in, from what SLURM puts into its environment (sbatch(1), "output environment variables").

Whoever runs within a job reads it: runners, tasks and controllers, on nodes where no executor is. Nothing outside of
`outlast.executors.slurm` and this module knows a word of SLURM's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

#: Seconds that SLURM leaves between SIGTERM and SIGKILL (``KillWait`` of slurm.conf); job scripts set it.
KILL_WAIT = "OUTLAST_KILL_WAIT"
#: Seconds until the job's walltime is over: from its script, or for a runner that is started in the middle of the job.
ENDS_IN = "OUTLAST_ENDS_IN"
#: Seconds before the end of its walltime at which SLURM tells the job (sbatch's ``--signal``); its script says so.
NOTICE = "OUTLAST_NOTICE"
#: Lightning takes over every job that is not called so: it requeues it by itself (SLURMEnvironment.detect).
NOT_TAKEN_OVER = {"SLURM_JOB_NAME": "interactive"}
#: What PBS, LSF and Grid Engine tell their jobs (qsub(1B), bsub(1), qsub(1)), and services that build and test their steps.
_OTHER_JOBS = ("PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "CI")
#: The first name of a host list: ``n[3-5,9]`` begins with n3, ``a-12,b-3`` with a-12 (scontrol(1), show hostnames).
_FIRST_NODE = re.compile(r"^([^,\[]+)(?:\[(\d+))?")
_EARLY = 60.0  # seconds that SLURM's notice may be early (sbatch(1), --signal)
_SPARE = 5.0  # seconds of KillWait for writing the evidence


def in_job(environment: Mapping[str, str]) -> bool:
    """Whether this is a job of SLURM's."""
    return "SLURM_JOB_ID" in environment


def takes_all_along(environment: Mapping[str, str]) -> bool:
    """Whether this is a scheduler's job, or a step of a service that builds and tests: what it leaves running ends with it."""
    return in_job(environment) or any(environment.get(name, "") not in ("", "0", "false") for name in _OTHER_JOBS)


def first_node(environment: Mapping[str, str]) -> str:
    """Where the ranks of a job on several nodes meet; empty for a job on one, and outside of any."""
    several = (_number(environment.get("SLURM_JOB_NUM_NODES")) or 1) > 1
    match = _FIRST_NODE.match(environment.get("SLURM_JOB_NODELIST", "")) if several else None
    return match[1] + (match[2] or "") if match else ""


def on_all_nodes(command: Sequence[str], options: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """A command as srun starts it on all nodes of a job (outside of one: as it is). A rank that fails takes the others along."""
    if not in_job(environment):
        return command
    cpus = environment.get("SLURM_CPUS_PER_TASK")  # which srun itself no longer reads, since 22.05
    wanted = [f"--cpus-per-task={cpus}"] if cpus and "SRUN_CPUS_PER_TASK" not in environment else []
    return ("srun", "--kill-on-bad-exit=1", *wanted, *options, *command)


def grace_within(grace: float, environment: Mapping[str, str]) -> float:
    """Seconds that a training may take to stop when the job itself was told to: what the scheduler leaves it, at most."""
    kill_wait = _number(environment.get(KILL_WAIT))
    return grace if kill_wait is None else min(grace, max(1.0, kill_wait - _SPARE))


class JobFacts:
    """One job, or one task of an array, seen from inside.

    Args:
        id: 123, or 120_7 for a task: the name under which a listing shows it.
        requeue_id: What `scontrol requeue` takes.
        restarts: How often SLURM started it anew.
        node: That it runs on.
        gpus: The cards it was given, as CUDA_VISIBLE_DEVICES names them.
        seconds: From `began` until its walltime is over; ``None`` where nobody says.
        began: When this was looked at, on this host's monotonic clock; ``None``: now.
        notice: Seconds before that end at which SLURM sends SIGTERM, if it was asked to.
    """

    def __init__(
        self, id: str, requeue_id: str, *, restarts: int = 0, node: str = "", gpus: tuple[str, ...] = (),
        seconds: float | None = None, began: float | None = None, notice: float | None = None,
    ) -> None:  # fmt: skip
        self.id, self.requeue_id, self.restarts, self.node, self.gpus = id, requeue_id, restarts, node, gpus
        self.seconds, self.notice = seconds, notice
        self.began = time.monotonic() if began is None else began

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> JobFacts | None:
        """The job that has this environment; ``None`` outside of any."""
        own = environment.get("SLURM_JOB_ID")
        if not own:
            return None
        array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
        cards = environment.get("CUDA_VISIBLE_DEVICES", "")
        return cls(
            id=f"{array}_{task}" if array and task else own,
            requeue_id=own,
            restarts=_number(environment.get("SLURM_RESTART_COUNT")) or 0,
            node=environment.get("SLURMD_NODENAME", ""),
            gpus=tuple(card for card in cards.split(",") if card),
            seconds=seconds_left(environment),
            notice=_number(environment.get(NOTICE)),
        )

    def seconds_left(self) -> float | None:
        """Until SLURM ends the job."""
        return None if self.seconds is None else self.seconds - (time.monotonic() - self.began)

    def is_almost_over(self, within: float) -> bool:
        """Whether so many seconds are left of the walltime, or of a short one its last fifth."""
        left = self.seconds_left()
        return left is not None and left < min(within, (self.seconds or 0.0) / 5)

    def is_out_of_time(self) -> bool:
        """Whether a SIGTERM that comes now is SLURM's notice that the walltime is almost over."""
        left = self.seconds_left()
        return self.notice is not None and left is not None and left <= self.notice + _EARLY

    def to_json(self) -> dict[str, Any]:
        """What a request says of the job."""
        return {"job": self.id, "restarts": self.restarts}


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Until the job that a process was started in ends; ``None`` outside of one, or where nobody says.

    What its script, or whoever started a runner in the middle of the job, counted is nearer than what SLURM says, which is of
    the whole job (from 23.02 on). Both of its ends are the controller's clock's: their difference is right whatever this
    node's clock says."""
    told = environment.get(ENDS_IN)
    if told:
        return float(told)
    begin, end = _number(environment.get("SLURM_JOB_START_TIME")), _number(environment.get("SLURM_JOB_END_TIME"))
    return None if begin is None or end is None else float(end - begin)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
