"""Samplers and their options: what may be written, and what is said about the rest."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from outlast.core.records import TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.errors import MissingExtra, StudyFileError
from outlast.optimizer.auto import FEW_TRIALS, FIRST_TRIALS, MOST_PARAMETERS, said_of_auto
from outlast.optimizer.sampling import Optimizer

PLAIN = {"x": {"min": 0.0, "max": 1.0}}
MANY = {f"x{at}": {"min": 0.0, "max": 1.0} for at in range(MOST_PARAMETERS + 1)}


def refused(lab: Any, **choice: Any) -> str:
    with pytest.raises(StudyFileError) as caught:
        Optimizer(lab.settings(**choice), lab.study())
    return str(caught.value)


def test_an_unknown_sampler_is_answered_with_all_and_the_nearest(lab: Any) -> None:
    said = refused(lab, sampler="tpee")
    assert "grid" in said and "did you mean `tpe`?" in said


def test_an_unknown_option_is_answered_with_all_legal_ones_and_their_defaults(lab: Any) -> None:
    said = refused(lab, sampler="tpe", options={"n_startup_trial": 5})
    assert "n_startup_trials (10)" in said and "did you mean `n_startup_trials`?" in said


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("nsga2", {"population_size": 1}),
        ("qmc", {"qmc_type": "sobel"}),
        ("cmaes", {"lr_adapt": True, "with_margin": True}),
    ],
)
def test_options_that_the_sampler_refuses_are_said_before_anything_runs(
    lab: Any, sampler: str, options: dict[str, Any]
) -> None:
    assert "sampler" in refused(lab, sampler=sampler, options=options)


@pytest.mark.parametrize(
    ("sampler", "options", "said"),
    [
        ("cmaes", {"popsize": "x"}, "must be a whole number, not 'x'"),
        ("tpe", {"n_startup_trials": "many"}, "must be a whole number, not 'many'"),
        ("tpe", {"n_startup_trials": 2.5}, "must be a whole number, not 2.5"),
        ("tpe", {"multivariate": 1}, "must be true or false, not 1"),
        ("tpe", {"consider_magic_clip": "yes"}, "must be true or false, not 'yes'"),
        ("nsga2", {"mutation_prob": "often"}, "must be a number, not 'often'"),
        ("optuna.samplers.NSGAIIISampler", {"population_size": "x"}, "must be a whole number, not 'x'"),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_before_a_sampler_trips_over_it(
    lab: Any, sampler: str, options: dict[str, Any], said: str
) -> None:
    assert said in refused(lab, sampler=sampler, options=options)


def test_gp_without_torch_names_the_install_command(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install"):
        Optimizer(lab.settings(sampler="gp"), lab.study())


def test_a_grid_over_a_range_names_the_parameter(lab: Any) -> None:
    assert "lr is continuous" in refused(lab, sampler="grid")


def test_cma_es_for_several_objectives_is_refused(lab: Any) -> None:
    assert "one objective" in refused(lab, sampler="cmaes", goals=("maximize", "minimize"))


@pytest.mark.parametrize("name", ["optuna.samplers.NSGAIIISampler", "optuna.samplers:BruteForceSampler"])
def test_any_optuna_sampler_by_dotted_path(lab: Any, name: str) -> None:
    parameters = {"a": {"values": [1, 2, 3]}, "b": {"min": 1, "max": 5}}
    suggestions = lab.run(lab.settings(parameters, sampler=name), 12, killed=False)
    assert len({tuple(params.items()) for params in suggestions}) >= 11  # a lost one may be drawn again


@pytest.mark.parametrize(
    ("name", "said"), [("optuna.samplers.Nothing", "cannot be imported"), ("os.path.join", "is not an Optuna sampler")]
)
def test_a_dotted_path_that_leads_nowhere(lab: Any, name: str, said: str) -> None:
    assert said in refused(lab, sampler=name)


def test_a_class_of_a_grid_would_begin_anew_with_each_trial_and_is_answered_with_ours(lab: Any) -> None:
    parameters, space = {"a": {"values": [1, 2, 3]}}, {"search_space": {"a": [1, 2, 3]}}
    said = refused(lab, parameters=parameters, sampler="optuna.samplers.GridSampler", options=space)
    assert "repeat points" in said and "`sampler: grid`" in said


def test_a_class_of_a_script_that_is_not_there_is_told_where_it_came_from(lab: Any) -> None:
    assert "it was defined in the script or notebook" in refused(lab, sampler="__main__:Mine")


def test_halton_is_an_option_of_qmc(lab: Any) -> None:
    sobol = lab.run(lab.settings(sampler="qmc"), 8, killed=False)
    assert sobol != lab.run(lab.settings(sampler="qmc", options={"qmc_type": "halton"}), 8, killed=True)


def test_auto_asks_the_process_and_tpe_by_turns_until_there_are_many_trials(lab: Any) -> None:
    optimizer = Optimizer(lab.settings(PLAIN), lab.study())
    kinds = ""
    for number in range(FEW_TRIALS + 4):
        suggester = optimizer._factory.suggester(number, 1)
        kinds += "T" if getattr(suggester, "by_turns", False) else type(suggester).__name__[0]
        optimizer.apply(TrialCreated(number, "", {"x": number / 1000}))
        optimizer.apply(lab.ended(number, TrialState.FAILED, Cause.DIVERGED))
    assert kinds == FIRST_TRIALS * "G" + (FEW_TRIALS - FIRST_TRIALS) // 2 * "GT" + "LLLL"


def test_auto_spreads_evenly_until_enough_have_ended_however_many_run(lab: Any) -> None:
    optimizer = Optimizer(lab.settings(PLAIN, options={"n_startup_trials": 3}), lab.study())
    for number in range(8):
        assert type(optimizer._factory.suggester(number, 1)).__name__ == "GaussianSearch"
        optimizer.apply(TrialCreated(number, "", {"x": number / 1000}))
    for number in range(3):
        optimizer.apply(lab.ended(number, values=(0.5,)))
    assert type(optimizer._factory.suggester(9, 1)).__name__ == "LongTPE"


@pytest.mark.parametrize(
    "study",
    [
        {"goals": ("maximize", "minimize")},
        {"options": {"multivariate": False}},
        {"parameters": {}},
        {"parameters": MANY},
    ],
)
def test_auto_is_tpe_where_the_process_does_not_fit_or_tpe_was_meant(lab: Any, study: dict[str, Any]) -> None:
    settings = lab.settings(**study)
    factory = Optimizer(settings, lab.study())._factory
    assert factory.name == "tpe" and factory.gaussian is None
    assert factory.said == said_of_auto(settings) == "tpe (auto)"


@pytest.mark.parametrize(
    "sampler, draws",
    [
        ("tpe", "outlast.optimizer.tpe.long_tpe.LongTPE.together"),
        ("nsga2", "optuna.samplers.NSGAIISampler.sample_relative"),
    ],
)
def test_a_sampler_that_fails_costs_one_random_trial_and_a_warning(
    lab: Any, monkeypatch: pytest.MonkeyPatch, sampler: str, draws: str
) -> None:
    optimizer = Optimizer(lab.settings(sampler=sampler), lab.study())
    monkeypatch.setattr(draws, lambda *args: 1 / 0)
    assert optimizer.ask(0) is not None
    assert "drawn at random" in optimizer.warnings[0]
