"""From an attempt that is over to the event that says what it meant; and what follows where it ran out of GPU memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.evidence import Evidence, JobEnd, Report
from outlast.core.faults import Policy, decide
from outlast.core.fold import Study
from outlast.core.length import usual_length
from outlast.core.parts import next_part, with_part
from outlast.core.records import AttemptEnded, Curve, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.folds import study_parts

_MOST_METRICS = 200  # of the metric names that a script may log, in the ledger


def policy_of(settings: Settings) -> Policy:
    """What decisions depend on."""
    return Policy(
        objectives=tuple(metric.name for metric in settings.metrics),
        retries=settings.trial.retries,
        timeout_counts=settings.trial.timeout_counts,
        restart_interrupted=settings.faults.interrupted == "restart",
        needs_score=settings.trial.needs_score,
    )


def outcome_of(
    evidence: Evidence, trial: Trial, attempt: int, settings: Settings, now: str, study: Study | None = None
) -> AttemptEnded:
    """The decision about one attempt, as a ledger event; with the study, other trials tell how long such a training is."""
    whole = study_parts(settings)
    part = next_part(trial, whole)
    unsure = bool(evidence.stop_reason) or evidence.outside_signal is not None or not evidence.scores
    number = None if part is None else part.number
    length = usual_length(study, trial, number) if study is not None and unsure and evidence.exit_code == 0 else None
    decision = decide(
        evidence,
        trial,
        replace(policy_of(settings), smaller=smaller_values(trial, settings), length=length, part=number),
    )
    steps = [report.step for report in evidence.reports]
    ran_with = ", ".join(f"{name}={value}" for name, value in trial.instead.items())
    counts = decision.values is not None and all(metric.name in evidence.scores for metric in settings.metrics)
    notes = evidence.notes if counts else ()  # how a score was looked for that does not count
    reason = "; ".join(filter(None, [decision.reason, ran_with and f"ran with {ran_with}", *notes]))
    event = AttemptEnded(
        trial=trial.number,
        attempt=attempt,
        at=now,
        state=decision.state,
        cause=decision.cause,
        reason=reason,
        values=_over_attempts(decision.values, evidence, trial, settings),
        curves=tuple(points(evidence.reports, metric.name) for metric in settings.metrics),
        metrics=dict(list(evidence.metrics.items())[:_MOST_METRICS]),
        seconds=evidence.seconds,
        exit_code=evidence.exit_code,
        signal=evidence.signal,
        signature=decision.signature,
        source=evidence.source,
        host=evidence.host,
        last_step=max(steps, default=None),
        saved=evidence.saved,
        instead=dict(decision.instead),
        scores={} if decision.state.finished else dict(evidence.scores),
        together=evidence.together or evidence.job_end is JobEnd.HOST_LOST,
    )
    return event if part is None else with_part(event, trial, part, whole, [metric.name for metric in settings.metrics])


def _over_attempts(
    values: tuple[float, ...] | None, evidence: Evidence, trial: Trial, settings: Settings
) -> tuple[float, ...] | None:
    """The values with what earlier attempts reported: the best of a resumed trial (`take: best`) may lie before its resume."""
    if values is None or not evidence.resumed or study_parts(settings):
        return values
    found = list(values)
    for at, metric in enumerate(settings.metrics):
        if metric.take == "best":
            choose = max if metric.goal == "maximize" else min
            told = [*trial.curve(at).values(), *(o.scores[metric.name] for o in trial.kept if metric.name in o.scores)]
            found[at] = choose([found[at], *filter(math.isfinite, told)])
    return tuple(found)


def points(reports: Iterable[Report], name: str) -> Curve:
    """(step, value) of one metric."""
    return tuple((r.step, float(r.metrics[name])) for r in reports if name in r.metrics)


def cards_to_avoid(trial: Trial) -> frozenset[str]:
    """Cards on which the trial ran out of memory beside others."""
    return frozenset(
        gpu
        for attempt in trial.attempts
        if (end := attempt.outcome) is not None
        and (end.state, end.cause) == (TrialState.INTERRUPTED, Cause.GPU_OUT_OF_MEMORY)
        and not end.instead
        for gpu in attempt.gpus
    )


def smaller_values(trial: Trial, settings: Settings) -> Mapping[str, Any]:
    """What a trial that is too large for its card may run with instead (`trial.oom.shrink`), once for each retry of a person.

    Returns name → value; empty where that is not asked for, was done already, or would change nothing.
    """
    oom = settings.trial.oom
    standing = [attempt.outcome for attempt in trial.attempts if attempt.number > trial.retried_at_attempt]
    if oom == "infeasible" or any(outcome is not None and outcome.instead for outcome in standing):
        return {}
    names = oom["shrink"] if isinstance(oom["shrink"], (list, tuple)) else [oom["shrink"]]
    values = {**settings.space.complete(trial.params), **trial.derived, **trial.instead}
    found = {name: _smaller(values.get(name), float(oom.get("factor", 0.5))) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _smaller(value: Any, factor: float) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        return None
    if isinstance(value, float):
        return value * factor
    less = math.floor(value * factor)
    return less if less >= 1 else None
