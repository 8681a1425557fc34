"""What an attempt's evidence means: one pure function from (evidence, history, policy) to an outcome.

The checks stand below in their order: the first one that fits decides.
"""

from __future__ import annotations

import math
import signal as signals
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast.core.evidence import Evidence, JobEnd, Report
from outlast.core.records import AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.core.symptoms import (
    Symptom,
    advice,
    last_words,
    line_about,
    signature_of,
    symptom_of,
    told_story,
    was_killed,
)

_RESUME_EXITS = (75, 130, 143)  # EX_TEMPFAIL (sysexits.h): "resume me"; 128 + SIGINT and SIGTERM: of a shell, of srun
_OUTSIDE = (signals.SIGTERM, signals.SIGINT, signals.SIGHUP)
_GIVEN_AGAIN = (Cause.DISK_FULL, Cause.CRASH)  # no trial's fault; asked for by `retries`
_LOSSES = (Cause.LOST, Cause.PREEMPTED, Cause.HOST_OUT_OF_MEMORY)
_FOR_GOOD = (
    "pruned",
    "diverged",
    "hang",
    "timeout",
)  # requests that decide the trial's outcome, not only the attempt's

#: Bytes that others may hold on a card without being in the way: a desktop, an idle notebook.
NEGLIGIBLE_GPU_MEMORY = 512 * 2**20

_NO_STEP_FITS = "it reported no new step and saved no checkpoint within the walltime"
#: Why the pruner gave a trial up for good.
HOPELESS = "pruned: hopeless against the others"
#: What an interruption is called that was asked for, by the request's reason.
_STOPPED = {
    "user": "stopped on request",
    "halted": "stopped because the search halted",
    "budget": "stopped because the search came to its end",
    "deadline": "stopped before the session's deadline",
}


class Policy(Struct, frozen=True):
    """The parts of the study file that decisions depend on."""

    objectives: tuple[str, ...]
    retries: int = 0
    timeout_counts: bool = False
    restart_interrupted: bool = True  # otherwise a lost trial is given up and a new one drawn in its place
    losses_in_a_row: int = 3
    losses_with_host: int = 10  # where everything on the host went with it, which no trial is to blame for at first
    transient_in_all: int = 3
    smaller: Mapping[str, Any] = {}  # what a trial too large for its card may run with instead
    length: int | None = None  # the last step of the completed trials like this one, where that is certain
    part: int | None = None  # that the attempt ran, of a trial in parts
    needs_score: bool = True  # otherwise it is enough to end well


class Decision(Struct, frozen=True):
    """An outcome before it has its place and time."""

    state: TrialState
    cause: Cause
    reason: str
    values: tuple[float, ...] | None = None
    signature: str = ""
    instead: Mapping[str, Any] = {}  # values for the trial's further attempts


def decide(evidence: Evidence, trial: Trial, policy: Policy) -> Decision:
    """What this attempt's end means for its trial, which comes with its earlier outcomes."""
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
        return _finished(evidence, trial, policy)
    if _came_to_its_end(evidence, policy):
        whole = _finished(evidence, trial, policy)
        said = f"asked to stop, but at step {policy.length} it had come to its end, like the trials before"
        return replace(whole, reason="; ".join(filter(None, [said, whole.reason])))
    if evidence.stop_reason:
        stopped = _asked_to_stop(evidence, trial, policy)
        if stopped is not None:
            return stopped
    if ended_by_others(evidence):
        ended = _ended_by_scheduler(evidence, trial, policy)
        if ended is not None:
            return ended
    if evidence.lost:
        return _interrupted(trial, policy, Cause.LOST, evidence.lost, evidence)
    if _stopped_from_outside(evidence):
        return _interrupted(trial, policy, Cause.PREEMPTED, _describe_end(evidence), evidence)
    if evidence.exit_code == 0:
        return _finished(evidence, trial, policy)
    return _crashed(evidence, trial, policy)


def _asked_to_stop(evidence: Evidence, trial: Trial, policy: Policy) -> Decision | None:
    """What a request to stop makes of the end; ``None`` if the training had ended by itself before the request reached it.

    A request that did reach it decides, whatever the exit code or score: a script that saves on SIGTERM and leaves in order
    has not finished. Nor does it help to know that it went on for many more steps: a script may look at its flag once an
    epoch and report every batch. What does count is `_came_to_its_end`; and where nothing is certain, little is lost: the next
    attempt finds nothing to do, and the trial ends with what this one reported (`_with_earlier`).
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
            return Decision(TrialState.FAILED, Cause.WALLTIME, _NO_STEP_FITS)
        case "walltime":
            return Decision(TrialState.INTERRUPTED, Cause.WALLTIME, "out of walltime")
        case "preempted":  # by somebody's signal; whose it was, the scheduler may tell
            return _ended_by_scheduler(evidence, trial, policy) or _interrupted(
                trial, policy, Cause.PREEMPTED, "preempted", evidence
            )
    return Decision(TrialState.INTERRUPTED, Cause.STOPPED, _STOPPED.get(reason, f"stopped ({reason})"))


def _ended_by_scheduler(evidence: Evidence, trial: Trial, policy: Policy) -> Decision | None:
    """What the scheduler says of the end of a training that did not end by itself; ``None`` where its word adds nothing."""
    match evidence.job_end:
        case JobEnd.CANCELLED:  # by a person: no fault, and no loss
            return Decision(TrialState.INTERRUPTED, Cause.STOPPED, "its job was cancelled")
        case JobEnd.WALLTIME if not _moved_on(evidence):
            return Decision(TrialState.FAILED, Cause.WALLTIME, _NO_STEP_FITS)
        case JobEnd.WALLTIME:
            return Decision(TrialState.INTERRUPTED, Cause.WALLTIME, "out of walltime")
        case JobEnd.PREEMPTED:
            return _interrupted(trial, policy, Cause.PREEMPTED, "its job was preempted", evidence)
        case JobEnd.HOST_LOST:
            return _interrupted(trial, policy, Cause.LOST, "its node failed", replace(evidence, together=True))
        case JobEnd.OUT_OF_MEMORY:
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
    told = [(report.metrics.get(name, 0.0), name, report.step) for report in reports for name in objectives]
    found = ((value, name, step) for bad in (math.isnan, math.isinf) for value, name, step in told if bad(value))
    return next((f"{name} = {value} at step {step}" for value, name, step in found), None)


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
    signalled = evidence.outside_signal is not None or evidence.signal in _OUTSIDE
    return signalled or evidence.exit_code in _RESUME_EXITS


def _interrupted(trial: Trial, policy: Policy, cause: Cause, reason: str, evidence: Evidence) -> Decision:
    """A loss. The third in a row without anything new is the trial's own doing; where its whole host went each time, that is
    no sign of it, but a trial that takes its host down must end as well: it gets `Policy.losses_with_host`."""
    losses = [] if _moved_on(evidence) else [evidence.together]
    for outcome in reversed(_standing(trial)) if losses else ():
        if outcome.cause not in _LOSSES:
            break
        losses.append(outcome.together)
        if outcome.saved or (outcome.last_step is not None and outcome.last_step > _begun_at(trial, outcome)):
            break
    alone = losses.count(False)
    if alone >= policy.losses_in_a_row:
        said = f"lost {alone} times {_so_far(trial, evidence)} without moving on; last: {reason}"
        return Decision(TrialState.FAILED, cause, said)
    if len(losses) >= policy.losses_with_host:
        said = f"lost {len(losses)} times {_so_far(trial, evidence)} without moving on, {len(losses) - alone} of them with all"
        return Decision(
            TrialState.FAILED, cause, f"{said} that ran on its host: it may be what takes it down; last: {reason}"
        )
    return Decision(TrialState.INTERRUPTED, cause, reason)


def _so_far(trial: Trial, evidence: Evidence) -> str:
    """How far a trial has come, as far as anybody has seen."""
    steps = [outcome.last_step for outcome in trial.kept if outcome.last_step is not None]
    steps = steps[-1:] or [report.step for report in evidence.reports]
    if steps:
        return f"at step {max(steps)}"
    saved = evidence.resumed or any(outcome.saved for outcome in trial.kept)
    return "after its last checkpoint" if saved else "before its first step or checkpoint"


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


def _came_to_its_end(evidence: Evidence, policy: Policy) -> bool:
    """Whether a training that was asked to stop had nothing left to do: it left with 0 and a score, and its last step is the
    one at which every completed trial like it ended (`Policy.length`). A partial score would come from an earlier one."""
    asked = evidence.stop_reason not in ("", *_FOR_GOOD) or evidence.outside_signal is not None
    if not asked or evidence.exit_code != 0 or policy.length is None or _values(evidence, policy) is None:
        return False
    return max((report.step for report in evidence.reports), default=None) == policy.length


def _finished(evidence: Evidence, trial: Trial, policy: Policy) -> Decision:
    values, reason = _values(evidence, policy), ""
    if values is None and evidence.disk_full:
        return Decision(TrialState.INTERRUPTED, Cause.DISK_FULL, "ended well, but the disk is full and holds no score")
    if values is None and evidence.exit_code == 0 and _went_on(evidence, trial, policy) and not evidence.traceback:
        values = _with_earlier(evidence, trial, policy)
        reason = "ended well without a score of its own: what its earlier attempts reported counts"
    if values is None and not policy.needs_score:
        return Decision(TrialState.COMPLETE, Cause.COMPLETED, "ended well; no score was asked for")
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
    return Decision(TrialState.COMPLETE, Cause.COMPLETED, reason, values)


def _went_on(evidence: Evidence, trial: Trial, policy: Policy) -> bool:
    """Whether an attempt began where the one before ended: from a checkpoint, or, as far as steps tell, from what the script
    keeps where we do not look."""
    return evidence.resumed or (policy.length is not None and trial.last_step(policy.part) == policy.length)


def _with_earlier(evidence: Evidence, trial: Trial, policy: Policy) -> tuple[float, ...] | None:
    """What this attempt, or else the latest one before it, said of every objective; ``None`` if one of them was never said.

    A training that resumes behind its last step has nothing to train and prints nothing.
    """
    scores = dict(evidence.scores)
    for outcome in reversed([outcome for outcome in trial.kept if outcome.part == policy.part]):
        for at, name in enumerate(policy.objectives):
            curve = outcome.curves[at] if at < len(outcome.curves) else ()
            told = curve[-1][1] if curve else None
            told = outcome.values[at] if outcome.values is not None else outcome.scores.get(name, told)
            if told is not None:
                scores.setdefault(name, told)
    return _values(replace(evidence, scores=scores), policy)


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
    if not all(math.isfinite(evidence.scores.get(name, 0.0)) for name in policy.objectives):
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
