"""How much of what each attempt of a trial did stands in the end. Pure. (`outlast.core.hours` says what that is for.)

How much of an attempt stands is read from its reports: an attempt that reported steps 0 to 9 and whose successor's first report
was step 8 keeps 8 of 10 steps, and that share of its seconds (start-up, and what came after the last report, are spread evenly
over its steps). An attempt that reported nothing, before one that did, is waste. Where none of a trial's attempts reports
steps, nobody knows what a resume saved: the time goes where the trial goes, and nothing counts as saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outlast.core.records import Attempt, Trial
from outlast.core.states import Cause


def what_stands(trial: Trial) -> Iterator[tuple[Attempt, float, bool]]:
    """Each attempt that ran, the share of it that stands, and whether a later one is known to have built on it."""
    for chain in _chains(trial):
        if len(chain) == 1:  # most are, and a curve may be long
            yield chain[0], 1.0, False
            continue
        steps = [_steps(attempt) for attempt in chain]
        told = any(steps)
        for at, attempt in enumerate(chain):
            later = range(at + 1, len(chain))
            if any(not chain[after].resumed for after in later):
                yield attempt, 0.0, False
                continue
            begun = min((min(steps[after]) for after in later if steps[after]), default=None)
            if not told or not later or (begun is None and steps[at]):
                yield attempt, 1.0, False  # nobody knows better, or nobody has gone on from it yet
            elif begun is None:
                yield attempt, 0.0, False
            else:
                kept = sum(step < begun for step in steps[at]) / len(steps[at]) if steps[at] else 0.0
                yield attempt, kept, kept > 0


def _chains(trial: Trial) -> list[list[Attempt]]:
    """The attempts that continue each other: all of a whole trial's, those of each part where it has parts."""
    chains: list[list[Attempt]] = [[]]
    for attempt in trial.attempts:
        outcome = attempt.outcome
        if outcome is not None and outcome.cause is Cause.NEVER_STARTED:
            continue
        before = chains[-1][-1].outcome if chains[-1] else None
        if before is not None and before.cause is Cause.PART:
            chains.append([])
        chains[-1].append(attempt)
    return chains


def _steps(attempt: Attempt) -> Sequence[int]:
    """The steps that an attempt reported."""
    curves = attempt.outcome.curves if attempt.outcome is not None and attempt.outcome.part is None else ()
    return sorted({step for curve in curves for step, _ in curve})
