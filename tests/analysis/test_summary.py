"""What is put into a made-up search comes out of its analysis; nothing comes out of a search that says nothing."""

from __future__ import annotations

import json
import math
import random

import pytest

from outlast.analysis.dimensions import Dimension
from outlast.analysis.endings import set_apart, steps_of
from outlast.analysis.summary import analyse
from outlast.config.settings import MetricSettings
from outlast.core.states import Cause, TrialState
from outlast.space.definitions import define
from outlast.testing.studies import StudyBuilder

LR = define("lr", {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"})
MODEL = define("model", {"values": ["mlp", "cnn", "vit"]})
DEPTH = define("depth", {"min": 1, "max": 8}, {"model": ["cnn", "vit"]})
NOISE = define("noise", {"min": 0.0, "max": 1.0})
SPACE = [LR, MODEL, DEPTH, NOISE]
ACC, LOSS = MetricSettings(name="acc"), MetricSettings(name="loss", goal="minimize")


def searched(goal_sign: float = 1.0, trials: int = 300) -> StudyBuilder:
    """High learning rates are good, cnn is best, depth helps cnn and harms vit; large noise is pruned; deep vits fail."""
    build, draw = StudyBuilder(), random.Random(11)
    for _ in range(trials):
        params = {"lr": 10 ** draw.uniform(-5, -1), "model": draw.choice(["mlp", "cnn", "vit"]), "noise": draw.random()}
        score = math.log10(params["lr"]) + 0.5 * (params["model"] == "cnn")
        if params["model"] != "mlp":
            params["depth"] = draw.randint(1, 8)
            score += (0.3 if params["model"] == "cnn" else -0.3) * params["depth"]
        if params["model"] == "vit" and params["depth"] > 5:
            build.trial(params, TrialState.FAILED, signature="shape", seconds=36)
        elif params["noise"] > 0.8:
            curve = ((0, 0.1), (1, 0.2), (2, 0.2))
            build.trial(params, TrialState.PRUNED, curves=(curve,), pruned_at=1, last_step=2, seconds=72)
        else:
            build.trial(params, values=goal_sign * score, seconds=360)
    return build


@pytest.mark.parametrize(("sign", "metric"), [(1.0, ACC), (-1.0, LOSS)])
def test_what_was_put_in_comes_out(sign, metric):
    found = analyse(searched(sign).study, SPACE, [metric], resamples=20)
    (objective,) = found.objectives
    winners = [(name, share.value) for name, shares in objective.wins.items() for share in shares if share.stands_out]
    assert winners == [("model", "cnn")]
    assert [(each.parameter, each.border.end) for each in objective.borders] == [("lr", "high")]
    by = {(each.parameter, each.where): each.correlation for each in objective.correlations}
    assert set(by) == {
        ("lr", None), ("depth", None), ("depth", ("model", "cnn")), ("depth", ("model", "vit")), ("noise", None),
    }  # fmt: skip
    assert sign * by["lr", None].low > 0 if sign > 0 else sign * by["lr", None].high > 0
    assert abs(by["noise", None].rho) < 0.2 < 0.6 < abs(by["lr", None].rho)
    assert sign * by["depth", ("model", "cnn")].rho > 0 > sign * by["depth", ("model", "vit")].rho
    assert found.pruned_at.median == 1 and found.pruned_at.unknown == 0
    assert found.pruned[0].parameter == "noise" and found.pruned[0].above == 1.0
    assert {each.parameter for each in found.failed} == {"model", "depth"}
    assert [gain.trials for gain in objective.further][-1] == objective.expected_best[-1].trials


def test_what_it_cost_is_told_by_state():
    build = StudyBuilder(gpus=2)
    build.trial({}, values=1.0, seconds=3600, gpus=["a", "b"])
    build.trial({}, TrialState.PRUNED, seconds=1800, gpus=["a", "b"])
    build.trial({}, TrialState.FAILED, seconds=900, gpus=["a", "b"])
    build.trial({}, values=2.0, source="imported", seconds=9999)
    cost = analyse(build.study, [], [ACC]).spending
    assert [(each.state, each.trials, each.hours, each.gpu_hours) for each in cost.states] == [
        ("complete", 1, 1.0, 2.0), ("pruned", 1, 0.5, 1.0), ("failed", 1, 0.25, 0.5),
    ]  # fmt: skip
    assert (cost.hours.gpu, cost.hours.used, cost.hours.wasted, cost.per_trial) == (True, 3.5, 0.5, 1.75)


def nothing() -> StudyBuilder:
    return StudyBuilder()


def one() -> StudyBuilder:
    build = StudyBuilder()
    build.trial({"lr": 0.1, "model": "cnn"}, values=0.5)
    return build


def constant() -> StudyBuilder:
    build = StudyBuilder()
    for _ in range(60):
        build.trial({"lr": 0.1, "model": "cnn", "noise": 0.5}, values=0.5)
    return build


def not_numbers() -> StudyBuilder:
    build = StudyBuilder()
    for i in range(60):
        build.trial({"lr": 0.1, "noise": math.nan if i % 2 else "text"}, values=math.nan if i % 3 else math.inf)
    return build


def all_failed() -> StudyBuilder:
    build = StudyBuilder()
    for _ in range(30):
        build.trial({"lr": 0.1, "model": "cnn"}, TrialState.FAILED)
    build.trial({"lr": 0.1}, TrialState.INFEASIBLE, cause=Cause.CONSTRAINT)
    build.trial({"lr": 0.1}, TrialState.RUNNING)
    build.trial({"lr": 0.1}, TrialState.CREATED)
    return build


@pytest.mark.parametrize("make", [nothing, one, constant, not_numbers, all_failed])
@pytest.mark.parametrize("metrics", [[ACC], [LOSS], [ACC, LOSS]])
def test_a_search_that_says_nothing_gives_no_finding(make, metrics):
    found = analyse(make().study, SPACE, metrics, resamples=5)
    for objective in found.objectives:
        assert not objective.borders and not objective.further and not objective.best_part
        assert not any(share.stands_out for shares in objective.wins.values() for share in shares)
        assert not objective.correlations
    assert not found.pruned and not found.failed
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["objectives"][0]["name"] == metrics[0].name


def test_of_searches_in_which_nothing_matters_few_are_said_to_show_anything():
    draw, told = random.Random(8), {"won": 0, "correlates": 0, "border": 0, "ends": 0}
    for _ in range(100):
        build = StudyBuilder()
        for _ in range(60):
            params = {
                "lr": 10 ** draw.uniform(-5, -1),
                "model": draw.choice(["mlp", "cnn", "vit"]),
                "noise": draw.random(),
            }
            state = draw.choice([TrialState.COMPLETE] * 8 + [TrialState.PRUNED, TrialState.FAILED])
            build.trial(params, state, values=draw.gauss(0, 1) if state is TrialState.COMPLETE else None)
        found = analyse(build.study, SPACE, [ACC], resamples=0)
        (objective,) = found.objectives
        told["won"] += any(share.stands_out for shares in objective.wins.values() for share in shares)
        told["correlates"] += any(each.stands_out for each in objective.correlations)
        told["border"] += bool(objective.borders)
        told["ends"] += bool(found.pruned or found.failed)
    assert max(told.values()) <= 12, told  # of 100, where 5 are expected


def test_each_of_several_objectives_is_analysed_in_its_own_direction():
    build, draw = StudyBuilder(), random.Random(1)
    for _ in range(100):
        x = draw.random()
        build.trial({"noise": x}, values=(x, x))
    up, down = analyse(build.study, [NOISE], [ACC, LOSS], resamples=5).objectives
    assert (up.borders[0].border.end, down.borders[0].border.end) == ("high", "low")
    assert up.expected_best[-1].mean > 0.9 and down.expected_best[-1].mean < 0.1
    assert not set(up.best_part) & set(down.best_part)


def test_steps_without_a_number_are_counted_as_unknown():
    assert steps_of([3, None, 1, 3]).counts == ((1, 1), (3, 2)) and steps_of([3, None, 1, 3]).unknown == 1
    assert steps_of([]).median is None
    assert set_apart([], [{}], [{}]) == []


def test_how_many_are_looked_at_counts_for_borders_and_for_what_sets_apart():
    build = StudyBuilder()
    for at in range(10):  # three of the best five at the end of one of two ranges: p is 0.0086
        build.trial({"lr": 0.09 if at < 3 else 1e-3, "noise": 0.5}, values=10 - at)
    assert analyse(build.study, [LR], [ACC], resamples=0).objectives[0].borders
    assert not analyse(build.study, [LR, NOISE], [ACC], resamples=0).objectives[0].borders
    some, others = [{"model": "a"}] * 8, [{"model": "b"}] * 5
    assert set_apart([Dimension("model", False, values=1)], some, others)
    assert not set_apart([Dimension("model", False, values=40)], some, others)
