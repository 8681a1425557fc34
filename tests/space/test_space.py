"""Spaces: what is active, what fits, how many configurations there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.space.definitions import define
from outlast.space.parameters import SpaceError
from outlast.space.space import Space


def space(*constraints: str, **definitions) -> Space:
    parameters = []
    for name, definition in definitions.items():
        when = definition.pop("when", None)
        parameters.append(define(name.replace("__", "."), definition, when))
    return Space.from_parameters(parameters, constraints)


def conditional() -> Space:
    return space(
        depth={"min": 1, "max": 3, "when": {"model": ["cnn"]}},
        kernel={"values": [3, 5], "when": {"depth": [2, 3]}},
        model={"values": ["mlp", "cnn"]},
        width={"value": 8},
    )


def names(parameters) -> list[str]:
    return [parameter.name for parameter in parameters]


def test_parents_come_before_their_children():
    assert names(conditional().sampled) == ["model", "depth", "kernel"]


def test_a_child_is_active_only_once_its_parent_is_decided_so():
    tree = conditional()
    assert names(tree.active({})) == ["model"]
    assert names(tree.active({"model": "mlp"})) == ["model"]
    assert names(tree.active({"model": "cnn"})) == ["model", "depth"]
    assert names(tree.active({"model": "cnn", "depth": 1})) == ["model", "depth"]
    assert names(tree.active({"model": "cnn", "depth": 2})) == ["model", "depth", "kernel"]


def test_a_value_of_an_inactive_parent_activates_nothing():
    assert names(conditional().active({"model": "mlp", "depth": 2})) == ["model"]


def test_a_parent_may_be_a_constant():
    tree = space(model={"value": "cnn"}, depth={"min": 1, "max": 3, "when": {"model": ["cnn"]}})
    assert names(tree.active({})) == ["depth"]


def test_fixing_a_parent_switches_its_children_off():
    tree = space(model={"value": "mlp"}, depth={"min": 1, "max": 3, "when": {"model": ["cnn"]}})
    assert tree.active({}) == () and tree.size == 1


def test_decoding_leaves_out_what_is_not_active():
    assert conditional().decode({"model": "mlp", "depth": 3, "kernel": 3}) == {"model": "mlp"}


def test_constants_are_completed_where_they_are_active():
    tree = space(model={"values": ["a", "b"]}, fixed={"value": 1}, only={"value": 2, "when": {"model": ["b"]}})
    assert tree.constants == {"fixed": 1}
    assert tree.complete({"model": "a"}) == {"model": "a", "fixed": 1}
    assert tree.complete({"model": "b"}) == {"model": "b", "fixed": 1, "only": 2}


def test_encoding_takes_a_part_and_leaves_constants_out():
    assert conditional().encode({"depth": 2, "width": 8}) == {"depth": 2}


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"model": "rnn"}, "model: 'rnn' is not one of"),
        ({"modle": "cnn"}, "modle: is not a parameter"),
        ({"width": 9}, "width: 9 is not one of 8"),
    ],
)
def test_encoding_names_the_parameter_that_does_not_fit(params, words):
    with pytest.raises(ValueError, match=words):
        conditional().encode(params)


def test_fits_says_why_not():
    tree = conditional()
    assert tree.fits({"model": "cnn", "depth": 1}) is None
    assert tree.fits({"model": "cnn", "depth": 1, "width": 8}) is None
    assert tree.fits({"model": "cnn"}) == "depth: has no value"
    assert tree.fits({"model": "mlp", "depth": 1}) == "depth: has a value where it is not active"
    assert tree.fits({"model": "mlp", "depth": 9}) == "depth: 9 is not from 1 to 3"
    assert space("a < b", a={"min": 1, "max": 3}, b={"min": 1, "max": 3}).fits({"a": 2, "b": 1}) == (
        "constraint `a < b` does not hold"
    )


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "kind", "width", "other"]),
        st.sampled_from([0, 1, 2, 8, 9, "x", "z", True]),
        max_size=4,
    )
)
def test_a_space_without_conditions_says_what_one_says_whose_conditions_are_met(params):
    plain = {
        "a": {"min": 0, "max": 2},
        "b": {"min": 1, "max": 9},
        "kind": {"values": ["x", "y"]},
        "width": {"value": 8},
    }
    bound = {name: {**of, "when": {"width": [8]}} for name, of in plain.items() if name != "width"}
    assert space("a < b", **_copies(plain)).fits(params) == space("a < b", width={"value": 8}, **_copies(bound)).fits(
        params
    )
    assert space(**_copies(plain)).fits(params) == space(width={"value": 8}, **_copies(bound)).fits(params)


def _copies(definitions):
    return {name: dict(of) for name, of in definitions.items()}


def test_constraints_see_constants_and_dotted_and_hyphened_names():
    parameters = [
        define("optimizer.lr", {"min": 0.0, "max": 1.0}),
        define("scale", {"value": 10}),
        define("batch-size", {"min": 1, "max": 8}),
    ]
    tree = Space.from_parameters(parameters, ["optimizer.lr * scale < batch_size"])
    assert tree.satisfies({"optimizer.lr": 0.1, "batch-size": 2})
    assert not tree.satisfies({"optimizer.lr": 0.9, "batch-size": 2})


def test_a_constraint_on_an_inactive_parameter_is_satisfied():
    tree = space("depth > 5", depth={"min": 1, "max": 9, "when": {"model": ["cnn"]}}, model={"values": ["mlp", "cnn"]})
    assert tree.satisfies({"model": "mlp"})
    assert not tree.satisfies({"model": "cnn", "depth": 1})


def test_size_counts_only_what_can_be_told_apart():
    assert conditional().size == 1 + 1 + 2 * 2
    assert space(a={"min": 1, "max": 10}, b={"values": ["x", "y"]}).size == 20
    assert space("a + b == 4", a={"min": 1, "max": 3}, b={"min": 1, "max": 3}).size == 3
    assert space(a={"value": 1}).size == 1


def test_size_of_a_large_space_without_conditions_is_the_product():
    assert space(a={"min": 1, "max": 10**6}, b={"min": 1, "max": 10**6}).size == 10**12


def test_size_has_no_answer_for_continuous_or_uncountable_spaces():
    assert space(a={"min": 0.0, "max": 1.0}).size is None
    assert space(a={"distribution": "q_normal"}).size is None
    assert space("a != b", a={"min": 1, "max": 10**5}, b={"min": 1, "max": 10**5}).size is None


def test_the_grid_is_every_configuration_once():
    configurations = list(conditional().grid())
    assert len(configurations) == conditional().size
    assert len({repr(sorted(c.items())) for c in configurations}) == len(configurations)
    assert all(conditional().fits(c) is None for c in configurations)


def test_the_grid_varies_the_first_parameter_slowest():
    assert list(space(a={"values": [1, 2]}, b={"values": ["x", "y"]}).grid()) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_a_continuous_space_has_no_grid():
    with pytest.raises(SpaceError, match="continuous"):
        next(iter(space(a={"min": 0.0, "max": 1.0}).grid()))


def test_dotted_names_nest():
    assert conditional().nest({"optimizer.lr": 1, "optimizer.adam.beta": 2, "x": 3}) == {
        "optimizer": {"lr": 1, "adam": {"beta": 2}},
        "x": 3,
    }


@pytest.mark.parametrize(
    ("definitions", "words"),
    [
        (
            {"a": {"values": [1, 2], "when": {"b": [1]}}, "b": {"values": [1, 2], "when": {"a": [1]}}},
            "wait for each other",
        ),
        ({"a": {"values": [1, 2], "when": {"c": [1]}}, "b": {"values": [1, 2]}}, "no parameter"),
        ({"a": {"values": [1, 2], "when": {"b": [3]}}, "b": {"values": [1, 2]}}, "never be active"),
    ],
)
def test_parameters_that_make_no_space_are_refused(definitions, words):
    with pytest.raises(SpaceError, match=words):
        space(**definitions)


def test_a_name_may_begin_with_anothers_and_keeps_its_dots_where_the_others_are_nested():
    made = space(db={"values": ["mysql", "sqlite"]}, db__timeout={"values": [5, 10]}, model__dim={"value": 8})
    params = {"db": "mysql", "db.timeout": 5}
    assert made.complete(params) == {"db": "mysql", "db.timeout": 5, "model.dim": 8}
    assert made.nest(made.complete(params)) == {"db": "mysql", "db.timeout": 5, "model": {"dim": 8}}
    assert made.inside_others == {"db.timeout": "db"} and made.size == 4


def test_a_name_twice_is_refused():
    with pytest.raises(SpaceError, match="twice"):
        Space.from_parameters([define("a", {"value": 1}), define("a", {"value": 2})])


@pytest.mark.parametrize(
    ("constraint", "words"), [("b > 1", "not a parameter"), ("1 < 2", "no parameter"), ("f(a)", "call")]
)
def test_constraints_that_cannot_be_are_refused(constraint, words):
    with pytest.raises(SpaceError, match=words):
        space(constraint, a={"min": 1, "max": 2})


@st.composite
def trees(draw) -> Space:
    """A space of choices where each parameter may hang on an earlier one."""
    parameters = []
    for index in range(draw(st.integers(1, 5))):
        when = None
        if parameters and draw(st.booleans()):
            parent = draw(st.sampled_from(parameters))
            when = {parent.name: draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=2, unique=True))}
        parameters.append(define(f"p{index}", {"values": [0, 1, 2]}, when))
    return Space.from_parameters(draw(st.permutations(parameters)))


@given(trees())
def test_every_grid_point_survives_encoding_and_decoding(tree):
    points = list(tree.grid())
    assert len(points) == tree.size
    for point in points:
        assert tree.fits(point) is None
        assert tree.decode(tree.encode(point)) == point
