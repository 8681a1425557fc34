"""Draws at random are Optuna's, at a cost that trials of milliseconds can bear."""

from __future__ import annotations

import sys
from typing import Any, cast

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from outlast.core.records import ParamDrawn
from outlast.optimizer.bridge.optuna_distributions import range_like
from outlast.optimizer.random_draws import RandomDraws
from outlast.optimizer.sampling import Optimizer

KINDS: dict[str, BaseDistribution] = {
    "float": FloatDistribution(-3, 7.7),
    "log": FloatDistribution(1e-5, 0.3, log=True),
    "step": FloatDistribution(0, 1, step=0.1),
    "int": IntDistribution(1, 9),
    "int step": IntDistribution(0, 98, step=7),
    "int log": IntDistribution(3, 1000, log=True),
    "choice": CategoricalDistribution(["a", None, 3, True]),
    "one": FloatDistribution(2, 2),
}
WANTED = {name: distribution_to_json(kind) for name, kind in KINDS.items()}


@pytest.mark.parametrize("few", [0, 1_000])
def test_a_value_is_the_one_that_optunas_sampler_draws(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.optimizer.random_draws._FEW", few)
    if few:  # as long as nobody has loaded it
        monkeypatch.delitem(sys.modules, "numpy")
    ours, study = RandomDraws(0), cast("Any", None)
    for seed in [*range(200), 2**31 - 1]:
        theirs = optuna.samplers.RandomSampler(seed)
        ours.reseed(seed)
        for name, kind in KINDS.items():
            wanted, found = theirs.sample_independent(study, study, name, kind), ours.alone(name, range_like(kind))
            assert (found, type(found)) == (wanted, type(wanted))
    assert (ours._numpys is None) == bool(few)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_is_suggested_ahead_is_what_would_be_suggested_one_by_one(lab: Any, sampler: str) -> None:
    settings = lab.settings({}, sampler=sampler, options={"n_startup_trials": 5} if sampler == "tpe" else None)
    ahead, asked = (Optimizer(settings, lab.study()) for _ in range(2))
    for number in range(12):
        for event in (lab.created(ahead.ask(number), number), lab.opened(number)):
            ahead.apply(event)
            asked.ask(number)
            asked.apply(event)
        offered = ahead.suggest_ahead(number, WANTED)
        assert ahead.suggest_ahead(number, WANTED) == offered, "nothing is noted"
        assert {name: asked.suggest(number, name, text) for name, text in WANTED.items()} == offered
        for name, value in offered.items():
            ahead.apply(ParamDrawn(number, name, value, WANTED[name]))
        for each in (ahead, asked):
            each.apply(lab.ended(number, values=(offered["float"],)))
