"""What a study's hours went into: results, pruned trials, waste, and what resuming did not have to repeat. Pure.

Every attempt's training seconds, times its cards, go into exactly one of four:

- *complete*, *pruned*: work that is part of such a trial's outcome.
- *wasted*: everything of failed and infeasible trials; and of all others what was done again or thrown away: the attempts
  before a start-over, and the steps at or behind the one at which a later attempt went on (what came after the last
  checkpoint).
- *open*: attempts that run now, and what trials that wait for their next attempt can still build on.

*saved* is the part of complete, pruned and open work that was done before a resume: what a later attempt did not have to do
again. Each hour counts once, however often its trial was resumed, and only where the steps prove it.

How much of an attempt stands is read from its reports: an attempt that reported steps 0 to 9 and whose successor's first report
was step 8 keeps 8 of 10 steps, and that share of its seconds (start-up, and what came after the last report, are spread evenly
over its steps). An attempt that reported nothing, before one that did, is waste. Where none of a trial's attempts reports
steps, nobody knows what a resume saved: the time goes where the trial goes, and nothing counts as saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from outlast.core.fold import Study
from outlast.core.records import Attempt, Trial
from outlast.core.states import Cause, TrialState


class Hours(Struct, frozen=True):
    """Hours of one unit; `used` is the sum of `complete`, `pruned`, `wasted` and `open`. See the module."""

    gpu: bool = False  # hours of GPUs; otherwise of training, whatever it ran on
    used: float = 0.0
    complete: float = 0.0
    pruned: float = 0.0
    wasted: float = 0.0
    open: float = 0.0
    saved: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The ``hours`` of the status JSON; figures rounded to four decimals."""
        figures = {name: round(figure, 4) for name, figure in asdict(self).items() if name != "gpu"}
        return {"unit": "gpu" if self.gpu else "training", **figures}


def hours(study: Study, running: Mapping[int, float] | None = None) -> Hours:
    """Add up what the study's attempts used and what for.

    In GPU hours where any attempt had a card, otherwise in hours of training. Imported trials were not run here. `running`:
    trial → seconds that its open attempt has trained so far; one that is not named counts nothing yet.
    """
    trials = [trial for trial in study.trials.values() if trial.source != "imported"]
    gpu = any(attempt.cards for trial in trials for attempt in trial.attempts)
    total = dict.fromkeys(Hours.__struct_fields__[1:], 0.0)
    for trial in trials:
        into = _KIND.get(trial.state, "open")
        for attempt, kept, resumed in _attempts(trial):
            seconds = attempt.outcome.seconds if attempt.outcome is not None else (running or {}).get(trial.number, 0.0)
            weighed = max(0.0, seconds) * (attempt.cards if gpu else 1.0) / 3600.0
            total["used"] += weighed
            total[into] += kept * weighed
            total["wasted"] += (1.0 - kept) * weighed
            if resumed and into != "wasted":
                total["saved"] += kept * weighed
    return Hours(gpu, **total)


_KIND = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAILED: "wasted",
    TrialState.INFEASIBLE: "wasted",
}


def _attempts(trial: Trial) -> Iterator[tuple[Attempt, float, bool]]:
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
