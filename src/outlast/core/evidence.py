"""What a runner says: that it is alive, and what it saw (``exit.json``). What that means is decided in `outlast.core.faults`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from outlast.core.plain_json import plain_json


class JobEnd(str, Enum):
    """Why the job that an attempt ran in is over, as its scheduler tells it; its executor translates the scheduler's words."""

    UNTOLD = "untold"  # it ended by itself, or its scheduler cannot say: what the runner saw is all
    CANCELLED = "cancelled"  # by a person
    WALLTIME = "walltime"
    PREEMPTED = "preempted"
    HOST_LOST = "host_lost"
    OUT_OF_MEMORY = "out_of_memory"
    REQUEUED = "requeued"  # its scheduler started it again, or will
    NEVER_SUBMITTED = "never_submitted"

    @property
    def blames_nobody(self) -> bool:
        """Whether a job that ends so before its runner began says nothing against the attempt."""
        return self not in (JobEnd.UNTOLD, JobEnd.WALLTIME, JobEnd.OUT_OF_MEMORY)


class Report(Struct, frozen=True):
    """One line of ``reports.jsonl``: metrics at a step."""

    step: int
    metrics: Mapping[str, float]


class Evidence(Struct, frozen=True):
    """What is known of an attempt that is over. Seconds are of the runner's monotonic clock."""

    exit_code: int | None = None  # of the training; None if it was ended by a signal or never ran
    signal: int | None = None  # that ended the training
    seconds: float = 0.0
    host: str = ""
    started_at: str = ""
    ended_at: str = ""
    scores: Mapping[str, float] = {}  # objective → final value
    source: str = ""  # where the scores were found: report, file, hook, marker, output, pattern, score_file
    notes: tuple[str, ...] = ()  # disagreements between sources, and the like
    metrics: Mapping[str, float] = {}  # every metric name that was seen → last value
    reports: tuple[Report, ...] = ()
    tail: tuple[str, ...] = ()  # last lines of output
    traceback: str = ""  # the last one in the output
    stop_reason: str = ""  # of the stop request that was delivered: user, pruned, timeout, walltime, hang …
    acknowledged: bool = False  # the script saw should_stop
    terminated: bool = False  # the runner delivered a termination signal while the training lived
    done: bool = False  # the script said that its result counts
    pruned: bool = False  # the script gave itself up (Optuna's TrialPruned)
    outside_signal: int | None = None  # a termination signal that the runner itself received
    resumed: bool = False
    new_steps: bool = True  # reported beyond where the attempt began
    saved: bool = False  # a checkpoint was written during the attempt
    lost: str = ""  # set by the coordinator that gave the attempt up: why
    together: bool = False  # set by the coordinator: everything on its host, as far as known, was lost with it
    job_end: JobEnd = JobEnd.UNTOLD  # set by the coordinator: what the scheduler says of the attempt's job
    never_started: bool = False
    error: str = ""  # the runner could not start the training: why
    oom_killed: bool = False  # the kernel killed in our cgroup, at our own memory limit
    host_oom: bool = False  # the kernel killed because the machine, or a group around ours, ran out of memory
    peak_memory: int = 0  # bytes, of the largest process
    machine_memory: int = 0  # bytes
    foreign_gpu_memory: int | None = None  # bytes of others on its cards when it began; None: not known
    foreign_gpu_memory_end: int | None = None  # the same when it was over
    disk_full: bool = False  # the runner itself could not write for lack of room, or none was left at the end

    def to_json(self) -> dict[str, Any]:
        """The plain object of ``exit.json``; fields at their default are left out."""
        plain = {key: plain_json(value) for key, value in asdict(self).items() if value != _DEFAULTS[key]}
        plain["version"] = 1
        return plain

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Evidence:
        """Read ``exit.json`` back. Unknown keys are ignored."""
        kwargs = {key: value for key, value in obj.items() if key in cls.__struct_fields__}
        kwargs["reports"] = tuple(Report(int(r["step"]), _floats(r["metrics"])) for r in kwargs.get("reports", ()))
        for key in ("scores", "metrics"):
            kwargs[key] = _floats(kwargs.get(key, {}))
        for key in ("notes", "tail"):
            if key in kwargs:
                kwargs[key] = tuple(kwargs[key])
        told = kwargs.get("job_end")
        kwargs["job_end"] = next((end for end in JobEnd if end.value == told), JobEnd.UNTOLD)
        return cls(**kwargs)


def _floats(obj: Mapping[str, Any]) -> dict[str, float]:
    return {str(key): float(value) for key, value in obj.items()}


_DEFAULTS = asdict(Evidence())


class Alive(Struct, frozen=True):
    """What the file ``alive`` holds: the heartbeat, and what a host that sees new files late could otherwise not know.

    The first line is the heartbeat and is written over. On a network filesystem the runner's claim and, in the end, the evidence
    follow, one line each: copies of ``started.json`` and ``exit.json``, written after those. The file exists from the start, so
    whoever opens it reads what it has now, while a file that was looked for in vain stays missing for up to a minute.
    """

    beat: bytes = b""
    claim: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, data: bytes | None) -> Alive:
        """Read it; a line that is not whole is none."""
        beat, *copies = (data or b"").split(b"\n")[:-1] or [b""]
        claim, evidence, *_ = [*map(_parsed, copies), None, None]
        return cls(beat, claim, evidence)


def beat(number: int, seconds: float, at: str) -> bytes:
    """The line of a heartbeat: its number, seconds of training, and the time; always of the same length."""
    return f"{number:012d} {seconds:012.1f} {at}\n".encode()


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
