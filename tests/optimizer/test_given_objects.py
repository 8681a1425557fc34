"""Samplers and pruners as objects: what a study file would say of them, and what no record can hold."""

from __future__ import annotations

import collections
import functools
import itertools
import random
from typing import Any

import numpy as np
import optuna
import pytest
from optuna import pruners, samplers
from optuna.samplers import nsgaii

from outlast.config.settings import MetricSettings, SamplerSettings, Settings
from outlast.errors import UsageError
from outlast.optimizer.bridge.alike import difference
from outlast.optimizer.bridge.given_objects import pruner_of, sampler_of
from outlast.optimizer.pruners.pruning import Pruning
from outlast.optimizer.samplers import SamplerFactory

pytestmark = pytest.mark.filterwarnings("ignore")


class Cooling(samplers.BaseSampler):
    """Of somebody's own: what it was made with is there under its names."""

    def __init__(self, temperature: float = 100.0, seed: int | None = None) -> None:
        self._temperature, self._rng = temperature, np.random.RandomState(seed)

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        return param_distribution.low


class Secretive(Cooling):
    def __init__(self, factor: int = 2) -> None:
        super().__init__(50.0 * factor)


class Holding(Cooling):
    """Holds something, of its own making or given."""

    def __init__(self, held: Any = None, seed: int | None = None) -> None:
        super().__init__(1.0)
        self._inside = self.make(seed) if held is None else held
        self.itself = self

    def make(self, seed: int | None) -> Any:
        return [self.show]

    def show(self) -> None:
        pass


class Modern(Holding):
    def make(self, seed: int | None) -> Any:
        return np.random.default_rng(seed)


class Twister(Holding):
    def make(self, seed: int | None) -> Any:
        return random.Random(seed)


class Saying(Twister):
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.seed = seed


class Slotted:
    __slots__ = ("far",)

    def __init__(self, far: int) -> None:
        self.far = far


class Reaching(Cooling):
    def __init__(self, slotted: Slotted | None = None) -> None:
        super().__init__()
        self.slotted = slotted or Slotted(1)


class Queueing(Cooling, collections.deque):  # type: ignore[type-arg]
    """What it holds is in C beside its attributes."""


def queued() -> samplers.BaseSampler:
    sampler = Queueing()
    sampler.append(5)
    return sampler


def drawn_from(sampler: Any) -> samplers.BaseSampler:
    sampler._rng.rand()
    return sampler


def limits(trial: optuna.trial.FrozenTrial) -> tuple[float]:
    return (trial.params["x"],)


def used() -> samplers.BaseSampler:
    sampler = samplers.RandomSampler(seed=1)
    sampler._rng.rng.rand()
    return sampler


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: samplers.RandomSampler(), {"name": "optuna.samplers.RandomSampler"}),
        (lambda: samplers.RandomSampler(seed=0), {"name": "optuna.samplers.RandomSampler", "seed": 0}),
        (
            lambda: samplers.TPESampler(seed=1, multivariate=True, group=True, n_startup_trials=4),
            {"name": "optuna.samplers.TPESampler", "seed": 1, "multivariate": True, "group": True, "n_startup_trials": 4},
        ),
        (lambda: samplers.CmaEsSampler(seed=3, popsize=7), {"name": "cmaes", "seed": 3, "popsize": 7}),
        (lambda: samplers.GPSampler(seed=2), {"name": "optuna.samplers.GPSampler", "seed": 2}),
        (
            lambda: samplers.NSGAIISampler(population_size=12, mutation_prob=0.2),
            {"name": "optuna.samplers.NSGAIISampler", "population_size": 12, "mutation_prob": 0.2},
        ),
        (lambda: samplers.QMCSampler(seed=5, scramble=True), {"name": "qmc", "seed": 5, "scramble": True}),
        (lambda: samplers.QMCSampler(), {"name": "qmc"}),
        (lambda: Cooling(7.0, seed=4), {"name": f"{__name__}:Cooling", "temperature": 7.0, "seed": 4}),
        (lambda: Cooling(), {"name": f"{__name__}:Cooling"}),
        (lambda: Holding(), {"name": f"{__name__}:Holding"}),
        (lambda: Modern(), {"name": f"{__name__}:Modern"}),
        (lambda: Modern(seed=6), {"name": f"{__name__}:Modern", "seed": 6}),
        (lambda: Saying(seed=7), {"name": f"{__name__}:Saying", "seed": 7}),
        (lambda: Reaching(), {"name": f"{__name__}:Reaching"}),
    ],
)  # fmt: skip
def test_a_sampler_is_said_as_a_study_file_would_and_one_is_made_of_that(made, said) -> None:
    assert sampler_of(made()) == (said, None)
    goal = MetricSettings(name="score", goal="minimize")
    SamplerFactory(Settings(name="s", command=("run",), metrics=(goal,), sampler=SamplerSettings.of(said)))


def test_its_function_of_constraints_comes_apart() -> None:
    assert sampler_of(samplers.TPESampler(constraints_func=limits)) == ({"name": "optuna.samplers.TPESampler"}, limits)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: samplers.TPESampler(gamma=lambda n: n), "no record can hold its gamma"),
        (
            lambda: samplers.NSGAIISampler(crossover=nsgaii.BLXAlphaCrossover()),
            "no record can hold its child_generation",
        ),
        (lambda: samplers.CmaEsSampler(source_trials=[optuna.trial.create_trial(value=0.0)]), "its source_trials"),
        (lambda: samplers.PartialFixedSampler({"x": 1}, samplers.RandomSampler()), "not seen in it .*base_sampler"),
        (lambda: samplers.GridSampler({"x": [1, 2]}), "tries everything in an order"),
        (lambda: samplers.BruteForceSampler(), "tries everything in an order"),
        (used, "no record can hold its rng"),
        (lambda: Secretive(3), f"no record can hold its temperature(?s:.)*'?{__name__}:Secretive"),
        (lambda: Twister(seed=42), "no record can hold its inside"),
        (lambda: Holding(functools.partial(limits, 5)), "no record can hold its inside"),
        (lambda: Holding(np.random.default_rng(5)), "no record can hold its inside"),
        (lambda: Holding(itertools.count(5)), "no record can hold its inside"),
        (lambda: Reaching(Slotted(2)), "no record can hold its slotted"),
        (queued, "no record can hold its state"),
        (lambda: drawn_from(Cooling(seed=4)), "no record can hold its rng"),
        (lambda: type("Inside", (Cooling,), {"__qualname__": "f.<locals>.Inside"})(), "made inside a function"),
    ],
)
def test_what_no_record_can_hold_is_refused_with_what_can_be_said(made, why) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        sampler_of(made())
    assert "sampler=" in (caught.value.cure or "") and "<locals>" not in (caught.value.cure or "")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (functools.partial(limits, 5), functools.partial(limits, 5), True),
        (functools.partial(limits, 5), functools.partial(limits, 6), False),
        (functools.partial(limits, key=5), functools.partial(limits, key=6), False),
        (random.Random(5), random.Random(5), True),
        (random.Random(5), random.Random(6), False),
        (np.random.default_rng(5), np.random.default_rng(5), True),
        (np.random.default_rng(5), np.random.default_rng(6), False),
        (np.random.default_rng(), np.random.default_rng(), True),
        (np.random.RandomState(5), np.random.RandomState(5), True),
        (np.random.RandomState(5), np.random.RandomState(6), False),
        (np.random.RandomState(), np.random.RandomState(), True),
        ({"a": [Slotted(1)]}, {"a": [Slotted(1)]}, True),
        ({"a": [Slotted(1)]}, {"a": [Slotted(2)]}, False),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), True),
        (np.array([Slotted(1)]), np.array([Slotted(2)]), False),
        (lambda: 1, lambda: 1, False),
        ((each for each in "a"), (each for each in "a"), False),
        (iter([1, 2]), iter([1, 3]), False),
        (functools.reduce(lambda inner, _: [inner], range(99), 1), functools.reduce(lambda i, _: [i], range(99), 2), False),
    ],
)  # fmt: skip
def test_what_a_sampler_holds_is_alike_only_if_all_of_its_state_is(one, other, alike) -> None:
    assert (difference(Holding(one), Holding(other)) == "") is alike


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (pruners.MedianPruner(n_warmup_steps=3), {"name": "median", "n_warmup_steps": 3}),
        (pruners.HyperbandPruner(2, 9), {"name": "hyperband", "min_resource": 2, "max_resource": 9}),
        (pruners.SuccessiveHalvingPruner(), {"name": "asha"}),
        (pruners.ThresholdPruner(upper=1.0), {"name": "optuna.pruners.ThresholdPruner", "upper": 1.0}),
        (pruners.NopPruner(), {"name": "none"}),
        (
            pruners.PatientPruner(pruners.MedianPruner(n_min_trials=2), patience=3),
            {"name": "patient", "patience": 3, "wrapped_pruner": {"name": "median", "n_min_trials": 2}},
        ),
    ],
)
def test_a_pruner_is_said_as_a_study_file_would_and_one_is_made_of_that(made, said, lab) -> None:
    assert pruner_of(made) == said
    options = {name: value for name, value in said.items() if name != "name"}
    Pruning(lab.settings(pruner=said["name"], pruner_options=options), lab.study())
