"""The table of what a sampler is told, row by row, and why."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial

from outlast.core.states import Cause, TrialState
from outlast.optimizer.sampling import Optimizer

PLAIN = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}


@pytest.fixture(autouse=True)
def torch_is_said_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GP is told can be looked at without PyTorch; only its suggestions need it."""
    spec = importlib.machinery.ModuleSpec("torch", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)


def told(lab: Any, sampler: str, *ends: Any, goals: tuple[str, ...] = ("maximize",)) -> list[FrozenTrial]:
    """The rows of the private study after trials 0, 1, … ended like this."""
    study = lab.study()
    asking = Optimizer(lab.settings(PLAIN, sampler="random", goals=goals), study)
    optimizer = Optimizer(lab.settings(PLAIN, sampler=sampler, goals=goals), study)
    for number in range(len(ends)):
        created = lab.created(asking.ask(number), number)
        for event in (created, *([ends[number]] if ends[number] is not None else [])):
            study.apply(event)
            optimizer.apply(event)
    rows = optimizer._seen.view().get_all_trials(0)
    again = Optimizer(lab.settings(PLAIN, sampler=sampler, goals=goals), study)._seen.view().get_all_trials(0)
    assert rows == again  # built from the ledger, it is the same
    return rows


@pytest.mark.parametrize("sampler", ["tpe", "gaussian", "gp", "cmaes", "nsga2", "random"])
def test_complete_and_pruned_trials_keep_value_and_curve(lab: Any, sampler: str) -> None:
    complete, pruned = told(
        lab,
        sampler,
        lab.ended(0, values=(0.5,), curve=((0, 0.1), (1, 0.5))),
        lab.ended(1, TrialState.PRUNED, curve=((0, 0.05),)),
    )
    assert (complete.state.name, complete.values, complete.intermediate_values) == ("COMPLETE", [0.5], {0: 0.1, 1: 0.5})
    assert (pruned.state.name, pruned.values, pruned.intermediate_values) == ("PRUNED", None, {0: 0.05})


def test_trials_on_their_way_are_running(lab: Any) -> None:
    created, interrupted = told(lab, "tpe", None, lab.ended(1, TrialState.INTERRUPTED, Cause.PREEMPTED))
    assert created.state.name == interrupted.state.name == "RUNNING"


@pytest.mark.parametrize("cause", [Cause.DIVERGED, Cause.CRASH, Cause.TIMEOUT, Cause.GPU_OUT_OF_MEMORY])
def test_tpe_is_told_of_configurations_that_cannot_run_by_pruned_rows_without_a_curve(lab: Any, cause: Cause) -> None:
    state = TrialState.INFEASIBLE if cause is Cause.GPU_OUT_OF_MEMORY else TrialState.FAILED
    row = told(lab, "tpe", lab.ended(0, state, cause, curve=((0, 1.0),)))[0]
    assert (row.state.name, row.values, row.intermediate_values) == ("PRUNED", None, {})


@pytest.mark.parametrize(("goal", "worst"), [("maximize", 0.2), ("minimize", 0.9)])
@pytest.mark.parametrize("sampler", ["gp", "cmaes", "nsga2", "optuna.samplers.NSGAIIISampler"])
def test_others_are_told_the_worst_value_so_far(lab: Any, sampler: str, goal: str, worst: float) -> None:
    ends = (lab.ended(0, TrialState.FAILED, Cause.CRASH), lab.ended(1, values=(0.9,)), lab.ended(2, values=(0.2,)))
    rows = told(lab, sampler, *ends, goals=(goal,))
    assert (rows[0].state.name, rows[0].values) == ("COMPLETE", [worst])


def test_before_any_value_is_known_there_is_nothing_to_tell(lab: Any) -> None:
    assert told(lab, "cmaes", lab.ended(0, TrialState.FAILED, Cause.CRASH))[0].state.name == "FAIL"


def test_gp_gets_a_constraint_on_every_trial_once_one_could_not_run(lab: Any) -> None:
    fine = (lab.ended(0, values=(0.5,)), lab.ended(1, values=(0.7,)))
    assert [row.constraints for row in told(lab, "gp", *fine)] == [{}, {}]
    rows = told(lab, "gp", *fine, lab.ended(2, TrialState.INFEASIBLE, Cause.HOST_OUT_OF_MEMORY))
    assert [row.constraints for row in rows] == [{"runs": -1.0}, {"runs": -1.0}, {"runs": 1.0}]


@pytest.mark.parametrize("sampler", ["tpe", "gaussian", "gp", "cmaes", "nsga2"])
def test_what_a_machine_spoilt_is_left_out(lab: Any, sampler: str) -> None:
    ends = (lab.ended(0, TrialState.FAILED, Cause.LOST), lab.ended(1, values=(1.0,)))
    assert told(lab, sampler, *ends)[0].state.name == "FAIL"


def test_several_objectives_have_no_curve_because_tpe_stops_with_an_error_on_one(lab: Any) -> None:
    goals = ("maximize", "minimize")
    row = told(lab, "tpe", lab.ended(0, TrialState.PRUNED, curve=((0, 1.0),)), goals=goals)[0]
    assert (row.state.name, row.intermediate_values) == ("PRUNED", {})

    study = optuna.create_study(directions=goals, sampler=optuna.samplers.TPESampler(n_startup_trials=2))
    space = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    for number in range(12):
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.PRUNED,
                params={"x": number / 12},
                distributions=space,
                intermediate_values={0: 1.0},
            )
        )
    with pytest.raises(RuntimeError, match="multi-objective"):
        study.ask(space)


@pytest.mark.parametrize(("taught", "at_most", "at_least"), [(True, 0.6, 0.0), (False, 1.0, 0.85)])
def test_tpe_leaves_the_region_that_cannot_run_only_if_it_is_told(
    lab: Any, taught: bool, at_most: float, at_least: float
) -> None:
    """The score rises towards the region that cannot run, so that a sampler which is told nothing ends up in it."""
    cause = Cause.CRASH if taught else Cause.LOST  # the first teaches, the second leaves the row out
    optimizer = Optimizer(lab.settings(PLAIN, sampler="tpe"), lab.study())
    inside = 0
    for number in range(80):
        draw = optimizer.ask(number)
        x = draw.params["x"]
        optimizer.apply(lab.created(draw, number))
        optimizer.apply(lab.ended(number, values=(x,)) if x < 0.7 else lab.ended(number, TrialState.FAILED, cause))
        inside += x >= 0.7 and number >= 30
    assert at_least <= inside / 50 <= at_most
