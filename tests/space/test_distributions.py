"""Every distribution has W&B's meaning, and encode is decode backwards."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.space.definitions import FIGURES, define, to_definition
from outlast.space.distributions import Latent
from outlast.space.parameters import Parameter, SpaceError


def draws(parameter: Parameter, count: int = 4000) -> list:
    """Values decoded from uniform draws of the latent shape, as a random sampler makes them."""
    rng = random.Random(7)
    latent = parameter.latent
    assert latent is not None
    if latent.kind == "categorical":
        return [parameter.decode(rng.choice(latent.choices)) for _ in range(count)]
    if latent.kind == "int":
        return [parameter.decode(rng.randint(int(latent.low), int(latent.high))) for _ in range(count)]
    if latent.log:
        return [
            parameter.decode(math.exp(rng.uniform(math.log(latent.low), math.log(latent.high)))) for _ in range(count)
        ]
    return [parameter.decode(rng.uniform(latent.low, latent.high)) for _ in range(count)]


def test_two_whole_ends_make_whole_numbers():
    parameter = define("n", {"min": 1, "max": 4})
    assert parameter.distribution == "int_uniform"
    assert set(draws(parameter)) == {1, 2, 3, 4}
    assert all(isinstance(value, int) for value in draws(parameter, 20))


def test_one_fraction_among_the_ends_makes_fractions():
    assert define("x", {"min": 0, "max": 0.5}).latent == Latent("float", 0.0, 0.5)


def test_equal_ends_are_a_constant():
    parameter = define("x", {"min": 3, "max": 3})
    assert parameter.constant and parameter.value == 3
    assert define("x", {"min": 0.1, "max": 0.1, "distribution": "log_uniform_values"}).value == 0.1


def test_log_uniform_takes_exponents_of_e():
    parameter = define("lr", {"min": math.log(1e-5), "max": math.log(1e-1), "distribution": "log_uniform"})
    assert parameter.latent is not None and parameter.latent.log
    assert parameter.latent.low == pytest.approx(1e-5) and parameter.latent.high == pytest.approx(1e-1)
    assert statistics.median(draws(parameter)) == pytest.approx(1e-3, rel=0.2)


def test_log_uniform_values_takes_the_ends_themselves():
    assert define("lr", {"min": 1e-5, "max": 0.1, "distribution": "log_uniform_values"}).latent == Latent(
        "float", 1e-5, 0.1, log=True
    )


def test_inv_log_uniform_draws_what_has_a_uniform_log_of_its_inverse():
    parameter = define("x", {"min": math.log(2), "max": math.log(8), "distribution": "inv_log_uniform"})
    inverse = [math.log(1 / value) for value in draws(parameter)]
    assert min(inverse) >= math.log(2) - 1e-9 and max(inverse) <= math.log(8) + 1e-9
    assert statistics.mean(inverse) == pytest.approx((math.log(2) + math.log(8)) / 2, rel=0.05)


def test_inv_log_uniform_values_stays_between_its_ends():
    values = draws(define("x", {"min": 0.1, "max": 10, "distribution": "inv_log_uniform_values"}))
    assert min(values) >= 0.1 and max(values) <= 10
    assert statistics.median(values) == pytest.approx(1.0, rel=0.2)


def test_q_uniform_rounds_to_multiples_so_that_the_ends_are_half_as_likely():
    values = draws(define("x", {"min": 0, "max": 1, "q": 0.25, "distribution": "q_uniform"}), 8000)
    assert set(values) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert values.count(0.0) / values.count(0.5) == pytest.approx(0.5, abs=0.1)


def test_a_whole_q_gives_whole_numbers():
    values = draws(define("x", {"min": 16, "max": 64, "q": 16, "distribution": "q_uniform"}), 200)
    assert set(values) == {16, 32, 48, 64} and all(isinstance(value, int) for value in values)


def test_q_is_one_unless_given():
    assert set(draws(define("x", {"min": 0.4, "max": 2.6, "distribution": "q_uniform"}), 300)) == {0, 1, 2, 3}


def test_q_without_noise_of_binary_fractions():
    parameter = define("x", {"min": 0, "max": 1, "q": 0.1, "distribution": "q_uniform"})
    assert list(parameter.choices or []) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_q_log_uniform_values_rounds_after_the_logarithm():
    parameter = define("x", {"min": 1, "max": 1000, "q": 10, "distribution": "q_log_uniform_values"})
    values = draws(parameter)
    assert all(value % 10 == 0 for value in values)
    assert statistics.median(values) == pytest.approx(30, abs=10)


def test_normal_has_its_mean_and_deviation():
    values = draws(define("x", {"distribution": "normal", "mu": 3, "sigma": 0.5}))
    assert statistics.mean(values) == pytest.approx(3, abs=0.05)
    assert statistics.stdev(values) == pytest.approx(0.5, rel=0.05)


def test_log_normal_is_the_exponential_of_a_normal():
    values = draws(define("x", {"distribution": "log_normal", "mu": -2, "sigma": 1}))
    assert statistics.mean(map(math.log, values)) == pytest.approx(-2, abs=0.05)


def test_quantiles_agree_with_scipy():
    from scipy import stats

    quantile = 0.123
    assert define("x", {"distribution": "normal", "mu": 1, "sigma": 2}).decode(quantile) == pytest.approx(
        stats.norm.ppf(quantile, 1, 2)
    )
    assert define("x", {"distribution": "beta", "a": 2, "b": 5}).decode(quantile) == pytest.approx(
        stats.beta.ppf(quantile, 2, 5)
    )
    assert define("x", {"distribution": "log_normal", "mu": 1, "sigma": 2}).decode(quantile) == pytest.approx(
        stats.lognorm.ppf(quantile, s=2, scale=math.exp(1))
    )


def test_q_beta_and_q_normal_round():
    assert set(draws(define("x", {"distribution": "q_beta", "a": 2, "b": 2, "q": 0.5}))) == {0.0, 0.5, 1.0}
    assert all(value % 2 == 0 for value in draws(define("x", {"distribution": "q_normal", "sigma": 10, "q": 2})))


def test_weights_make_choices_likelier():
    values = draws(define("x", {"values": ["a", "b", "c"], "probabilities": [0.7, 0.3, 0.0]}))
    assert values.count("a") / len(values) == pytest.approx(0.7, abs=0.03)
    assert "c" not in values


def test_list_and_mapping_choices_are_drawn_by_position():
    parameter = define("layers", {"values": [[64], [64, 64], {"kind": "wide"}]})
    assert parameter.latent == Latent("categorical", choices=(0, 1, 2))
    assert parameter.decode(1) == [64, 64]
    assert parameter.encode({"kind": "wide"}) == 2
    assert parameter.shown.choices == ("[64]", "[64, 64]", '{"kind": "wide"}')
    assert parameter.shown_value([64]) == "[64]"


def test_choices_that_are_equal_but_not_the_same_stay_apart():
    parameter = define("x", {"values": [1, True, "1"]})
    assert [parameter.decode(parameter.encode(value)) for value in (1, True, "1")] == [1, True, "1"]
    assert parameter.encode(True) != parameter.encode(1)


def test_one_choice_is_a_constant():
    assert define("x", {"values": ["only"]}).constant


def test_null_is_a_choice():
    parameter = define("x", {"values": [None, 0.1]})
    assert parameter.decode(parameter.encode(None)) is None


def test_shown_distribution_of_a_normal_is_in_its_own_units():
    shown = define("x", {"distribution": "normal", "mu": 10, "sigma": 1}).shown
    assert shown.kind == "float" and not shown.log
    assert shown.low == pytest.approx(10 - 5.9978, abs=1e-3) and shown.high == pytest.approx(10 + 5.9978, abs=1e-3)


def test_shown_distribution_of_whole_steps_keeps_the_step():
    assert define("x", {"min": 16, "max": 64, "q": 16, "distribution": "q_uniform"}).shown == Latent(
        "int", 16, 64, step=16
    )
    assert define("x", {"min": 1, "max": 64, "q": 1, "distribution": "q_log_uniform_values"}).shown == Latent(
        "int", 1, 64, log=True
    )


def test_shown_distribution_of_weights_is_the_choices():
    assert define("x", {"values": ["a", "b"], "probabilities": [0.5, 0.5]}).shown.choices == ("a", "b")


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"min": 1, "max": 4}, 5),
        ({"min": 1, "max": 4}, 2.5),
        ({"min": 1, "max": 4}, True),
        ({"min": 0.0, "max": 1.0}, "x"),
        ({"min": 0.0, "max": 1.0}, math.nan),
        ({"min": 0.0, "max": 1.0}, 1.1),
        ({"values": ["a", "b"]}, "c"),
        ({"values": [1, 2]}, True),
        ({"min": 0, "max": 1, "q": 0.1, "distribution": "q_uniform"}, 0.15),
        ({"min": 0, "max": 1, "q": 0.1, "distribution": "q_uniform"}, 1.1),
        ({"distribution": "normal"}, 10.0),
        ({"value": 3}, 4),
        ({"values": ["a", "b", "c"], "probabilities": [0.5, 0.5, 0]}, "c"),
    ],
)
def test_a_value_outside_is_refused_by_name(definition, value):
    with pytest.raises(ValueError, match=r"^some\.name: "):
        define("some.name", definition).encode(value)


@pytest.mark.parametrize(
    ("definition", "key", "words"),
    [
        ({"min": 2, "max": 1}, "min", "above max"),
        ({"min": 0, "max": 1, "distribution": "log_uniform_values"}, "min", "no logarithm"),
        ({"min": 0, "max": 9, "distribution": "int_log_uniform"}, "min", "no logarithm"),
        ({"min": 0.5, "max": 9, "distribution": "int_uniform"}, "min", "whole number"),
        ({"min": "1", "max": 2}, "min", "not a number"),
        ({"min": 1, "max": math.inf}, "max", "not finite"),
        ({"min": 1, "max": 2, "q": 0, "distribution": "q_uniform"}, "q", "above 0"),
        ({"min": 1, "max": 2, "q": 1e-20, "distribution": "q_uniform"}, "q", "too fine"),
        ({"min": 1, "max": 5000, "distribution": "log_uniform"}, "max", "exponents"),
        ({"values": []}, "values", "no value"),
        ({"values": "ab"}, "values", "not a list"),
        ({"values": [1, 1]}, "values", "twice"),
        ({"values": [1, math.nan]}, "values", "not finite"),
        ({"values": [1, 2], "probabilities": [1]}, "probabilities", "one for each value"),
        ({"values": [1, 2], "probabilities": [0.5, 0.4]}, "probabilities", "add up"),
        ({"values": [1, 2], "probabilities": [1.5, -0.5]}, "probabilities", "negative"),
        ({"distribution": "normal", "sigma": -1}, "sigma", "negative"),
        ({"distribution": "beta", "a": 0}, "a", "above 0"),
        ({"distribution": "log_normal", "mu": 1000}, "mu", "out of range"),
        ({"distribution": "unifrom", "min": 0, "max": 1}, "distribution", "unknown distribution"),
        ({"mim": 0, "max": 1}, "mim", "unknown key"),
        ({"valeus": [1]}, "valeus", "unknown key"),
        ({"value": 1, "values": [1, 2]}, "values", "unknown key for constant"),
        ({"min": 1}, None, "needs `max`"),
        ({}, None, "says no value"),
        ({"value": 2**60}, "value", "beyond"),
    ],
)
def test_a_wrong_definition_names_the_figure(definition, key, words):
    with pytest.raises(SpaceError, match=words) as caught:
        define("x", definition)
    assert caught.value.key == key


def test_a_misspelt_distribution_gets_the_nearest_one():
    with pytest.raises(SpaceError) as caught:
        define("x", {"distribution": "log_unifrom_values", "min": 1, "max": 2})
    assert caught.value.cure == "did you mean `log_uniform_values`?"


# -- properties -----------------------------------------------------------------------------------------------------

numbers = st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.6g}"))
positive = st.floats(1e-6, 1e6).map(lambda x: float(f"{x:.6g}"))
wholes = st.integers(-1000, 1000)


@st.composite
def definitions(draw) -> dict:
    """Any definition that is right."""
    word = draw(st.sampled_from(sorted(FIGURES)))
    if word == "constant":
        return {"value": draw(st.one_of(wholes, numbers, st.text(max_size=5), st.booleans(), st.none()))}
    if word.startswith("categorical"):
        values = draw(
            st.lists(st.one_of(wholes, st.text(max_size=3), st.booleans()), min_size=2, max_size=5, unique_by=repr)
        )
        definition = {"values": values}
        if word == "categorical_w_probabilities":
            definition |= {"distribution": word, "probabilities": [1 / len(values)] * len(values)}
        return definition
    definition = {"distribution": word}
    if "min" in FIGURES[word][0]:
        if word.startswith("int"):
            ends = st.integers(1, 10_000)
        elif word.endswith("_values"):
            ends = positive
        elif "log" in word:
            ends = st.floats(-20, 20)
        else:
            ends = numbers
        low, high = sorted([draw(ends), draw(ends)])
        definition |= {"min": low, "max": high}
    else:
        definition |= {key: draw(st.floats(0.5, 4)) for key in FIGURES[word][1] if key != "q"}
    if "q" in FIGURES[word][1]:
        definition["q"] = draw(st.sampled_from([1, 2, 0.5, 0.1]))
    return definition


@given(definitions(), st.floats(0, 1))
def test_decode_of_encode_gives_the_value_back(definition, fraction):
    parameter = define("x", definition)
    latent = parameter.latent
    if latent is None:
        assert parameter.decode(None) == parameter.value
        return
    if latent.kind == "categorical":
        drawn = latent.choices[int(fraction * (len(latent.choices) - 1))]
    else:
        drawn = latent.low + fraction * (latent.high - latent.low)
        drawn = round(drawn) if latent.kind == "int" else drawn
    value = parameter.decode(drawn)
    again = parameter.decode(parameter.encode(value))
    assert type(again) is type(value)
    assert again == (pytest.approx(value, rel=1e-6, abs=1e-6) if isinstance(value, float) else value)


@given(definitions())
def test_a_definition_written_back_makes_the_same_parameter(definition):
    parameter = define("x", definition, {"other": [1, "a"]})
    written = to_definition(parameter)
    when = written.pop("when")
    assert define("x", written, when) == parameter


@given(definitions(), st.floats(0, 1))
def test_what_is_decoded_lies_in_the_shown_distribution(definition, fraction):
    parameter = define("x", definition)
    latent, shown = parameter.latent, parameter.shown
    if latent is None or latent.kind == "categorical":
        return
    drawn = latent.low + fraction * (latent.high - latent.low)
    value = parameter.decode(round(drawn) if latent.kind == "int" else drawn)
    if shown.kind == "categorical":
        assert parameter.shown_value(value) in shown.choices
    else:
        assert shown.low <= value <= shown.high
