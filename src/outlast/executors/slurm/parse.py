"""What SLURM's commands answer about jobs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from outlast.core.evidence import JobEnd

#: Between fields and after records: control characters, since names and comments hold anything else, newlines included.
SEPARATOR, _RECORD_END = "\x1f", "\x1e"
_SQUEUE_FIELDS = (
    "JobArrayID", "ArrayJobID", "ArrayTaskID", "State", "Reason", "NodeList", "Name", "Comment", "RestartCnt", "StartTime",
    "EndTime",
)  # fmt: skip
#: For ``squeue --Format``. Width 0 is the width of the value; only this form has RestartCnt (`-o` ran out of letters).
SQUEUE_FORMAT = f":0{SEPARATOR},".join(_SQUEUE_FIELDS) + f":0{_RECORD_END}"
#: For ``sacct --format``. Nothing here may hold a newline; Restarts came with 23.11 only, and names are incomplete for seconds.
SACCT_FIELDS = ("JobID", "State", "NodeList", "Start", "End")


class JobLife(Enum):
    """What a job's state says about it. `UNKNOWN` says nothing: it is never an ending."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


#: Every state of squeue(1) and sacct(1), SLURM 22 to 25 (slurm_protocol_defs.c). COMPLETING still runs its epilog, and its
#: processes may live. A REVOKED job runs in another cluster of the federation. LAUNCH_FAILED, RECONFIG_FAIL and UPDATE_DB are
#: flags beside a state, of a job that is about to be requeued or written down: they say nothing by themselves.
_LIVES: Mapping[str, JobLife] = {
    **dict.fromkeys(
        ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "EXPEDITING"),
        JobLife.WAITING,
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING", "RESIZING", "POWER_UP_NODE"),
        JobLife.RUNNING,
    ),
    **dict.fromkeys(
        ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"),
        JobLife.ENDED,
    ),
    **dict.fromkeys(("REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL", "UPDATE_DB"), JobLife.UNKNOWN),
}  # fmt: skip

_ENDS: Mapping[str, JobEnd] = {
    "CANCELLED": JobEnd.CANCELLED,
    "TIMEOUT": JobEnd.WALLTIME,
    "DEADLINE": JobEnd.WALLTIME,
    "PREEMPTED": JobEnd.PREEMPTED,
    "NODE_FAIL": JobEnd.HOST_LOST,
    "BOOT_FAIL": JobEnd.HOST_LOST,
    "OUT_OF_MEMORY": JobEnd.OUT_OF_MEMORY,
}
_STANDING_STILL = ("SUSPENDED", "STOPPED")


def _word(state: str) -> str:
    return state.split(maxsplit=1)[0].rstrip("+") if state.strip() else ""


def life_of(state: str) -> JobLife:
    """What a state's name means; a name that nobody knows means nothing."""
    return _LIVES.get(_word(state), JobLife.UNKNOWN)


class Job(Struct, frozen=True):
    """One job, or one task of an array."""

    id: str  # 123, or 120_7 for a task
    array: str  # the array's id; the job's own where there is none
    task: int | None  # the task's index, or None
    state: str  # SLURM's word
    reason: str = ""  # why it waits
    node: str = ""  # where it runs: one, or a list such as n[1-2]
    name: str = ""
    comment: str = ""  # as submitted; empty where there is none
    restarts: int = 0  # how often it was requeued
    starts: float | None = None  # when it started or is expected to, seconds since the epoch, or None
    ends: float | None = None  # when it ended or its walltime will be over; likewise

    @property
    def word(self) -> str:
        """The state alone: ``CANCELLED`` for ``CANCELLED by 1000``."""
        return _word(self.state)

    @property
    def life(self) -> JobLife:
        """What the state means."""
        return life_of(self.state)

    @property
    def end(self) -> JobEnd:
        """Why a job that is certainly over ended."""
        return _ENDS.get(self.word, JobEnd.UNTOLD)

    @property
    def leaving(self) -> bool:
        """Whether it is over but for its epilog; its processes may live, and why it ended is not said yet."""
        return self.word == "COMPLETING"

    @property
    def suspended(self) -> bool:
        """Whether it stands still: it keeps its node, trains nothing, and wakes up where it was."""
        return self.word in _STANDING_STILL


class Refusal(Enum):
    """What a failed command's words mean."""

    LIMIT = "limit"  # passes: wait and try again
    MISTAKE = "mistake"  # in the request, or of the site
    NO_ANSWER = "no_answer"  # nothing is known; the job may exist


#: slurm_errno.c, and what the client adds of its own.
_NO_ANSWER = re.compile(
    r"Unable to contact slurm controller|Socket timed out|Zero Bytes were transmitted|Connection (?:refused|reset|timed out)"
    r"|connect failure|[Mm]essage (?:send|receive) failure|controller in standby|Could not establish a configuration source"
    r"|Protocol authentication error|Transport endpoint is not connected|Problem talking to (?:the )?database"
    r"|Resource temporarily unavailable|Unexpected message received"
)
#: ``AssocMaxSubmitJobLimit``, ``QOSGrpSubmitJobsLimit`` and their like; and what an administrator's work in progress looks like.
_LIMIT = re.compile(
    r"SubmitJob|temporarily unable to accept job|temporarily disabled|queue full|Required partition not available"
    r"|Requested nodes are busy|maximum job count"
)
#: The name of a limit that this request breaks all by itself (``QOSMaxWallDurationPerJobLimit``): it will not pass.
_NAMED_LIMIT = re.compile(r"\b(?:Assoc|QOS)\w+(?:Limit|PerJob|PerUser|PerAccount|PerNode)\b")


def refusal_of(words: str) -> Refusal:
    """What sbatch's stderr means. A policy that is broken without its name being told may be a limit that passes."""
    if _NO_ANSWER.search(words):
        return Refusal.NO_ANSWER
    policy = "violates accounting/QOS policy" in words
    if _LIMIT.search(words) or (policy and not _NAMED_LIMIT.search(words)):
        return Refusal.LIMIT
    return Refusal.MISTAKE


def refusal_words(stderr: str) -> str:
    """What sbatch said, in one line and without saying twice that it was sbatch who said it."""
    prefixes = r"^(?:sbatch: )?(?:error: |allocation failure: )?(?:Batch job submission failed: )?"
    lines = [re.sub(prefixes, "", line.strip()) for line in stderr.splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith('Try "sbatch'))


def parse_start(stderr: str) -> float | None:
    """When a job could start, in what ``sbatch --test-only`` says of it; seconds since the epoch."""
    found = re.search(r"\bto start at (\d+) ", stderr)
    return float(found[1]) if found else None


def parse_sbatch(text: str) -> str:
    """The id in what ``sbatch --parsable`` prints (``123`` or ``123;cluster``)."""
    return text.strip().splitlines()[-1].split(";", 1)[0].strip() if text.strip() else ""


def parse_squeue(text: str) -> list[Job]:
    """The jobs in a listing made with `SQUEUE_FORMAT`. Records of another shape are passed over."""
    found = []
    for record in text.split(_RECORD_END):
        parts = record.removeprefix("\n").split(SEPARATOR)
        if len(parts) == len(_SQUEUE_FIELDS):
            identifier, array, task, state, reason, node, name, comment, restarts, starts, ends = map(_told, parts)
            found.append(
                Job(
                    identifier.splitlines()[-1], array, int(task) if task.isdigit() else None, state, reason, node, name, comment,
                    int(restarts) if restarts.isdigit() else 0, _instant(starts), _instant(ends),
                )
            )  # fmt: skip
    return found


def parse_sacct(text: str) -> list[Job]:
    """The jobs that have ended in what sacct prints of `SACCT_FIELDS`; without reasons and names.

    What has not ended in the accounting is left out: it may be a record that was never closed, or one that lags behind.
    """
    found = []
    for line in text.splitlines():
        parts = line.split(SEPARATOR)
        if len(parts) == len(SACCT_FIELDS) and life_of(parts[1]) is JobLife.ENDED:
            identifier, state, node, starts, ends = parts
            array, _, task = identifier.partition("_")
            number = int(task) if task.isdigit() else None
            found.append(Job(identifier, array, number, state, "", node, starts=_instant(starts), ends=_instant(ends)))
    return found


def _told(value: str) -> str:
    return "" if value == "(null)" else value


def _instant(value: str) -> float | None:
    """Seconds since the epoch: the commands are called with ``SLURM_TIME_FORMAT=%s``."""
    return float(value) if value.isdigit() else None


class Sightings:
    """What successive listings say of the jobs that somebody waits for.

    A job is certainly over when a listing shows it ended, or when two successful unfiltered listings in a row lack it. A listing
    that failed says nothing and breaks no row.

    Accounting explains an end and is never evidence of one: after a requeue it calls the job PREEMPTED or NODE_FAIL until the
    next start.
    """

    def __init__(self) -> None:
        self._last: dict[str, Job] = {}
        self._missing: dict[str, int] = {}

    def take(self, listing: Iterable[Job] | None, waited_for: Iterable[str]) -> None:
        """Take a listing in; ``None`` for one that failed."""
        if listing is None:
            return
        seen = {job.id: job for job in listing}
        for job in waited_for:
            if job in seen:
                self._last[job] = seen[job]
                self._missing.pop(job, None)
            else:
                self._missing[job] = self._missing.get(job, 0) + 1

    @property
    def missing(self) -> list[str]:
        """Jobs that the last listing lacked and that were not seen to end: accounting may know why."""
        last = self._last
        return [job for job in self._missing if job not in last or last[job].life is not JobLife.ENDED]

    def explain(self, past: Iterable[Job]) -> None:
        """Take in what accounting says of jobs that are missing."""
        for job in past:
            if job.id in self._missing:
                restarts = self._last[job.id].restarts if job.id in self._last else 0
                self._last[job.id] = replace(job, restarts=restarts)

    def certainly_over(self, job: str) -> bool:
        """Whether there is positive evidence that the job is over."""
        if self._missing.get(job, 0) >= 2:
            return True
        last = self._last.get(job)
        return last is not None and not self._missing.get(job) and last.life is JobLife.ENDED

    def last(self, job: str) -> Job | None:
        """How the job was last seen."""
        return self._last.get(job)
