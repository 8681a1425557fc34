"""Objectives of `outlast.optimize`, closures and notebook functions, in workers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import outlast
from lab.functions import look_patiently
from outlast.core.states import TrialState
from outlast.errors import StudyFileError
from outlast.executors import fork_request as warm

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(warm._Worker, "look", look_patiently(warm._Worker.look))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def closure(offset: float, *, warm: bool) -> Callable[[Any], float]:
    seen: list[float] = []

    def objective(trial: Any) -> float:
        assert ("outlast.runner.forked" in sys.modules) is warm and not seen
        x = trial.suggest_float("x", -5, 5)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        seen.append(x)
        for step in range(3):
            trial.report((x - offset) ** 2 + 3 - step, step)
            if trial.should_prune():
                import optuna

                raise optuna.TrialPruned
        return float((x - offset) ** 2 + (kind == "b"))

    return objective


def test_a_closure_draws_reports_and_is_pruned_as_in_a_process_of_its_own() -> None:
    def search(isolation: Any, objective: Callable[[Any], float]) -> list[Any]:
        done = outlast.optimize(
            objective, trials=8, name=isolation, isolation=isolation, pruner="median", seed=3, quiet=True, parallel=1
        )
        return [(trial.params, trial.state, trial.values, trial.curve()) for trial in done.trials]

    warm_ones = search("worker", closure(0.5, warm=True))
    assert warm_ones == search("process", closure(0.5, warm=False))
    assert {state for _, state, _, _ in warm_ones} <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_a_function_of_its_parameters_runs_side_by_side() -> None:
    offset = 2.0

    def objective(x: float) -> float:
        assert "outlast.runner.forked" in sys.modules
        return (x - offset) ** 2

    done = outlast.optimize(
        objective, parameters={"x": {"min": 0.0, "max": 4.0}}, trials=6, isolation={"worker": 2}, parallel=2, quiet=True
    )
    assert [trial.state for trial in done.trials] == [TrialState.COMPLETE] * 6
    assert done.best_value == min((trial.params["x"] - offset) ** 2 for trial in done.trials)


def test_a_study_goes_on_in_another_isolation() -> None:
    def objective(trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 1))

    first = outlast.optimize(objective, trials=2, name="both", isolation="worker", quiet=True)
    second = outlast.optimize(objective, trials=4, name="both", quiet=True)
    assert len(first.trials) == 2 and len(second.trials) == 4
    assert [t.params for t in second.trials[:2]] == [t.params for t in first.trials]


def test_an_isolation_that_there_is_not_is_refused() -> None:
    with pytest.raises(StudyFileError, match="isolation"):
        outlast.optimize(lambda trial: 0.0, trials=1, name="none", isolation="thread", quiet=True)  # type: ignore[arg-type]
