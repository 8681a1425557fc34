"""The states of a trial and of a study, and the causes an attempt can end for."""

from __future__ import annotations

from enum import Enum

#: The reason on record of a trial that a person gave up for good.
BY_HAND = "stopped by hand (outlast stop --trial)"
#: A study's: the session that it ran in was about to end.
AT_DEADLINE = "its session's deadline was near; the same command goes on in the next one"
#: Likewise: a machine that goes down sends such a signal as well, and nobody wanted its end then.
BY_SIGNAL = "ended by a signal; the same command goes on"


class _Word(str, Enum):
    """A word that every file and command uses."""

    def __str__(self) -> str:
        return str(self.value)


class TrialState(_Word):
    """Where a trial stands."""

    CREATED = "created"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    INFEASIBLE = "infeasible"

    @property
    def finished(self) -> bool:
        """Whether the trial has its outcome and waits for nothing more."""
        return self in FINISHED


#: States of trials that have their outcome.
FINISHED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.INFEASIBLE})
#: States of trials that still wait for their outcome.
UNFINISHED = tuple(state for state in TrialState if state not in FINISHED)
#: The order in which states are told: what matters first.
STATE_ORDER = (
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.FAILED,
    TrialState.INFEASIBLE,
    TrialState.INTERRUPTED,
    TrialState.RUNNING,
    TrialState.CREATED,
)


class StudyState(_Word):
    """Where a study stands, as ``outlast status`` says it."""

    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    STOPPED = "stopped"
    HALTED = "halted"
    DONE = "done"


class Cause(_Word):
    """Why an attempt ended as it did; `outlast.core.faults` says when it is which."""

    COMPLETED = "completed"
    PART = "part"  # one part (a seed, a fold) is done and the next one waits: no interruption at all
    PRUNED = "pruned"
    STOPPED = "stopped"  # a person or a signal of ours asked
    NEVER_STARTED = "never_started"  # no runner claimed the attempt: not a loss, not counted
    PREEMPTED = "preempted"
    LOST = "lost"  # runner or host gone
    WALLTIME = "walltime"
    TRANSIENT = "transient"
    GPU_OUT_OF_MEMORY = "gpu_out_of_memory"
    HOST_OUT_OF_MEMORY = "host_out_of_memory"
    DIVERGED = "diverged"
    CRASH = "crash"
    NO_SCORE = "no_score"
    HANG = "hang"
    TIMEOUT = "timeout"
    BAD_CHECKPOINT = "bad_checkpoint"
    DISK_FULL = "disk_full"
    CONSTRAINT = "constraint"  # derive said "infeasible"
    SPACE_CHANGED = "space_changed"  # does not fit an accepted new revision
    IMPORTED = "imported"  # failed in the study that it was imported from


#: Failures that say something about the configuration; the sampler learns from them. The others are the machine's.
FEEDBACK_CAUSES = frozenset({Cause.DIVERGED, Cause.CRASH, Cause.TIMEOUT, Cause.NO_SCORE, Cause.IMPORTED})
