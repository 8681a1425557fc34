"""Duplicates, used-up spaces, constraints, conditions, enqueued configurations."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.core.records import TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.errors import StudyFileError
from outlast.optimizer.sampling import Optimizer

SMALL = {"a": {"values": [1, 2, 3]}, "b": {"values": ["x", "y"]}}


def drawn(lab: Any, settings: Any, limit: int) -> list[dict[str, Any]]:
    optimizer, found = Optimizer(settings, lab.study()), []
    for number in range(limit):
        draw = optimizer.ask(number)
        if draw is None:
            break
        found.append(draw.params)
        optimizer.apply(lab.created(draw, number))
        optimizer.apply(lab.ended(number, values=(float(draw.params["a"]),)))
    assert not optimizer.warnings
    return found


@pytest.mark.parametrize("sampler", ["auto", "random", "qmc", "grid", "nsga2", "cmaes"])
def test_a_discrete_space_is_used_up_without_a_repetition_and_then_ends(lab: Any, sampler: str) -> None:
    found = drawn(lab, lab.settings(SMALL, sampler=sampler), 20)
    assert len(found) == 6
    assert {(p["a"], p["b"]) for p in found} == {(a, b) for a in (1, 2, 3) for b in "xy"}


def all_drawn(lab: Any, settings: Any, limit: int = 12) -> list[dict[str, Any]]:
    """Configurations up to the end of the space, or `limit` of them."""
    optimizer, found = Optimizer(settings, lab.study()), []
    for number in range(limit):
        draw = optimizer.ask(number)
        if draw is None:
            break
        found.append(draw.params)
        optimizer.apply(lab.created(draw, number))
        optimizer.apply(lab.ended(number, values=(1.0,)))
    return found


ONE_POINT = {
    "one choice": {"a": {"values": [0.1]}},
    "a constant": {"a": {"value": 3}},
    "min and max alike": {"a": {"min": 3, "max": 3}, "b": {"min": 0.5, "max": 0.5}},
    "a step that holds one point": {"a": {"min": 1, "max": 1.2, "q": 0.5, "distribution": "q_uniform"}},
    "one choice with a chance": {"a": {"values": [1, 2], "probabilities": [1.0, 0.0]}},
    "a child of a constant": {"kind": {"value": "x"}, "a": {"min": 0.0, "max": 1.0, "when": {"kind": ["y"]}}},
}


@pytest.mark.parametrize("sampler", ["auto", "grid", "random", "tpe", "gaussian", "qmc", "cmaes", "gp", "nsga2"])
@pytest.mark.parametrize("parameters", ONE_POINT.values(), ids=ONE_POINT)
def test_a_space_of_one_configuration_is_used_up_by_one_trial(lab: Any, sampler: str, parameters: Any) -> None:
    assert len(all_drawn(lab, lab.settings(parameters, sampler=sampler))) == 1


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe", "gaussian", "qmc", "cmaes", "gp", "nsga2"])
@pytest.mark.parametrize(
    ("more", "number"),
    [
        ({"constraints": ("a > 2",)}, 2),  # of six
        ({"constraints": ("a > 3",)}, 0),
        ({"enqueue": ({"a": 1, "b": "x"}, {"a": 2})}, 6),
        ({"enqueue": ({"a": 1, "b": "x"}, {"a": 1, "b": "x"})}, 7),  # a person may ask twice
    ],
)
def test_a_small_space_ends_with_its_last_configuration(lab: Any, sampler: str, more: Any, number: int) -> None:
    assert len(all_drawn(lab, lab.settings(SMALL, sampler=sampler, **more))) == number


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe", "gaussian"])
def test_a_conditional_space_ends_with_its_last_configuration(lab: Any, sampler: str) -> None:
    parameters = {"kind": {"values": ["x", "y"]}, "depth": {"values": [1, 2], "when": {"kind": ["y"]}}}
    assert len(all_drawn(lab, lab.settings(parameters, sampler=sampler))) == 3


def test_configurations_count_as_used_however_they_were_written(lab: Any) -> None:
    """An imported trial carries constants, and 1 where the study file says 1.0."""
    optimizer = Optimizer(
        lab.settings({"a": {"values": [1.0, 2.0]}, "epochs": {"value": 10}}, sampler="grid"), lab.study()
    )
    optimizer.apply(TrialCreated(0, "", {"a": 1, "epochs": 10}, source="imported"))
    optimizer.apply(lab.ended(0, values=(1.0,)))
    draw = optimizer.ask(1)
    assert draw is not None and draw.params == {"a": 2.0}
    optimizer.apply(lab.created(draw, 1))
    assert optimizer.ask(2) is None


@pytest.mark.parametrize("sampler", ["grid", "random", "tpe", "gaussian"])
def test_a_configuration_that_a_machine_spoils_every_time_is_not_drawn_for_ever(lab: Any, sampler: str) -> None:
    optimizer = Optimizer(lab.settings({"a": {"values": [1, 2]}}, sampler=sampler), lab.study())
    drawn: list[int] = []
    for number in range(20):
        draw = optimizer.ask(number)
        if draw is None:
            break
        drawn.append(draw.params["a"])
        optimizer.apply(lab.created(draw, number))
        failed = draw.params["a"] == 2
        ended = lab.ended(number, TrialState.FAILED, Cause.WALLTIME) if failed else lab.ended(number, values=(1.0,))
        optimizer.apply(ended)
    assert sorted(drawn) == [1, 2, 2, 2]


def test_a_larger_discrete_space_repeats_nothing(lab: Any) -> None:
    parameters = {name: {"min": 0, "max": 11} for name in ("a", "b")}
    found = drawn(lab, lab.settings(parameters, sampler="tpe"), 60)
    assert len({tuple(p.items()) for p in found}) == 60


def test_a_configuration_that_a_machine_spoilt_may_be_drawn_again(lab: Any) -> None:
    optimizer = Optimizer(lab.settings({"a": {"values": [1, 2]}}, sampler="grid"), lab.study())
    for number in range(2):
        optimizer.apply(lab.created(optimizer.ask(number), number))
    optimizer.apply(lab.ended(0, TrialState.FAILED, Cause.LOST))
    optimizer.apply(lab.ended(1, TrialState.FAILED, Cause.CRASH))
    again = optimizer.ask(2)
    assert again is not None
    optimizer.apply(lab.created(again, 2))
    assert optimizer.ask(3) is None


@pytest.mark.parametrize("sampler", ["auto", "random", "qmc", "nsga2", "cmaes"])
def test_every_proposal_satisfies_the_constraints(lab: Any, sampler: str) -> None:
    parameters = {"hidden": {"min": 1, "max": 64}, "heads": {"min": 1, "max": 8}}
    settings = lab.settings(parameters, sampler=sampler, constraints=("hidden % heads == 0",))
    optimizer = Optimizer(settings, lab.study())
    for number in range(25):
        draw = optimizer.ask(number)
        assert draw.params["hidden"] % draw.params["heads"] == 0
        optimizer.apply(lab.created(draw, number))
        optimizer.apply(lab.ended(number, values=(float(draw.params["hidden"]),)))


def test_constraints_that_nothing_satisfies_are_said(lab: Any) -> None:
    settings = lab.settings({"x": {"min": 0.0, "max": 1.0}}, sampler="random", constraints=("x > 2",))
    with pytest.raises(StudyFileError, match="x > 2"):
        Optimizer(settings, lab.study()).ask(0)


@pytest.mark.parametrize("sampler", ["auto", "random", "qmc", "nsga2", "cmaes"])
def test_conditional_parameters_are_drawn_only_when_active(lab: Any, sampler: str) -> None:
    suggestions = lab.run(lab.settings(sampler=sampler), 24, killed=False)
    assert {"cnn", "mlp"} == {params["model"] for params in suggestions}
    assert all(("dropout" in params) == (params["model"] == "cnn") for params in suggestions)


def test_values_are_what_the_training_gets_and_plain(lab: Any) -> None:
    draw = Optimizer(lab.settings(sampler="random"), lab.study()).ask(0)
    assert type(draw.params["layers"]) is int and type(draw.params["lr"]) is float
    assert type(draw.params["width"]) is int and 0.0 < draw.latent["width"] < 1.0
    assert "lr" not in draw.latent


def test_enqueued_configurations_come_first_and_once(lab: Any) -> None:
    enqueue = ({"lr": 1e-3, "layers": 2, "width": 9, "model": "mlp"}, {"model": "cnn"})
    settings = lab.settings(enqueue=enqueue)
    study = lab.study()
    sources = []
    for number in range(4):
        draw = Optimizer(settings, study).ask(number)  # killed after each
        study.apply(lab.created(draw, number))
        sources.append(draw.source)
        if number == 0:
            assert draw.params == enqueue[0]
        if number == 1:
            assert draw.params["model"] == "cnn" and "dropout" in draw.params
    assert sources == ["enqueued", "enqueued", "sampler", "sampler"]


@pytest.mark.parametrize(
    ("asked", "said"), [({"lr": 5.0}, "lr"), ({"learning_rate": 1e-3}, "learning_rate"), ({"model": "vit"}, "model")]
)
def test_an_enqueued_configuration_outside_the_space_is_refused(lab: Any, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyFileError, match=said) as caught:
        Optimizer(lab.settings(enqueue=(asked,)), lab.study()).ask(0)
    assert caught.value.key == "enqueue[0]"


def test_an_enqueued_configuration_that_breaks_a_constraint_is_refused(lab: Any) -> None:
    settings = lab.settings(SMALL, constraints=("a < 3",), enqueue=({"a": 3, "b": "x"},))
    with pytest.raises(StudyFileError, match="a < 3"):
        Optimizer(settings, lab.study()).ask(0)


def test_values_that_somebody_asked_for_are_completed_by_the_sampler(lab: Any) -> None:
    draw = Optimizer(lab.settings(), lab.study()).ask(0, fixed={"lr": 1e-3})
    assert draw.source == "foreign" and draw.params["lr"] == 1e-3 and set(draw.params) >= {"layers", "width", "model"}


def test_trials_of_an_earlier_revision_are_rewritten_to_the_new_ranges(lab: Any) -> None:
    study = lab.study()
    before = Optimizer(lab.settings({"x": {"min": 0.0, "max": 1.0}}, sampler="random"), study)
    for number in range(6):
        draw = before.ask(number)
        for event in (lab.created(draw, number), lab.ended(number, values=(draw.params["x"],))):
            study.apply(event)
            before.apply(event)
    after = Optimizer(lab.settings({"x": {"min": 0.0, "max": 0.5}}, sampler="tpe"), study)
    kept = {n for n, trial in study.trials.items() if trial.params["x"] <= 0.5}
    rows = after._seen.view().get_all_trials(0)
    assert {row.number for row in rows} == kept
    assert all(row.distributions["x"].high == 0.5 for row in rows)


def test_an_objective_that_draws_as_it_goes_gets_the_same_values_again(lab: Any) -> None:
    floats = '{"name": "FloatDistribution", "attributes": {"low": 0.0, "high": 1.0, "log": false, "step": null}}'
    choice = '{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b", "c"]}}'
    settings, study = lab.settings({}), lab.study()
    killed, whole, found = Optimizer(settings, study), Optimizer(settings, lab.study()), []
    from outlast.core.records import ParamDrawn

    for number in range(15):
        draw = killed.ask(number)
        assert draw == whole.ask(number)
        events = [lab.created(draw, number)]
        for event in events:
            study.apply(event)
            whole.apply(event)
        killed = Optimizer(settings, study)
        for name, distribution in (("x", floats), ("kind", choice)):
            value = killed.suggest(number, name, distribution)
            assert value == whole.suggest(number, name, distribution) == killed.suggest(number, name, distribution)
            study.apply(lab.through_json(ParamDrawn(number, name, value, distribution)))
            killed = Optimizer(settings, study)
        found.append(study.trials[number].params)
        ended = lab.ended(number, values=(found[-1]["x"],))
        study.apply(ended)
        whole.apply(ended)
        killed = Optimizer(settings, study)
    assert max(params["x"] for params in found[10:]) > 0.5
