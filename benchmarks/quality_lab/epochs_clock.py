"""A search with a pruner in simulated time, epoch by epoch: the product's own optimizer and pruner decide.

What counts is not trials but epochs: a trial that is given up leaves its epochs to others. New trials begin until so many
epochs have been run; what still runs then goes on to its end, and counts for nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from outlast.config.settings import PrunerSettings, SamplerSettings
from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, StudyCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.pruners.pruning import Pruning
from outlast.optimizer.sampling import Optimizer
from quality_lab.axes import Space
from quality_lab.ours import settings_of
from quality_lab.simulated_clock import Params

#: A configuration → its losses epoch by epoch (None: diverged there; none at all: it cannot run), and the seconds of an epoch.
Curves = Callable[[Params], tuple[Sequence[float | None], float]]


@dataclass
class Spent:
    """What a search has come to when a number of epochs was spent."""

    epochs: int
    best: tuple[float, Params] | None
    complete: int
    pruned: int
    failed: int


@dataclass
class _Running:
    params: Params
    curve: Sequence[float | None]
    seconds: float
    reported: list[tuple[int, float]] = field(default_factory=list)


class PrunedSearch:
    """One search; `run` says what it had found each time that so many epochs were spent."""

    def __init__(
        self, space: Space, sampler: SamplerSettings, pruner: PrunerSettings, curves: Curves, *, seed: int, workers: int
    ) -> None:
        settings = settings_of(space, sampler=sampler, trials=10_000, workers=workers, pruner=pruner)
        study = fold([StudyCreated("quality", "", study_seed=seed)])
        self._optimizer, self._pruning = Optimizer(settings, study), Pruning(settings, study)
        self._curves, self._workers = curves, workers
        self._running: dict[int, _Running] = {}
        self._events: list[tuple[float, int]] = []
        self._count = 0
        self._now = Spent(0, None, 0, 0, 0)

    def run(self, budgets: Sequence[int]) -> list[Spent]:
        """What there was at each of these numbers of epochs, rising."""
        found: list[Spent] = []
        left, now = list(budgets), 0.0
        while left:
            while len(self._running) < self._workers and self._begin(now):
                pass
            if not self._events:
                break
            now, number = heapq.heappop(self._events)
            self._epoch(now, number)
            while left and self._now.epochs >= left[0]:
                found.append(Spent(**vars(self._now)))
                left.pop(0)
        return found + [Spent(**vars(self._now)) for _ in left]

    def _begin(self, now: float) -> bool:
        draw = self._optimizer.ask(self._count)
        if draw is None:
            return False
        self._optimizer.apply(draw.created(self._count, "", 1))
        curve, seconds = self._curves(draw.params)
        self._running[self._count] = _Running(draw.params, curve, seconds)
        heapq.heappush(self._events, (now + seconds, self._count))
        self._count += 1
        return True

    def _epoch(self, now: float, number: int) -> None:
        """An epoch of a trial is over: it reports, and goes on or ends."""
        trial = self._running[number]
        self._now.epochs += 1
        step = len(trial.reported) + 1
        value = trial.curve[step - 1] if step <= len(trial.curve) else None
        if value is None:
            self._end(number, TrialState.FAILED, Cause.DIVERGED)
            return
        trial.reported.append((step, value))
        given_up = self._pruning.active and self._pruning.should_prune(number, step, value)
        if step == len(trial.curve):
            self._end(number, TrialState.COMPLETE, Cause.COMPLETED, value)
        elif given_up:
            self._end(number, TrialState.PRUNED, Cause.PRUNED)
        else:
            heapq.heappush(self._events, (now + trial.seconds, number))

    def _end(self, number: int, state: TrialState, cause: Cause, value: float | None = None) -> None:
        trial, now = self._running.pop(number), self._now
        event = AttemptEnded(
            number, 1, "", state, cause,
            values=None if value is None else (value,),
            curves=(tuple(trial.reported),),
            pruned_at=trial.reported[-1][0] if state is TrialState.PRUNED else None,
        )  # fmt: skip
        self._optimizer.apply(event)
        self._pruning.apply(event)
        now.complete += state is TrialState.COMPLETE
        now.pruned += state is TrialState.PRUNED
        now.failed += state is TrialState.FAILED
        if value is not None and (now.best is None or value < now.best[0]):
            now.best = value, trial.params
