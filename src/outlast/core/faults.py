"""What an attempt's evidence means: one pure function from (evidence, history, policy) to an outcome.

The table is DESIGN's "How a trial ends"; the order of the checks below is its order, first match wins.
"""

from __future__ import annotations

import math
import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from outlast.core.advice import advice
from outlast.core.evidence import Evidence, Report
from outlast.core.records import AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.core.symptoms import Symptom, last_words, line_about, signature_of, symptom_of, told_story, was_killed

__all__ = [
    "BY_HAND",
    "HOPELESS",
    "NEGLIGIBLE_GPU_MEMORY",
    "Decision",
    "Policy",
    "decide",
    "diverged_at",
    "ended_by_others",
    "is_beyond_hope",
    "signature_of",
]

_RESUME_EXITS = (75, 130, 143)  # EX_TEMPFAIL (sysexits.h): "resume me"; 128 + SIGINT and SIGTERM: of a shell, of srun
_OUTSIDE = (signals.SIGTERM, signals.SIGINT, signals.SIGHUP)
_GIVEN_AGAIN = (Cause.DISK_FULL, Cause.CRASH)  # no trial's fault; asked for by `retries`
_LOSSES = (Cause.LOST, Cause.PREEMPTED, Cause.HOST_OUT_OF_MEMORY)

#: Bytes that others may hold on a card without being in the way: a desktop, an idle notebook.
NEGLIGIBLE_GPU_MEMORY = 512 * 2**20

#: Why a trial was given up for good: by the pruner, or by a person.
HOPELESS, BY_HAND = "pruned: hopeless against the others", "stopped by hand (outlast stop --trial)"
#: What an interruption is called that was asked for, by the request's reason.
_STOPPED = {
    "user": "stopped on request",
    "halted": "stopped because the search halted",
    "budget": "stopped because the search came to its end",
}


@dataclass(frozen=True)
class Policy:
    """The parts of the study file that decisions depend on."""

    objectives: tuple[str, ...]
    retries: int = 0
    timeout_counts: bool = False
    restart_interrupted: bool = True  # otherwise a lost trial is given up and a new one drawn in its place
    losses_in_a_row: int = 3
    transient_in_all: int = 3
    smaller: Mapping[str, Any] = field(default_factory=dict)  # what a trial too large for its card may run with instead


@dataclass(frozen=True)
class Decision:
    """An outcome before it has its place and time."""

    state: TrialState
    cause: Cause
    reason: str
    values: tuple[float, ...] | None = None
    signature: str = ""
    instead: Mapping[str, Any] = field(default_factory=dict)  # values for the trial's further attempts


def decide(evidence: Evidence, trial: Trial, policy: Policy) -> Decision:
    """What this attempt's end means for its trial.

    Args:
        evidence: What the runner saw.
        trial: The trial with its earlier outcomes.
        policy: Of the study.
    """
    if evidence.never_started:
        return Decision(TrialState.INTERRUPTED, Cause.NEVER_STARTED, "the attempt was never started")
    decision = _judge(evidence, trial, policy)
    replaced = decision.state is TrialState.INTERRUPTED and decision.cause not in _GIVEN_AGAIN
    if replaced and not policy.restart_interrupted and not decision.instead:
        return replace(decision, state=TrialState.FAILED, reason=f"{decision.reason}; a new trial takes its place")
    return decision


def _judge(evidence: Evidence, trial: Trial, policy: Policy) -> Decision:
    if evidence.pruned:
        return Decision(TrialState.PRUNED, Cause.PRUNED, "the objective pruned itself")
    if evidence.done:
        return _finished(evidence, policy)
    if evidence.stop_reason:
        stopped = _asked_to_stop(evidence, trial, policy)
        if stopped is not None:
            return stopped
    if evidence.scheduler and ended_by_others(evidence):
        ended = _ended_by_scheduler(evidence, trial, policy)
        if ended is not None:
            return ended
    if evidence.lost:
        return _interrupted(trial, policy, Cause.LOST, evidence.lost, evidence)
    if _stopped_from_outside(evidence):
        return _interrupted(trial, policy, Cause.PREEMPTED, _describe_end(evidence), evidence)
    if evidence.exit_code == 0:
        return _finished(evidence, policy)
    return _crashed(evidence, trial, policy)


def _asked_to_stop(evidence: Evidence, trial: Trial, policy: Policy) -> Decision | None:
    """What a request to stop makes of the end; ``None`` if the training had ended by itself before the request reached it.

    A request that did reach it decides, whatever the exit code or score: a script that saves on SIGTERM and leaves in order
    has not finished.
    """
    reason = evidence.stop_reason
    if reason == "pruned":
        return Decision(TrialState.PRUNED, Cause.PRUNED, HOPELESS)
    if not _reached(evidence) and not evidence.lost:
        return None
    match reason:
        case "timeout":
            return _timed_out(evidence, policy)
        case "hang":
            return _hung(trial)
        case "diverged":
            at = diverged_at(evidence.reports, policy.objectives)
            return _diverged(f"{at or 'a metric that is no number'}; ended at once")
        case "walltime" if not _moved_on(evidence):
            return Decision(TrialState.FAILED, Cause.WALLTIME, "no step fits into the walltime")
        case "walltime":
            return Decision(TrialState.INTERRUPTED, Cause.WALLTIME, "out of walltime")
        case "preempted":  # by somebody's signal; whose it was, the scheduler may tell
            return _ended_by_scheduler(evidence, trial, policy) or _interrupted(
                trial, policy, Cause.PREEMPTED, "preempted", evidence
            )
    return Decision(TrialState.INTERRUPTED, Cause.STOPPED, _STOPPED.get(reason, f"stopped ({reason})"))


def _ended_by_scheduler(evidence: Evidence, trial: Trial, policy: Policy) -> Decision | None:
    """What the scheduler says of the end of a training that did not end by itself; ``None`` where its word adds nothing."""
    match evidence.scheduler:
        case "CANCELLED":  # by a person: no fault, and no loss
            return Decision(TrialState.INTERRUPTED, Cause.STOPPED, "its job was cancelled")
        case "TIMEOUT" | "DEADLINE" if not _moved_on(evidence):
            return Decision(TrialState.FAILED, Cause.WALLTIME, "no step fits into the walltime")
        case "TIMEOUT" | "DEADLINE":
            return Decision(TrialState.INTERRUPTED, Cause.WALLTIME, "out of walltime")
        case "PREEMPTED":
            return _interrupted(trial, policy, Cause.PREEMPTED, "its job was preempted", evidence)
        case "NODE_FAIL" | "BOOT_FAIL":
            return _interrupted(trial, policy, Cause.LOST, "its node failed", evidence)
        case "OUT_OF_MEMORY":
            return Decision(
                TrialState.INFEASIBLE, Cause.HOST_OUT_OF_MEMORY, "out of memory: ended at its job's memory limit"
            )
    return None


def _reached(evidence: Evidence) -> bool:
    """Whether the training knew: it acknowledged the request, or a termination signal was delivered to it."""
    return evidence.acknowledged or evidence.terminated or evidence.signal in (*_OUTSIDE, signals.SIGKILL)


def _timed_out(evidence: Evidence, policy: Policy) -> Decision:
    values = _values(evidence, policy)
    if policy.timeout_counts and values is not None and all(map(math.isfinite, values)):
        return Decision(TrialState.COMPLETE, Cause.TIMEOUT, "ran into trial.timeout; its last report counts", values)
    return Decision(TrialState.FAILED, Cause.TIMEOUT, "ran longer than trial.timeout")


def _hung(trial: Trial) -> Decision:
    if any(outcome.cause is Cause.HANG for outcome in _standing(trial)):
        return Decision(TrialState.FAILED, Cause.HANG, "silent for longer than trial.hang_after, twice")
    reason = "silent for longer than trial.hang_after; ended, tried once more"
    return Decision(TrialState.INTERRUPTED, Cause.HANG, reason)


def _diverged(what: str) -> Decision:
    return Decision(TrialState.FAILED, Cause.DIVERGED, f"diverged: {what}", signature="diverged")


def diverged_at(reports: Sequence[Report], objectives: Sequence[str]) -> str | None:
    """The first report in which an objective is no number, as a phrase; of infinite ones if there is none; else ``None``."""
    for bad in (math.isnan, math.isinf):
        for report in reports:
            for name in objectives:
                if bad(report.metrics.get(name, 0.0)):
                    return f"{name} = {report.metrics[name]} at step {report.step}"
    return None


def is_beyond_hope(reports: Sequence[Report], objectives: Sequence[str]) -> bool:
    """Whether an objective has become NaN. An infinite one may come back: a perplexity overflows, a scaler skips a step."""
    return any(math.isnan(report.metrics.get(name, 0.0)) for report in reports for name in objectives)


def ended_by_others(evidence: Evidence) -> bool:
    """Whether the training did not end by itself, nor on our request, as far as its runner could see."""
    if evidence.lost:
        return True
    unasked = evidence.stop_reason in ("", "preempted")
    return unasked and (_stopped_from_outside(evidence) or evidence.signal == signals.SIGKILL)


def _stopped_from_outside(evidence: Evidence) -> bool:
    if evidence.outside_signal is not None:
        return True
    if evidence.exit_code in _RESUME_EXITS:
        return True
    return evidence.signal in _OUTSIDE


def _interrupted(trial: Trial, policy: Policy, cause: Cause, reason: str, evidence: Evidence) -> Decision:
    losses = 0 if _moved_on(evidence) else 1
    if losses:
        for outcome in reversed(_standing(trial)):
            if outcome.cause not in _LOSSES:
                break
            losses += 1
            if outcome.saved or (outcome.last_step is not None and outcome.last_step > _begun_at(trial, outcome)):
                break
    if losses >= policy.losses_in_a_row:
        step = next((o.last_step for o in reversed(_standing(trial)) if o.last_step is not None), None)
        at = "before its first step" if step is None else f"at step {step}"
        return Decision(TrialState.FAILED, cause, f"lost {losses} times {at} without moving on; last: {reason}")
    return Decision(TrialState.INTERRUPTED, cause, reason)


def _moved_on(evidence: Evidence) -> bool:
    return evidence.saved or (evidence.new_steps and bool(evidence.reports))


def _begun_at(trial: Trial, outcome: AttemptEnded) -> int:
    """The last step before that attempt, of its part: each part counts from 0."""
    before = [o.last_step for o in trial.kept if o.attempt < outcome.attempt and o.part == outcome.part]
    return max((step for step in before if step is not None), default=-1)


def _standing(trial: Trial) -> Sequence[AttemptEnded]:
    """Outcomes that still count against the trial: a person's retry forgives the earlier ones; a start that never was is none."""
    return [
        o for a, o in ((a.number, a.outcome) for a in trial.attempts)
        if o is not None and a > trial.retried_at_attempt and o.cause is not Cause.NEVER_STARTED
    ]  # fmt: skip


def _finished(evidence: Evidence, policy: Policy) -> Decision:
    values = _values(evidence, policy)
    if values is None and evidence.disk_full:
        return Decision(TrialState.INTERRUPTED, Cause.DISK_FULL, "ended well, but the disk is full and holds no score")
    if values is None:
        missing = [name for name in policy.objectives if name not in evidence.scores]
        seen = ", ".join(sorted(evidence.metrics)) or "none"
        what = "; ".join(evidence.notes) or f"no value of {', '.join(missing)} was found; metric names seen: {seen}"
        return Decision(TrialState.FAILED, Cause.NO_SCORE, f"ended well, but {what}", signature="no score")
    bad = [
        f"{name} = {value}" for name, value in zip(policy.objectives, values, strict=True) if not math.isfinite(value)
    ]
    if bad:
        return _diverged(", ".join(bad))
    return Decision(TrialState.COMPLETE, Cause.COMPLETED, "", values)


def _values(evidence: Evidence, policy: Policy) -> tuple[float, ...] | None:
    try:
        return tuple(float(evidence.scores[name]) for name in policy.objectives)
    except KeyError:
        return None


def _crashed(evidence: Evidence, trial: Trial, policy: Policy) -> Decision:
    text = told_story(evidence.traceback, evidence.tail)
    last = last_words(text) or evidence.error
    signature = signature_of(text or evidence.error) or _describe_end(evidence)
    symptom = symptom_of(text)
    earlier = _standing(trial)
    if symptom is Symptom.GPU_MEMORY:
        return replace(_out_of_gpu_memory(evidence, earlier, policy, text), signature=signature)
    memory = _out_of_memory(evidence, trial, policy, text)
    if memory is not None:
        return replace(memory, signature=signature)
    if symptom is Symptom.DISK_FULL or evidence.disk_full:
        return Decision(TrialState.INTERRUPTED, Cause.DISK_FULL, last or "the disk is full", signature=signature)
    if symptom is Symptom.TRANSIENT and sum(o.cause is Cause.TRANSIENT for o in earlier) < policy.transient_in_all:
        return Decision(TrialState.INTERRUPTED, Cause.TRANSIENT, last, signature=signature)
    reason = _describe_end(evidence) + (f": {last}{advice(last)}" if last else "")
    if _last_is_no_number(evidence, policy):
        at = diverged_at(evidence.reports, policy.objectives) or "a metric that is no number"
        return _diverged(f"{at}; then {reason}")
    bad = "" if symptom else _bad_checkpoint(evidence, earlier, signature)
    if bad:
        return Decision(TrialState.INTERRUPTED, Cause.BAD_CHECKPOINT, f"{reason}; {bad}", signature=signature)
    crashes = sum(o.cause is Cause.CRASH for o in earlier)
    if crashes < policy.retries:
        again = f"{reason} (retry {crashes + 1} of {policy.retries})"
        return Decision(TrialState.INTERRUPTED, Cause.CRASH, again, signature=signature)
    return Decision(TrialState.FAILED, Cause.CRASH, reason, signature=signature)


def _out_of_gpu_memory(evidence: Evidence, earlier: Sequence[AttemptEnded], policy: Policy, text: str) -> Decision:
    """GPU memory: beside others it says nothing about the configuration; alone on its card it cannot run there."""
    cause, said = Cause.GPU_OUT_OF_MEMORY, line_about(Symptom.GPU_MEMORY, text)
    foreign = max(evidence.foreign_gpu_memory or 0, evidence.foreign_gpu_memory_end or 0)
    if foreign > NEGLIGIBLE_GPU_MEMORY:
        beside = f"{said}; others held {foreign / 2**30:.1f} GB there"
        times = 1 + sum(outcome.cause is cause and not outcome.instead for outcome in earlier)
        if times >= policy.losses_in_a_row:
            return Decision(TrialState.FAILED, cause, f"{beside}, {times} times")
        return Decision(TrialState.INTERRUPTED, cause, f"{beside}: another card next time")
    if policy.smaller:
        smaller = ", ".join(f"{name}={value}" for name, value in policy.smaller.items())
        return Decision(TrialState.INTERRUPTED, cause, f"{said}; once more with {smaller}", instead=policy.smaller)
    return Decision(TrialState.INFEASIBLE, cause, said)


def _out_of_memory(evidence: Evidence, trial: Trial, policy: Policy, text: str) -> Decision | None:
    """Host memory: the training's own doing cannot run here at all; a neighbour's is no fault of the configuration."""
    cause = Cause.HOST_OUT_OF_MEMORY
    last = last_words(text)
    if symptom_of(text) is Symptom.HOST_MEMORY:
        return Decision(TrialState.INFEASIBLE, cause, last)
    killed = evidence.signal == signals.SIGKILL or evidence.exit_code == 128 + signals.SIGKILL or was_killed(text)
    if killed and evidence.oom_killed:
        return Decision(TrialState.INFEASIBLE, cause, "out of memory: ended by the kernel at its memory limit")
    if not killed or not evidence.host_oom:
        return None
    used, whole = evidence.peak_memory, evidence.machine_memory
    share = f"with {used / 2**30:.1f} of {whole / 2**30:.1f} GB in use by it"
    if used > whole / 2:
        return Decision(TrialState.INFEASIBLE, cause, f"out of memory: ended by the kernel {share}")
    return _interrupted(
        trial, policy, cause, f"the machine ran out of memory and the kernel ended it, {share}", evidence
    )


def _last_is_no_number(evidence: Evidence, policy: Policy) -> bool:
    return any(not math.isfinite(evidence.scores.get(name, 0.0)) for name in policy.objectives)


def _bad_checkpoint(evidence: Evidence, earlier: Sequence[AttemptEnded], signature: str) -> str:
    """What is tried next where a resumed training died before it did anything new; empty where that is not the matter."""
    if not evidence.resumed or evidence.reports or evidence.saved or evidence.error:
        return ""
    if evidence.signal == signals.SIGKILL:
        return ""  # somebody else's doing: no checkpoint makes a training kill itself
    if any(o.cause is not Cause.BAD_CHECKPOINT and o.signature == signature for o in earlier):
        return ""  # it died like this before it ever resumed
    tried = sum(o.cause is Cause.BAD_CHECKPOINT for o in earlier)
    if tried == 0:
        return "it died before its first new step: the newest checkpoint is set aside and the one before tried"
    return "it died before its first new step again: it starts from scratch" if tried == 1 else ""


def _describe_end(evidence: Evidence) -> str:
    if evidence.error:
        return "could not be started"
    if evidence.signal is not None:
        try:
            return f"ended by {signals.Signals(evidence.signal).name}"
        except ValueError:
            return f"ended by signal {evidence.signal}"
    if evidence.outside_signal is not None:
        return f"the runner was sent {signals.Signals(evidence.outside_signal).name}"
    return f"exit code {evidence.exit_code}"
