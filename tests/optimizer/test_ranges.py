"""What is drawn from here means what Optuna's distributions mean."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from outlast.optimizer.bridge.optuna_distributions import distribution_of, range_like
from outlast.optimizer.ranges import ChoiceRange, FloatRange, contains, latent_of, parsed, range_of
from outlast.space.distributions import Latent

DISTRIBUTIONS: list[BaseDistribution] = [
    FloatDistribution(-1, 2.5),
    FloatDistribution(3, 3),
    FloatDistribution(1e-7, 1e7, log=True),
    FloatDistribution(0.1, 0.1, log=True),
    FloatDistribution(-0.3, 0.9, step=0.1),
    FloatDistribution(2, 2, step=5),
    IntDistribution(-3, 12),
    IntDistribution(7, 7),
    IntDistribution(0, 98, step=7),
    IntDistribution(1, 4096, log=True),
    IntDistribution(5, 5, log=True),
    CategoricalDistribution(["a", None, 3, 2.5, False]),
    CategoricalDistribution([True, 1, 1.0]),
    CategoricalDistribution([math.nan, "nan"]),
    CategoricalDistribution(["only"]),
]
VALUES = (-3, -0.3, 0, 0.1, 0.3, 0.30000000000000004, 1, True, 2.5, 3, 7, 12, 98, 4096, 1e7, math.nan, math.inf)
VALUES += (None, "a", "only", "3", "nan", [1], False)


@pytest.mark.parametrize("theirs", DISTRIBUTIONS, ids=str)
def test_a_range_says_of_every_value_what_optunas_distribution_says(theirs: BaseDistribution) -> None:
    ours = range_like(theirs)
    assert ours.text() == distribution_to_json(theirs) and parsed(ours.text()).text() == ours.text()
    assert ours.single() == theirs.single()
    for value in VALUES:
        try:
            number = theirs.to_internal_repr(value)
        except (ValueError, TypeError):
            assert not contains(ours, value)
            with pytest.raises(ValueError, match="is no"):
                ours.to_internal_repr(value)
            continue
        assert ours.to_internal_repr(value) == number
        assert contains(ours, value) == (math.isfinite(number) and theirs._contains(number))
        if contains(ours, value):
            again, expected = ours.to_external_repr(number), theirs.to_external_repr(number)
            assert (again, type(again)) == (expected, type(expected)) or math.isnan(again)


def test_choices_that_are_equal_but_not_the_same_stay_what_they_are() -> None:
    for choices in itertools.permutations([True, 1, 1.0]):
        made = distribution_of(ChoiceRange(choices))
        assert [type(each) for each in made.choices] == [type(each) for each in choices]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "UniformDistribution", "attributes": {"low": 0, "high": 2}}',
        '{"name": "IntUniformDistribution", "attributes": {"low": 0, "high": 9, "step": 3}}',
        '{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "step": 0.3, "log": false}}',
        '{"name": "IntDistribution", "attributes": {"low": 0, "high": 10, "step": 3, "log": false}}',
        '{"type": "float", "low": 0.5, "high": 1, "log": true}',
        '{"type": "categorical", "choices": [1, "x"]}',
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_written_otherwise_is_read_as_optuna_reads_it(text: str) -> None:
    assert distribution_of(parsed(text)) == distribution_of(range_like(json_to_distribution(text)))


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "{}",
        '{"name": "FloatDistribution", "attributes": {"low": 1, "high": 0, "step": null, "log": false}}',
        '{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "step": null, "log": true}}',
        '{"name": "CategoricalDistribution", "attributes": {"choices": []}}',
    ],
)
def test_what_is_no_distribution_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parsed(text)


@pytest.mark.parametrize(
    "latent",
    [
        Latent("float", low=0, high=1, step=0.3),
        Latent("float", low=1, high=2, log=True),
        Latent("int", low=1, high=10, step=4),
        Latent("int", low=1, high=10, log=True),
        Latent("categorical", choices=("a", 1)),
    ],
)
def test_an_upper_end_off_the_lattice_is_lowered_as_optuna_lowers_it(latent: Latent) -> None:
    made: Any = {"float": FloatDistribution, "int": IntDistribution}.get(latent.kind)
    ends: Any = {"low": latent.low, "high": latent.high, "log": latent.log}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if latent.kind == "categorical":
            theirs: BaseDistribution = CategoricalDistribution(latent.choices)
        else:
            theirs = made(**ends, **({} if latent.step is None else {"step": latent.step}))
    assert range_of(latent) == range_like(theirs)
    assert latent_of(range_like(theirs)).kind == latent.kind


def test_equal_ranges_are_equal_keys() -> None:
    assert {FloatRange(0, 1): "known"}[FloatRange(0.0, 1.0)] == "known"
