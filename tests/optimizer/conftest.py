"""A small study to search, and a ledger in memory that goes through JSON as the real one does."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from outlast.config.settings import MetricSettings, PrunerSettings, SamplerSettings, Settings
from outlast.core import records
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, Event, StudyCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.proposals import Draw
from outlast.optimizer.sampling import Optimizer
from outlast.space.definitions import define

CONTINUOUS = {
    "lr": {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"},
    "layers": {"min": 1, "max": 4},
    "width": {"distribution": "q_normal", "mu": 10, "sigma": 3},
}
CONDITIONAL = {
    **CONTINUOUS,
    "model": {"values": ["mlp", "cnn"]},
    "dropout": {"min": 0.0, "max": 0.5, "when": {"model": ["cnn"]}},
}


def at(second: int) -> str:
    return f"2024-05-01T00:{second // 60 % 60:02d}:{second % 60:02d}.000+00:00"


class Lab:
    """Makes settings, and runs studies event by event."""

    def settings(
        self,
        parameters: dict[str, dict[str, Any]] | None = None,
        sampler: str = "auto",
        goals: tuple[str, ...] = ("maximize",),
        pruner: str = "none",
        pruner_options: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **more: Any,
    ) -> Settings:
        chosen = CONDITIONAL if parameters is None else parameters
        return Settings(
            name="digits",
            command=("python", "train.py"),
            metrics=tuple(MetricSettings(name=f"m{i}", goal=goal) for i, goal in enumerate(goals)),
            parameters=tuple(
                define(name, {k: v for k, v in d.items() if k != "when"}, d.get("when")) for name, d in chosen.items()
            ),
            sampler=SamplerSettings(name=sampler, options=options or {}),
            pruner=PrunerSettings(name=pruner, options=pruner_options or {}),
            **more,
        )

    def study(self, seed: int = 7) -> Study:
        study = Study()
        study.apply(StudyCreated("digits", at(0), study_seed=seed))
        return study

    def through_json(self, event: Event) -> Event:
        read = records.from_json(json.loads(json.dumps(records.to_json(event))))
        assert read is not None
        return read

    def created(self, draw: Draw, number: int) -> Event:
        return self.through_json(draw.created(number, at(number), 1))

    def opened(self, number: int, attempt: int = 1) -> Event:
        return AttemptOpened(number, attempt, at(number))

    def ended(
        self,
        number: int,
        state: TrialState = TrialState.COMPLETE,
        cause: Cause | None = None,
        values: tuple[float, ...] | None = None,
        curve: tuple[tuple[int, float], ...] = (),
        attempt: int = 1,
        pruned_at: int | None = None,
    ) -> AttemptEnded:
        causes = {TrialState.COMPLETE: Cause.COMPLETED, TrialState.PRUNED: Cause.PRUNED}
        event = AttemptEnded(
            number,
            attempt,
            at(number + 1),
            state,
            cause or causes.get(state, Cause.CRASH),
            reason="as it went",
            values=values,
            curves=(curve,) if curve else (),
            pruned_at=pruned_at,
        )
        return self.through_json(event)  # type: ignore[return-value]

    def outcome(self, number: int, params: dict[str, Any]) -> AttemptEnded:
        """A deterministic end for a trial: mostly a score, sometimes a crash, an infeasible or a lost one."""
        score = -abs(params.get("lr", 0.01) - 0.01) + 0.01 * params.get("layers", 0) - 0.1 * params.get("dropout", 0.0)
        if number % 7 == 3:
            return self.ended(number, TrialState.INFEASIBLE, Cause.GPU_OUT_OF_MEMORY)
        if number % 7 == 5:
            return self.ended(number, TrialState.FAILED, Cause.CRASH)
        if number % 11 == 6:
            return self.ended(number, TrialState.FAILED, Cause.LOST)
        if number % 7 == 1:
            return self.ended(number, TrialState.PRUNED, curve=((0, score), (1, score + 0.1)))
        return self.ended(number, values=(score,), curve=((0, score / 2), (1, score)))

    def run(self, settings: Settings, trials: int, *, killed: bool) -> list[dict[str, Any]]:
        """The suggestions of a search with one slot; `killed` makes the optimizer anew after every single event."""
        study = self.study()
        optimizer = Optimizer(settings, study)
        suggestions = []
        for number in range(trials):
            draw = optimizer.ask(number)
            assert draw is not None
            suggestions.append(draw.params)
            for event in (self.created(draw, number), self.opened(number), self.outcome(number, draw.params)):
                study.apply(event)
                if killed:
                    optimizer = Optimizer(settings, study)
                else:
                    optimizer.apply(event)
            assert not optimizer.warnings
        return suggestions


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def study(lab: Lab) -> Study:
    """Nine trials, one in each state."""
    study = lab.study()
    optimizer = Optimizer(lab.settings(sampler="random"), study)
    for number in range(9):
        event = lab.created(optimizer.ask(number), number)
        optimizer.apply(event)
        study.apply(event)
    curve = ((0, 0.25), (1, math.nan), (2, 0.5))
    for event in (
        lab.ended(0, values=(0.75,), curve=curve),
        lab.ended(1, TrialState.PRUNED, curve=curve),
        lab.ended(2, TrialState.INFEASIBLE, Cause.GPU_OUT_OF_MEMORY, curve=curve),
        lab.ended(3, TrialState.FAILED, Cause.CRASH),
        lab.ended(4, TrialState.FAILED, Cause.LOST),
        lab.ended(5, TrialState.INTERRUPTED, Cause.PREEMPTED, curve=curve[:1]),
        lab.opened(6),
        lab.ended(8, values=(math.inf,)),
    ):
        study.apply(event)
    return study
