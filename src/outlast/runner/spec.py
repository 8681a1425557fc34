"""What a runner is told: the content of ``open/NNNN.K``. Paths inside the study are relative to its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from outlast.client import checkpoints_in


def silent_after() -> float:
    """Seconds without a new heartbeat after which an attempt on another host is given up.

    Its runner writes one every 24th part of that, and ends its training itself after half of it without success. Two more waits
    hang on it: a scheduler has half of it to say for what a job was ended, and a worker all of it to claim what it was given.
    """
    return float(os.environ.get("OUTLAST_SILENT_SECONDS") or 120.0)


class RunnerSpec(Struct, frozen=True):
    """One attempt, complete: no study file is needed beside it. Durations are seconds."""

    trial: int
    attempt: int
    argv: tuple[str, ...]
    cwd: str
    trial_dir: str
    attempt_dir: str
    checkpoint_dir: str  # relative to the study, or absolute where `checkpoints.dir` says so
    objectives: tuple[Mapping[str, Any], ...]
    checkpoint_pattern: tuple[str, ...] = ()
    saved_before: tuple[tuple[int, int], ...] | None = None  # stamps of the checkpoints there were; None: not known
    env: Mapping[str, str] = {}
    params: Mapping[str, Any] = {}
    seed: int = 0
    resume: bool = False
    start_over: bool = False  # begins with an empty checkpoint folder
    grace: float = 120.0
    timeout: float | None = None
    hang_after: float | None = None
    seconds_before: float = 0.0  # of earlier attempts; the timeout is the trial's
    last_step: int | None = None  # the highest step that an earlier attempt reported
    heartbeat: float = field(default_factory=lambda: silent_after() / 24)
    gpus: tuple[str, ...] = ()  # UUIDs of its cards
    gpu_locks: tuple[tuple[int, int, int], ...] = ()  # for each card: inherited descriptor, the share's start, units
    slot_fd: int | None = None  # inherited: the lock on its slot, where several studies share them
    shared: bool = False  # other trials run in the working directory meanwhile, as far as the coordinator knows
    segment: int = 0  # of the ledger that opened the attempt: nobody starts it once there is a newer one
    srun: bool = False  # within a job of SLURM's, srun starts the command: on all of its nodes
    srun_arguments: tuple[str, ...] = ()  # of its own
    tell_after: float | None = None  # without a heartbeat of the coordinator's, people are told; None: nobody is to be
    pipe_fd: int | None = None  # inherited socket to the coordinator, for objectives that draw as they go

    @property
    def place_fds(self) -> list[int]:
        """Inherited descriptors that hold the attempt's cards and its slot."""
        return [*(fd for fd, _, _ in self.gpu_locks), *([] if self.slot_fd is None else [self.slot_fd])]

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps({"version": 1, **asdict(self)})

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> RunnerSpec:
        """Read it back; unknown keys are ignored."""
        kwargs = {key: value for key, value in obj.items() if key in cls.__struct_fields__}
        for key in ("argv", "objectives", "gpus", "checkpoint_pattern", "srun_arguments"):
            kwargs[key] = tuple(kwargs.get(key, ()))
        kwargs["gpu_locks"] = tuple(tuple(lock) for lock in kwargs.get("gpu_locks", ()))
        if kwargs.get("saved_before") is not None:
            kwargs["saved_before"] = tuple((int(at), int(size)) for at, size in kwargs["saved_before"])
        return cls(**kwargs)

    def stamps(self, root: Path) -> tuple[tuple[int, int], ...]:
        """When each checkpoint that is there now was written, and its size."""
        return tuple(sorted(set(checkpoints_in(str(root / self.checkpoint_dir), self.checkpoint_pattern).values())))

    def has_saved(self, root: Path) -> bool:
        """Whether there is a checkpoint that was not there before.

        What is compared are two looks at one folder, not its clock with another's. One that was only renamed is not new, nor
        is an old one that has become the newest. Where nobody looked before, any counts: not knowing is no loss.
        """
        return not set(self.stamps(root)) <= set(self.saved_before or ())

    def token(self, root: os.stat_result) -> str:
        """What every process of this attempt carries in its environment; `root` is the study folder's status."""
        return f"{_token(root, self.trial)}{self.attempt};"


def token_of_attempt(root: str, trial: int, attempt: int) -> str:
    """What every process of an attempt carries in its environment. Made from the folder's inode: a copy has another."""
    return f"{token_of_trial(root, trial)}{attempt};"


def token_of_trial(root: str, trial: int) -> str:
    """The part of the token that all attempts of a trial share."""
    return _token(os.stat(root), trial)


def _token(status: os.stat_result, trial: int) -> str:
    return f"outlast:{status.st_dev:x}.{status.st_ino:x}:{trial}."


def token_of_study(root: str) -> str:
    """The part of the token that all trials of a study share."""
    status = os.stat(root)
    return f"outlast:{status.st_dev:x}.{status.st_ino:x}:"
