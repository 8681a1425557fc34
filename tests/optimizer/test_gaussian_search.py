"""`sampler: gaussian`: the process, the rows that it is fitted to, and what it suggests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime

from outlast.core.states import Cause, TrialState
from outlast.errors import StudyFileError
from outlast.optimizer.axes import axes_of
from outlast.optimizer.gaussian_process import Figures, Process, fit, improbable, log_improvement, standing
from outlast.optimizer.row_search import spread
from outlast.optimizer.sampling import Optimizer
from outlast.optimizer.seen_rows import MOST, End, Told
from outlast.optimizer.unit_rows import UnitRows
from outlast.space.definitions import define
from outlast.space.space import Space

EVERY_KIND = {
    "lr": {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"},
    "layers": {"min": 1, "max": 4},
    "width": {"min": 8, "max": 512, "distribution": "int_log_uniform"},
    "share": {"min": 0.0, "max": 0.7, "q": 0.1, "distribution": "q_uniform"},
    "depth": {"distribution": "q_normal", "mu": 10, "sigma": 3},
    "seldom": {"values": ["a", "b", "c"], "probabilities": [0.9, 0.1, 0.0]},
    "batch": {"values": [16, 32, 64]},
    "model": {"values": ["mlp", "cnn", "none"]},
    "kernels": {"values": [[3], [3, 5], [7]], "when": {"model": ["cnn"]}},
    "dropout": {"min": 0.0, "max": 0.5, "when": {"model": ["cnn"], "layers": [2, 3]}},
}


def space_of(parameters: dict[str, Any], constraints: tuple[str, ...] = ()) -> tuple[Space, UnitRows]:
    made = [define(name, {k: v for k, v in d.items() if k != "when"}, d.get("when")) for name, d in parameters.items()]
    space = Space.from_parameters(made, constraints)
    return space, UnitRows(space, axes_of(space))


def test_the_slope_of_the_likelihood_is_its_slope() -> None:
    chance = np.random.default_rng(1)
    x = np.column_stack([chance.random((12, 2)), chance.integers(3, size=12)])
    loss = improbable(x, chance.normal(size=12), np.array([False, False, True]))
    at = chance.normal(size=5)
    assert loss(at)[1] == pytest.approx(approx_fprime(at, lambda logs: loss(logs)[0], 1e-7), abs=1e-3)


@pytest.mark.parametrize("z", [3.0, 0.2, -1.0, -2.9, -3.1, -8.0])
def test_the_improvement_is_the_integral_that_it_stands_for(z: float) -> None:
    density = 1 / math.sqrt(2 * math.pi)
    expected = 2.0 * quad(lambda u: (z - u) * density * math.exp(-u * u / 2), -40, z, points=[z - 3])[0]
    assert log_improvement(np.array([1.0 - 2 * z]), np.array([2.0]), 1.0)[0] == pytest.approx(
        math.log(expected), abs=1e-5
    )


def test_an_improvement_beyond_hope_is_still_less_hopeless_than_the_next() -> None:
    means = np.array([1.0, 10.0, 30.0, 1e3, 1.1e3, 1e5])
    found = log_improvement(means, np.ones(6), 0.0)
    assert np.all(np.isfinite(found)) and np.all(np.diff(found) < 0)


def test_terrible_values_do_not_make_good_ones_alike() -> None:
    good = np.linspace(0.0, 1.0, 10)
    found = standing(np.concatenate([good, [1e9, 1e3]]))
    assert np.all(np.diff(found[:10]) > 0.01) and found[10] >= found[11] > found[9]
    assert (found.mean(), found.std()) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    assert not standing(np.full(4, 2.0)).any()
    assert np.isfinite(standing(np.array([1.0] * 9 + [2.0]))).all()


@pytest.mark.parametrize("terrible", [1e3, 1e30, 1.7e308])
def test_how_terrible_a_value_is_changes_little(terrible: float) -> None:
    good = np.linspace(0.0, 1.0, 12)
    found, like = (standing(np.concatenate([good, [worst, -0.1]])) for worst in (terrible, 40.0))
    assert np.all(np.isfinite(found)) and found == pytest.approx(like, abs=0.05)


def test_rounding_that_spoils_a_covariance_costs_no_suggestion() -> None:
    x = np.repeat([[0.25], [0.5]], 20, axis=0)
    process = Process(x, np.tile([0.0, 1.0], 20), np.array([False]), Figures(np.array([1e-6]), 20.0, 1e-18))
    assert np.all(np.isfinite(process.predict(x)[0]))


def test_a_process_knows_what_it_saw_and_how_little_it_knows_elsewhere() -> None:
    x = np.linspace(0, 1, 12)[:, None]
    process = fit(x, standing(np.sin(6 * x[:, 0])), np.array([False]))
    mean, spread_ = process.predict(np.array([[0.5], [3.0]]))
    assert mean[0] == pytest.approx(np.interp(0.5, x[:, 0], process.y), abs=0.2)
    assert spread_[0] < 0.2 < spread_[1]
    believing = process.believing(np.array([[3.0]]))
    assert believing.predict(np.array([[3.0]]))[1] < spread_[1]


def test_every_configuration_has_a_row_and_every_row_is_a_configuration() -> None:
    space, rows = space_of(EVERY_KIND)
    found = rows.of_uniform(np.random.default_rng(0).random((200, len(rows))))
    assert np.array_equal(rows.snapped(found), found)
    for row in found:
        drawn = rows.drawn(row)
        params = space.decode(drawn)
        assert space.fits(params) is None and params.keys() == drawn.keys()
        again = rows.snapped(rows.row(space.encode(params))[None])[0]
        said = space.decode(rows.drawn(again))
        assert {**said, "kernels": 0} == pytest.approx({**params, "kernels": 0})
    assert {type(v) for v in drawn.values()} <= {int, float, str}


def test_choices_with_chances_have_no_order_and_their_shares() -> None:
    _, rows = space_of({"seldom": {"values": ["a", "b", "c"], "probabilities": [0.2, 0.7, 0.1]}})
    (column,) = rows.columns
    found = rows.of_uniform(np.random.default_rng(0).random((1000, 1)))[:, 0]
    assert column.choice and np.bincount(found.astype(int)) == pytest.approx([200, 700, 100], abs=50)


def test_a_rounded_distribution_whose_ends_have_no_chance_has_rows() -> None:
    space, rows = space_of({"x": {"distribution": "q_beta", "a": 20, "b": 20, "q": 0.05}})
    assert all(space.fits(space.decode(rows.drawn(row))) is None for row in rows.of_uniform(np.array([[0.0], [0.99]])))


def test_numbers_that_are_equal_are_the_same_choice_however_they_are_written() -> None:
    _, rows = space_of({"b": {"values": [1, 2, 3]}, "c": {"values": [False, "no", "yes"]}})
    assert np.array_equal(rows.row({"b": 2.0, "c": "no"}), rows.row({"b": 2, "c": "no"}))
    assert np.array_equal(rows.row({"b": 2, "c": 0}), rows.row({"b": 2, "c": False}))


def test_numbers_on_a_list_are_ordered_and_what_is_not_active_stands_by_itself() -> None:
    space, rows = space_of(EVERY_KIND)
    place = {column.name: at for at, column in enumerate(rows.columns)}
    assert [rows.columns[place[name]].choice for name in ("batch", "model", "kernels")] == [False, True, True]
    first = {"lr": 1e-5, "layers": 1, "width": 8, "share": 0.1, "depth": 9, "seldom": "b", "batch": 64, "model": "mlp"}
    row = rows.row(space.encode(first))
    assert row[place["batch"]] == pytest.approx(5 / 6)
    assert (row[place["kernels"]], row[place["dropout"]]) == (-1.0, 0.5)


def test_the_first_points_fill_the_space_evenly() -> None:
    points = spread(2, 0, 64, 3)
    cells = {(int(4 * a), int(4 * b)) for a, b in points}
    assert len(cells) == 16 and np.array_equal(spread(2, 10, 5, 3), points[10:15])
    assert not np.allclose(spread(2, 0, 64, 4), points)


def searched(lab: Any, parameters: dict[str, Any], score: Any, trials: int, **more: Any) -> list[dict[str, Any]]:
    """What is suggested where a trial comes to what `score` says; None: it cannot run."""
    optimizer = Optimizer(lab.settings(parameters, sampler="gaussian", **more), lab.study())
    found = []
    for number in range(trials):
        draw = optimizer.ask(number)
        optimizer.apply(lab.created(draw, number))
        value = score(draw.params)
        ended = (
            lab.ended(number, TrialState.FAILED, Cause.DIVERGED)
            if value is None
            else lab.ended(number, values=(value,))
        )
        optimizer.apply(ended)
        found.append(draw.params)
    assert not optimizer.warnings
    return found


PLANE = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 1e-4, "max": 1.0, "distribution": "log_uniform_values"}}


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_it_finds_the_bottom_of_a_valley_either_way_up(lab: Any, goal: str, sign: float) -> None:
    def depth(params: dict[str, Any]) -> float:
        return (params["x"] - 0.3) ** 2 + (math.log10(params["y"]) / 4 + 0.6) ** 2

    found = searched(lab, PLANE, lambda params: sign * depth(params), 22, goals=(goal,))
    assert min(map(depth, found)) < 1e-3 < min(map(depth, found[:10]))


def test_it_learns_where_nothing_runs(lab: Any) -> None:
    found = searched(lab, PLANE, lambda params: None if params["x"] > 0.6 else -params["x"], 30, goals=("minimize",))
    assert sum(params["x"] > 0.6 for params in found[12:]) <= 6
    assert max(params["x"] for params in found if params["x"] <= 0.6) > 0.57


def test_constraints_and_conditions_hold_for_all_it_suggests(lab: Any) -> None:
    parameters = {**EVERY_KIND, "heads": {"min": 1, "max": 8}}
    settings = {"constraints": ("heads <= layers * 2",), "goals": ("minimize",)}
    found = searched(lab, parameters, lambda params: params["lr"] * params["heads"], 16, **settings)
    assert all(params["heads"] <= params["layers"] * 2 for params in found)
    assert all(("kernels" in params) is (params["model"] == "cnn") for params in found)


def test_a_pruned_trial_is_never_better_than_the_middle_of_the_others(lab: Any) -> None:
    optimizer = Optimizer(lab.settings(PLANE, sampler="gaussian", goals=("minimize",)), lab.study())
    for number in range(12):
        draw = optimizer.ask(number)
        optimizer.apply(lab.created(draw, number))
        pruned = lab.ended(number, TrialState.PRUNED, curve=((0, -100.0),))
        optimizer.apply(pruned if draw.params["x"] > 0.5 else lab.ended(number, values=(1 - draw.params["x"],)))
    assert optimizer.ask(12).params["x"] < 0.8 and not optimizer.warnings


def test_of_many_trials_the_best_and_the_last_are_looked_at() -> None:
    ended = [(np.array([float(at)]), End.RAN, 1.0 if 10 <= at < 20 else 2.0) for at in range(2 * MOST)]
    ended[15] = (ended[15][0], End.PRUNED, 0.0)
    ended[-1] = (ended[-1][0], End.FAILED, 0.0)
    x, values, runs = Told(ended).scored()
    assert len(x) == len(values) == len(runs) == MOST and not runs[-1] and runs[:-1].all() and values[-1] == 2.0
    assert {*range(10, 20)} - {15} <= set(x[:, 0]) and {*range(2 * MOST - 50, 2 * MOST)} <= set(x[:, 0])
    assert dict(zip(x[:, 0], values, strict=True)).get(15.0, 2.0) == 2.0  # pruned: the middle of the others


def test_several_objectives_and_undeclared_parameters_are_not_for_it(lab: Any) -> None:
    with pytest.raises(StudyFileError, match="one objective"):
        Optimizer(lab.settings(sampler="gaussian", goals=("minimize", "maximize")), lab.study())
    with pytest.raises(StudyFileError, match="needs parameters"):
        Optimizer(lab.settings({}, sampler="gaussian"), lab.study())
