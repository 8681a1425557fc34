"""The job that this process runs in, from what SLURM puts into its environment (sbatch(1), "output environment variables")."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ENDS_IN", "KILL_WAIT", "JobFacts", "grace_within", "seconds_left"]

#: Seconds that SLURM leaves between SIGTERM and SIGKILL (``KillWait`` of slurm.conf); job scripts set it.
KILL_WAIT = "OUTLAST_KILL_WAIT"
#: Seconds until the job's walltime is over, for a runner that is started in the middle of one.
ENDS_IN = "OUTLAST_ENDS_IN"
_SPARE = 5.0  # seconds of KillWait for writing the evidence


def grace_within(grace: float, environment: Mapping[str, str]) -> float:
    """Seconds that a training may take to stop when the job itself was told to: what the scheduler leaves it, at most."""
    kill_wait = _number(environment.get(KILL_WAIT))
    return grace if kill_wait is None else min(grace, max(1.0, kill_wait - _SPARE))


@dataclass(frozen=True)
class JobFacts:
    """One job, or one task of an array, seen from inside.

    Attributes:
        id: ``123``, or ``120_7`` for a task: the name under which a listing shows it.
        requeue_id: What ``scontrol requeue`` takes.
        restarts: How often SLURM started it anew.
        gpus: The cards it was given, as ``CUDA_VISIBLE_DEVICES`` names them.
        seconds: Its walltime; ``None`` where SLURM does not say.
        began: When this was looked at, on this host's monotonic clock: at the job's start, as good as.
    """

    id: str
    requeue_id: str
    restarts: int = 0
    node: str = ""
    gpus: tuple[str, ...] = ()
    seconds: float | None = None
    began: float = field(default_factory=time.monotonic)

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
            seconds=_walltime(environment),
        )

    def seconds_left(self) -> float | None:
        """Until SLURM ends the job."""
        return None if self.seconds is None else self.seconds - (time.monotonic() - self.began)

    def to_json(self) -> dict[str, Any]:
        """What a request says of the job."""
        return {"job": self.id, "restarts": self.restarts}


def _walltime(environment: Mapping[str, str]) -> float | None:
    """Seconds from the job's start to its end; ``None`` where SLURM does not say.

    Both ends are the controller's clock's: their difference is right whatever this node's clock says."""
    begin, end = _number(environment.get("SLURM_JOB_START_TIME")), _number(environment.get("SLURM_JOB_END_TIME"))
    return None if begin is None or end is None else float(end - begin)


def seconds_left(environment: Mapping[str, str]) -> float | None:
    """Until the job that a runner was started in ends; ``None`` outside of one, or where SLURM does not say."""
    told = environment.get(ENDS_IN)
    return float(told) if told else _walltime(environment)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
