"""`sampler: gaussian`: the process, the rows that it is fitted to, and what it suggests."""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime

from outlast.core.records import Trial
from outlast.core.states import Cause, TrialState
from outlast.errors import StudyFileError
from outlast.optimizer import gaussian as package
from outlast.optimizer.axes import axes_of
from outlast.optimizer.gaussian import gaussian_process
from outlast.optimizer.gaussian.gaussian_process import Figures, Process, fit, improbable, log_improvement, standing
from outlast.optimizer.gaussian.gaussian_search import GaussianSearch
from outlast.optimizer.gaussian.row_search import keys_of, spread
from outlast.optimizer.gaussian.seen_rows import MOST, MOST_RUNNING, End, SeenRows, Told
from outlast.optimizer.gaussian.unit_rows import UnitRows
from outlast.optimizer.sampling import Optimizer
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


class Round:
    """A study in which trials begin and end by themselves."""

    def __init__(self, lab: Any, **settings: Any) -> None:
        self.lab, self.study = lab, lab.study()
        self.settings = lab.settings(settings.pop("parameters", PLANE), goals=("minimize",), **settings)
        self.optimizer = Optimizer(self.settings, self.study)

    def begin(self, number: int, fixed: dict[str, Any] | None = None) -> dict[str, Any]:
        draw = self.optimizer.ask(number, fixed)
        assert draw is not None and not self.optimizer.warnings
        self.apply(self.lab.created(draw, number))
        return draw.params

    def end(self, number: int, value: float | None) -> None:
        failed = (TrialState.FAILED, Cause.DIVERGED)
        self.apply(self.lab.ended(number, *failed) if value is None else self.lab.ended(number, values=(value,)))

    def apply(self, event: Any) -> None:
        self.study.apply(event)
        self.optimizer.apply(event)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each process is fitted to."""
    found: list[int] = []
    monkeypatch.setattr(gaussian_process, "fit", lambda x, y, c: (found.append(len(x)), fit(x, y, c))[1])
    return found


@pytest.mark.parametrize("sampler", ["gaussian", "auto"])
def test_what_is_kept_between_suggestions_changes_none(lab: Any, fits: list[int], sampler: str) -> None:
    """Trials begin and end while others run; each suggestion is that of an optimizer which is made for it."""
    kept = Round(lab, sampler=sampler)
    for number in range(10):
        params = kept.begin(number)
        kept.end(number, None if params["x"] > 0.8 else (params["x"] - 0.3) ** 2)
    counts = []
    for number in range(10, 22):
        if number in (14, 18):  # one that has a value, and one that could not run
            kept.end(number - 3, 0.1 if number == 14 else None)
        anew = Optimizer(kept.settings, kept.study).ask(number)
        fits.clear()
        assert anew is not None and kept.begin(number) == anew.params
        counts.append(len(fits))
    assert sum(counts) == 2 * 3  # of values, and of what can run; anew after each of the two ends


def test_what_is_fixed_is_held_and_the_rest_is_looked_for_beside_it(
    lab: Any, fits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    together = GaussianSearch.together
    monkeypatch.setattr(GaussianSearch, "together", lambda self: (asked.append(1), together(self))[1])
    parameters = {name: {"min": 0.0, "max": 1.0} for name in "xyz"}
    held = Round(lab, parameters=parameters, sampler="gaussian", constraints=("x < y",))
    found = []
    for number in range(16):
        found.append(held.begin(number, {"x": 0.9}))
        held.end(number, (found[-1]["z"] - 0.3) ** 2)
    assert len(asked) == 16 and len(fits) == 6  # at once, and by one fit each
    assert all(params["x"] == 0.9 < params["y"] for params in found)
    assert min(abs(params["z"] - 0.3) for params in found[10:]) < 0.02


def trials_seen(rows: UnitRows, trials: list[Trial]) -> SeenRows:
    seen = SeenRows(rows, trials.__getitem__, lambda trial: trial.params, maximize=False)
    seen.stale(range(len(trials)))
    return seen


@pytest.mark.parametrize("ended", [0, 12])
def test_what_is_refused_is_not_proposed_again_and_fitted_once(fits: list[int], ended: int) -> None:
    _, rows = space_of({"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}})
    places = np.random.default_rng(0).random((ended, 2))
    complete = [
        Trial(at, TrialState.COMPLETE, params=dict(zip("xy", place, strict=True)), values=(place[0],))
        for at, place in enumerate(places.tolist())
    ]
    search = GaussianSearch()
    search.seen = trials_seen(rows, complete)
    search.suggest_for(ended, 1)
    proposed = [tuple(search.together().values()) for _ in range(5)]
    assert len(set(proposed)) == 5 and fits == [12] * (ended > 0)
    search.suggest_for(ended, 1)
    assert tuple(search.together().values()) == proposed[0]


def test_of_many_running_trials_the_last_are_looked_at_and_none_is_suggested_again() -> None:
    _, rows = space_of({"x": {"min": 0.0, "max": 1.0}})
    spread_ = np.linspace(0, 1, 2 * MOST).tolist()
    running = [Trial(at, TrialState.RUNNING, params={"x": x}) for at, x in enumerate(spread_)]
    told = trials_seen(rows, running).told(but=-1)
    assert len(told.tried) == 2 * MOST and [row[0] for row in told.running] == spread_[-MOST - MOST_RUNNING :]
    ended = [Trial(each.number, TrialState.COMPLETE, params=each.params, values=(1.0,)) for each in running[:MOST]]
    told = trials_seen(rows, ended + running[MOST:]).told(but=-1)
    assert len(told.ended) == MOST and [row[0] for row in told.running] == spread_[-MOST_RUNNING:]


def test_rows_are_made_in_one_go_and_are_those_that_are_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _, rows = space_of(EVERY_KIND)
    drawn = [rows.drawn(row) for row in rows.of_uniform(np.random.default_rng(3).random((100, len(rows))))]
    drawn[7] = {"lr": 1e-3, "model": "a choice that there was once"}
    trials = [Trial(at, TrialState.RUNNING, params=params) for at, params in enumerate(drawn)]
    made: list[int] = []
    snapped = rows.snapped
    monkeypatch.setattr(rows, "snapped", lambda places: (made.append(len(places)), snapped(places))[1])
    together = trials_seen(rows, trials).told(but=-1)
    assert made == [99]
    alone = [rows.snapped(rows.row(params)[None])[0] for at, params in enumerate(drawn) if at != 7]
    assert np.array_equal(np.array(together.running), np.array(alone))
    assert together.tried == {keys_of(row[None])[0] for row in alone}


def test_what_is_active_is_kept_by_what_conditions_ask_not_by_value() -> None:
    parameters = {
        "k": {"min": 1, "max": 1000},
        "at": {"min": 0.0, "max": 1.0},
        "few": {"min": 0.0, "max": 1.0, "when": {"k": list(range(3, 200))}},
        "never": {"min": 0.0, "max": 1.0, "when": {"at": [0.5]}},
        "below": {"min": 0.0, "max": 1.0, "when": {"few": [0.5]}},
    }
    space, rows = space_of(parameters)
    for row in rows.of_uniform(np.random.default_rng(0).random((300, len(rows)))):
        drawn = rows.drawn(row)
        assert drawn.keys() == {parameter.name for parameter in space.active(space.decode(drawn))}
    both = rows.snapped(rows.row({"k": 3, "at": 0.5, "few": 0.5, "never": 0.1, "below": 0.2})[None])[0]
    assert rows.drawn(both).keys() == parameters.keys() and len(rows._active) <= 4


def test_scipy_is_loaded_behind_the_first_trials(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, gaussian_process.__name__)
    monkeypatch.delattr(package, "gaussian_process")
    waiting = Round(lab, sampler="gaussian")
    for number in range(5):
        waiting.begin(number)
        assert not [thread for thread in threading.enumerate() if thread.name == "outlast-scipy"]
    waiting.begin(5)
    for thread in threading.enumerate():
        if thread.name == "outlast-scipy":
            thread.join(60)
    assert gaussian_process.__name__ in sys.modules
