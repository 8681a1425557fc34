"""TPE over long histories suggests to the last digit what Optuna's own code suggests, and looks at no trial's row for it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.samplers._tpe._truncnorm import ppf

from outlast.core.fold import Study
from outlast.core.records import AttributeSet, EarlierTrial, ParamDrawn, TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.optimizer.random_draws import drawn
from outlast.optimizer.ranges import ChoiceRange, FloatRange, IntRange, Range
from outlast.optimizer.sampling import Optimizer
from outlast.optimizer.tpe.mixture_density import CLOSE, log_density, trial_weights
from outlast.optimizer.tpe.optuna_mixtures import mixture
from outlast.optimizer.tpe.truncated_normal import TOO_MANY, quantile
from outlast.optimizer.tpe.value_column import Column

SPACES: dict[str, Any] = {
    "floats": {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(4)},
    "choices": {
        "a": {"values": ["x", "y", "z"]},
        "b": {"values": [1, 2.5, None, True]},
        "c": {"values": [[1], [2]]},
        "n": {"min": 0, "max": 9000},
    },
    "whole": {"n": {"min": 1, "max": 300}, "few": {"min": 1, "max": 4}, "lr": {"min": 1e-5, "max": 1e-1}},
    "conditional": None,  # the lab's own
}


def optunas(settings: Any, study: Study) -> Optimizer:
    """An optimizer that has to ask Optuna's sampler, which looks at the trials themselves."""
    made = Optimizer(settings, study)
    made._seen.columns = made._factory.columns = None
    return made


def long_study(lab: Any, settings: Any, trials: int, seed: int) -> Study:
    """Trials with parameters drawn at random, in every state, some of them with constraints."""
    study, numbers = lab.study(seed), random.Random(seed)
    drawer = Optimizer(lab.settings(SPACES[settings], sampler="random"), study)
    for number in range(trials):
        draw = drawer.ask(number)
        for event in (lab.created(draw, number), lab.opened(number)):
            study.apply(event)
            drawer.apply(event)
        if numbers.random() < 0.1:
            study.apply(AttributeSet(number, "constraints:memory", str(numbers.choice([-1.0, 0.5, 2.0])), True))
        end = numbers.random()
        curve = tuple((step, round(numbers.random(), 1)) for step in range(numbers.randrange(4)))
        if end < 0.6:
            study.apply(lab.ended(number, values=(round(numbers.random(), 1),)))
        elif end < 0.8:
            study.apply(lab.ended(number, TrialState.PRUNED, curve=curve))
        elif end < 0.9:
            study.apply(lab.ended(number, TrialState.INFEASIBLE, Cause.GPU_OUT_OF_MEMORY))
        elif end < 0.95:
            study.apply(lab.ended(number, TrialState.FAILED, Cause.LOST))
    return study


@pytest.mark.parametrize(
    "trials, options",
    [
        (3, {}),
        (60, {}),
        (650, {}),
        (650, {"constant_liar": False}),
        (61, {"multivariate": False}),
        (61, {"n_startup_trials": 700}),
    ],
)
@pytest.mark.parametrize("space", SPACES)
def test_suggestions_are_optunas_whatever_came_before(
    lab: Any, space: str, trials: int, options: dict[str, Any]
) -> None:
    settings = lab.settings(
        SPACES[space], sampler="tpe", options=options, goals=("maximize" if trials % 2 else "minimize",)
    )
    study = long_study(lab, space, trials, seed=trials)
    study.apply(EarlierTrial("old/3", dict(study.trials[0].params), (0.5,)))
    ours, theirs = Optimizer(settings, study), optunas(settings, study)
    for number in range(trials, trials + 4):
        draw = ours.ask(number)
        assert draw == theirs.ask(number)
        for event in (lab.created(draw, number), lab.ended(number, values=(-0.5,)), TrialRetried(number - 2, "t")):
            ours.apply(event)
            theirs.apply(event)
    assert not ours.warnings
    assert ours._seen._view is None, "a row was made"


def test_so_many_parameters_that_optuna_calculates_in_another_way_get_what_it_suggests(lab: Any) -> None:
    space, study = {f"x{at}": {"min": 0.0, "max": 1.0} for at in range(TOO_MANY // 24 + 1)}, lab.study()
    settings = lab.settings(space, sampler="tpe")
    for number in range(12):
        for event in (lab.created(Optimizer(settings, study).ask(number), number), lab.ended(number, values=(number,))):
            study.apply(event)
    assert Optimizer(settings, study).ask(12) == optunas(settings, study).ask(12)


def test_draws_that_are_as_good_are_told_apart_as_optuna_does(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "outlast.optimizer.tpe.optuna_mixtures.mixture", lambda *given: asked.append(given) or mixture(*given)
    )
    letters = {"values": list("abcdef")}
    settings, study = lab.settings({"a": letters, "b": letters}, sampler="tpe"), lab.study()
    for number in range(30):
        draw = Optimizer(settings, study).ask(number)
        assert draw == optunas(settings, study).ask(number)
        for event in (lab.created(draw, number), lab.ended(number, values=(0.0,))):
            study.apply(event)
    assert asked, "no draws were close"


@pytest.mark.parametrize("seed", range(8))
def test_quantiles_of_cut_normal_distributions_are_optunas_to_the_last_digit(seed: int) -> None:
    numbers, shape = np.random.RandomState(seed), (40, 24)
    mu, sigma = numbers.uniform(-2, 3, shape), numbers.uniform(0.001, 2, shape) * 10 ** numbers.uniform(-2, 2)
    part, low, high = numbers.uniform(0, 1, shape), (0 - mu) / sigma, (1 - mu) / sigma
    part[0, :2], high[1, 0] = (0, 1), low[1, 0]
    with np.errstate(all="ignore"):
        assert np.array_equal(quantile(part, low, high), ppf(part, low, high), equal_nan=True)


def test_an_objective_that_asks_as_it_goes_gets_what_optuna_suggests(lab: Any) -> None:
    settings = lab.settings({}, sampler="tpe")
    ours, theirs = Optimizer(settings, lab.study()), optunas(settings, lab.study())
    for number in range(40):
        for each in (ours, theirs):
            each.apply(lab.created(each.ask(number), number))
        wanted: dict[str, BaseDistribution] = {"model": CategoricalDistribution(["a", "b"])}
        wanted["rate"] = FloatDistribution(0, 1 + number // 20)  # another range from some trial on
        wanted["a" if number % 3 else "b"] = IntDistribution(0, 10, step=5)
        given = {name: ours.suggest(number, name, distribution_to_json(each)) for name, each in wanted.items()}
        assert given == {
            name: theirs.suggest(number, name, distribution_to_json(each)) for name, each in wanted.items()
        }
        for each in (ours, theirs):
            each.apply(lab.ended(number, values=(given["rate"],)))
    assert ours._seen._view is None


def test_what_a_running_objective_will_be_given_counts_before_it_asks(lab: Any) -> None:
    settings, rate = lab.settings({}, sampler="tpe"), distribution_to_json(FloatDistribution(0, 1))
    optimizer = Optimizer(settings, lab.study())
    for number in range(12):
        optimizer.apply(lab.created(optimizer.ask(number), number))
        value = optimizer.suggest(number, "rate", rate)
        optimizer.apply(lab.ended(number, values=(value,)))
    optimizer.apply(lab.created(optimizer.ask(12), 12))
    optimizer.ask(13)
    columns = optimizer._seen.columns
    assert columns is not None and columns.fits()
    _, others = columns.split(2, {"rate": FloatDistribution(0, 1)}, but=13, running=True)
    assert 12 in others
    planned = columns.observed(others, ["rate"])["rate"][-1]
    assert planned == optimizer.suggest(12, "rate", rate)


def test_what_was_offered_to_a_running_objective_counts_before_it_asks(lab: Any) -> None:
    settings, rate = lab.settings({}, sampler="tpe"), distribution_to_json(FloatDistribution(0, 1))
    optimizer = Optimizer(settings, lab.study())
    created = lab.created(optimizer.ask(0), 0)
    optimizer.apply(replace(created, offered={"rate": (rate, 0.25)}))
    columns = optimizer._seen.columns
    assert columns is not None and columns.fits()
    _, others = columns.split(2, {"rate": FloatDistribution(0, 1)}, but=1, running=True)
    assert columns.observed(others, ["rate"])["rate"].tolist() == [0.25]


@pytest.mark.parametrize("trials", [40, 520])
def test_built_anew_after_a_crash_it_suggests_what_it_would_have_suggested(lab: Any, trials: int) -> None:
    settings = lab.settings(sampler="tpe")
    study = long_study(lab, "conditional", trials, seed=1)
    ran_on = Optimizer(settings, study)
    numbers = random.Random(trials)
    for number in range(trials, trials + 12):
        draw = ran_on.ask(number)
        assert Optimizer(settings, study).ask(number) == draw
        events = [lab.created(draw, number)]
        events += [lab.outcome(n, study.trials[n].params) for n in range(number - 4, number) if numbers.random() < 0.4]
        for event in events:
            study.apply(event)
            ran_on.apply(event)


def test_built_anew_it_suggests_the_same_to_objectives_that_ask_as_they_go_several_at_once(lab: Any) -> None:
    settings, study, numbers = lab.settings({}, sampler="tpe"), lab.study(), random.Random(3)
    ran_on, running = Optimizer(settings, study), dict[int, list[str]]()
    kinds = {
        "rate": FloatDistribution(0, 1),
        "model": CategoricalDistribution(["a", "b"]),
        "size": IntDistribution(1, 9),
    }
    for number in range(45):
        anew = Optimizer(settings, study)
        draw = ran_on.ask(number)
        assert anew.ask(number) == draw
        events: list[Any] = [lab.created(draw, number)]
        running[number] = [name for name in kinds if numbers.random() < 0.8]
        for event in events:
            study.apply(event)
            ran_on.apply(event)
        for at in [each for each in running if numbers.random() < 0.5]:
            if not running[at]:
                del running[at]
                events = [lab.ended(at, values=(numbers.random(),))]
            else:
                name = running[at].pop(0)
                text = distribution_to_json(kinds[name])
                value = ran_on.suggest(at, name, text)
                assert Optimizer(settings, study).suggest(at, name, text) == value
                events = [ParamDrawn(at, name, value, text)]
            for event in events:
                study.apply(event)
                ran_on.apply(event)


def test_choices_that_changed_are_left_to_optuna(lab: Any) -> None:
    settings = lab.settings({}, sampler="tpe")
    optimizer = Optimizer(settings, lab.study())
    for number in range(30):
        optimizer.apply(lab.created(optimizer.ask(number), number))
        low = distribution_to_json(FloatDistribution(0.5, 1, log=number >= 15))
        value = optimizer.suggest(number, "x", low)
        optimizer.apply(ParamDrawn(number, "x", value, low))
        optimizer.apply(lab.ended(number, values=(value,)))
    assert optimizer._seen.columns is not None and not optimizer._seen.columns.fits()
    assert not optimizer.warnings


@pytest.mark.parametrize("count", [0, 1, 5, 99, 600])
def test_densities_agree_with_optunas_to_a_thousandth_of_what_they_have_to(count: int) -> None:
    space: dict[str, Range] = {
        "float": FloatRange(0, 1),
        "log": FloatRange(1e-6, 1, log=True),
        "int": IntRange(1, 64),
        "log int": IntRange(16, 1024, log=True),
        "many": IntRange(0, 20000),
        "step": FloatRange(-5, 5, step=0.25),
        "choice": ChoiceRange(("a", "b", "c")),
    }

    def observed(trials: int) -> dict[str, Any]:
        numbers = np.random.RandomState(trials)
        return {
            n: np.array([float(r.to_internal_repr(drawn(numbers.random_sample, r))) for _ in range(trials)])
            for n, r in space.items()
        }

    points = mixture(observed(20), space).sample(np.random.RandomState(count), 24)
    seen, kernels = observed(count), []
    for name, each in space.items():
        column = Column(count)
        column.meet(each)
        column.put(np.arange(count), [each.to_external_repr(value) for value in seen[name].tolist()])
        kernels.append(column.kernels(np.arange(count), each))
    weights = np.append(trial_weights(count), 1.0)
    ours = log_density(points, weights / weights.sum(), kernels)
    assert np.abs(ours - mixture(seen, space).log_pdf(points)).max() < CLOSE / 1000
