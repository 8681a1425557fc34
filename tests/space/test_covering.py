"""Few configurations that hold every value of every small categorical."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.config.load import settings_from_resolved
from outlast.space.covering import covering, small_categoricals, with_value
from outlast.space.space import Space


def space_of(parameters, constraints=()) -> Space:
    resolved = {
        "name": "s",
        "command": ["run", "${args}"],
        "metric": {"name": "m", "goal": "maximize"},
        "parameters": parameters,
        "constraints": list(constraints),
        "budget": {"trials": 1},
    }
    return settings_from_resolved(resolved, ".").space


def values_in(configurations, name):
    return {json.dumps(c[name]) for c in configurations if name in c}


def test_independent_parameters_share_configurations() -> None:
    space = space_of({"a": {"values": [1, 2, 3]}, "b": {"values": ["x", "y"]}, "lr": {"min": 0.0, "max": 1.0}})
    found = covering(space)
    assert len(found.configurations) == 3
    assert values_in(found.configurations, "a") == {"1", "2", "3"}
    assert values_in(found.configurations, "b") == {'"x"', '"y"'}
    assert all(space.fits(configuration) is None for configuration in found.configurations)


def test_a_value_below_a_condition_brings_its_parent_along() -> None:
    space = space_of(
        {
            "model": {"values": ["svm", "forest"]},
            "kernel": {"values": ["rbf", "poly"], "when": {"model": "svm"}},
            "flavour": {"values": ["a", "b"], "when": {"kernel": "poly"}},
        }
    )
    found = covering(space)
    assert values_in(found.configurations, "flavour") == {'"a"', '"b"'}
    assert all(space.fits(configuration) is None for configuration in found.configurations)
    assert not found.unreached


def test_constraints_hold_and_what_they_forbid_is_named() -> None:
    space = space_of({"a": {"values": [1, 2, 3]}, "b": {"values": [1, 2, 3]}}, ["a != b", "a < 3"])
    found = covering(space)
    assert all(space.satisfies(configuration) for configuration in found.configurations)
    assert found.unreached == (("a", 3),)
    assert values_in(found.configurations, "b") == {"1", "2", "3"}


def test_the_first_configuration_is_the_usual_one() -> None:
    space = space_of({"a": {"values": [1, 2]}, "lr": {"min": 1e-4, "max": 1e-2, "distribution": "log_uniform_values"}})
    assert covering(space).configurations[0] == {"a": 1, "lr": 0.001}
    assert covering(space, {"a": 2, "lr": 5e-3}).configurations[0] == {"a": 2, "lr": 5e-3}


def test_long_lists_of_values_are_left_alone() -> None:
    space = space_of({"seed": {"values": list(range(9))}, "a": {"values": [True, False]}})
    assert list(small_categoricals(space)) == ["a"]
    assert len(covering(space).configurations) == 2


def test_true_and_one_are_two_values() -> None:
    space = space_of({"a": {"values": [1, True, "1", None, [1, 2]]}})
    assert len(covering(space).configurations) == 5


def test_a_space_without_parameters_has_one_configuration() -> None:
    assert covering(space_of({"epochs": {"value": 3}})).configurations == ({},)


def test_one_value_is_put_into_a_configuration_that_is_otherwise_kept() -> None:
    space = space_of({"a": {"values": [1, 2]}, "b": {"values": [1, 2]}, "c": {"values": [1, 2], "when": {"b": 2}}})
    assert with_value(space, {"a": 2, "b": 1}, "c", 2) == {"a": 2, "b": 2, "c": 2}


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    parents=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=4, max_size=4),
)
def test_every_reachable_value_is_covered(sizes, parents) -> None:
    parameters = {}
    for i, size in enumerate(sizes):
        parameters[f"p{i}"] = {"values": list(range(size))}
        parent, value = parents[i]
        if parent < i and value < sizes[parent]:
            parameters[f"p{i}"]["when"] = {f"p{parent}": value}
    space = space_of(parameters)
    found = covering(space)
    assert not found.unreached
    assert all(space.fits(configuration) is None for configuration in found.configurations)
    for name, values in small_categoricals(space).items():
        assert values_in(found.configurations, name) == {json.dumps(value) for value in values}
