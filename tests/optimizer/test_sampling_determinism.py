"""What is promised about suggestions: the same whether the coordinator was killed or not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from outlast.core.states import TrialState
from outlast.optimizer.sampling import Optimizer

GRID = {"a": {"values": [1, 2, 3]}, "b": {"values": ["x", "y"]}, "c": {"min": 0, "max": 9, "when": {"b": ["x"]}}}
CONTINUOUS = {"lr": {"min": 0.0, "max": 1.0}, "wd": {"min": 1e-6, "max": 1.0, "distribution": "log_uniform_values"}}
GP = pytest.param("gp", marks=pytest.mark.foreign)  # it runs on torch


@pytest.mark.parametrize("sampler", ["auto", "tpe", "gaussian", "random", "qmc", "cmaes", "nsga2", GP])
def test_suggestions_are_the_same_when_the_coordinator_is_killed_after_every_event(lab: Any, sampler: str) -> None:
    settings = lab.settings(sampler=sampler)
    assert lab.run(settings, 26, killed=True) == lab.run(settings, 26, killed=False)


@pytest.mark.parametrize("options", [{}, {"with_margin": True}, {"use_separable_cma": True}])
def test_cma_es_goes_on_with_its_own_state_over_generations(lab: Any, options: dict[str, Any]) -> None:
    settings = lab.settings(CONTINUOUS, sampler="cmaes", options={"popsize": 4, **options})
    assert lab.run(settings, 30, killed=True) == lab.run(settings, 30, killed=False)


def test_the_grid_is_walked_in_one_order_killed_or_not(lab: Any) -> None:
    settings = lab.settings(GRID, sampler="grid")
    assert lab.run(settings, 30, killed=True) == lab.run(settings, 30, killed=False)


@pytest.mark.parametrize("after", range(0, 24, 5))
@pytest.mark.parametrize("sampler", ["tpe", "gaussian", "random", "qmc", "cmaes", GP])
def test_after_a_kill_the_next_twelve_suggestions_are_the_promised_ones(lab: Any, sampler: str, after: int) -> None:
    settings = lab.settings(sampler=sampler)
    promised = lab.run(settings, after + 12, killed=False)[after:]
    study = lab.study()
    optimizer = Optimizer(settings, study)
    for number in range(after):
        draw = optimizer.ask(number)
        for event in (lab.created(draw, number), lab.outcome(number, draw.params)):
            study.apply(event)
            optimizer.apply(event)
    optimizer.ask(after)  # asked, never durable: lost with the process
    optimizer = Optimizer(settings, study)
    found = []
    for number in range(after, after + 12):
        draw = optimizer.ask(number)
        found.append(draw.params)
        for event in (lab.created(draw, number), lab.outcome(number, draw.params)):
            optimizer.apply(event)
    assert found == promised


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_with_several_slots_the_order_of_finishing_changes_nothing(lab: Any, sampler: str) -> None:
    settings = lab.settings(GRID if sampler == "grid" else None, sampler=sampler)

    def suggestions(seed: int) -> list[dict[str, Any]]:
        shuffled, study = random.Random(seed), lab.study()
        optimizer, running, found = Optimizer(settings, study), [], []
        for number in range(20):
            draw = optimizer.ask(number)
            found.append(draw.params)
            running.append((number, draw.params))
            optimizer.apply(lab.created(draw, number))
            while len(running) > shuffled.randrange(4):
                done, params = running.pop(shuffled.randrange(len(running)))
                optimizer.apply(lab.ended(done, values=(float(len(params)),)))
        return found

    assert suggestions(1) == suggestions(2) == suggestions(3)


def test_seeds_of_trials_differ_and_come_from_the_studys(lab: Any) -> None:
    def seeds(study_seed: int) -> list[int]:
        optimizer = Optimizer(lab.settings(sampler="random"), lab.study(study_seed))
        return [optimizer.ask(number).seed for number in range(5)]

    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 10


def test_a_proposal_that_never_reached_the_ledger_is_made_again(lab: Any) -> None:
    settings = lab.settings(sampler="qmc")
    optimizer = Optimizer(settings, lab.study())
    first, second = optimizer.ask(0), optimizer.ask(1)
    assert optimizer.ask(0) == first
    assert optimizer.ask(1) == second


def test_an_events_repetition_changes_nothing(lab: Any) -> None:
    settings = lab.settings(sampler="tpe")
    once, twice = Optimizer(settings, lab.study()), Optimizer(settings, lab.study())
    for number in range(14):
        draw = once.ask(number)
        assert twice.ask(number) == draw
        for event in (lab.created(draw, number), lab.ended(number, values=(float(number % 5),))):
            once.apply(event)
            twice.apply(event)
            twice.apply(event)
    assert once.ask(14) == twice.ask(14)


def test_ids_of_parents_never_reach_the_ledger(lab: Any) -> None:
    settings = lab.settings(sampler="nsga2", options={"population_size": 4})
    optimizer = Optimizer(settings, lab.study())
    noted = set()
    for number in range(14):
        draw = optimizer.ask(number)
        noted |= set(draw.study_attrs)
        for event in (lab.created(draw, number), lab.ended(number, values=(float(number),))):
            optimizer.apply(event)
    assert not noted


def test_state_of_a_retried_trial_is_running_again(lab: Any) -> None:
    from outlast.core.records import TrialRetried

    optimizer = Optimizer(lab.settings(sampler="tpe"), lab.study())
    draw = optimizer.ask(0)
    for event in (lab.created(draw, 0), lab.ended(0, TrialState.FAILED), TrialRetried(0, "t")):
        optimizer.apply(event)
    assert optimizer._seen.view().row(0).state.name == "RUNNING"
