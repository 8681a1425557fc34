from __future__ import annotations

import math
import random

import optuna
import pytest

from outlast.config.settings import MetricSettings, Settings
from outlast.optimizer.importances import importances
from outlast.space.definitions import define
from outlast.testing.studies import StudyBuilder

SPACE = (
    define("lr", {"min": 1e-5, "max": 1e-1, "distribution": "log_uniform_values"}),
    define("model", {"values": ["a", "b", [1, 2]]}),
    define("depth", {"min": 1, "max": 8}, {"model": ["a"]}),
    define("noise", {"min": 0.0, "max": 1.0}),
)


def settings(*goals: str) -> Settings:
    metrics = tuple(MetricSettings(name=f"m{i}", goal=goal) for i, goal in enumerate(goals))
    return Settings(name="x", command=("true",), metrics=metrics, parameters=SPACE)


def searched(trials: int = 200, objectives: int = 1) -> StudyBuilder:
    """The learning rate decides about the first objective, noise about the second."""
    build, draw = StudyBuilder(), random.Random(4)
    for _ in range(trials):
        params = {"lr": 10 ** draw.uniform(-5, -1), "model": draw.choice(["a", "b", [1, 2]]), "noise": draw.random()}
        if params["model"] == "a":
            params["depth"] = draw.randint(1, 8)
        build.trial(params, values=(math.log10(params["lr"]), params["noise"])[:objectives])
    return build


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_what_decides_matters_most_and_the_rest_hardly(goal):
    found = importances(searched().study, settings(goal))
    assert found[0].parameter == "lr" and found[0].share > 0.7
    assert {each.parameter for each in found} == {"lr", "model", "depth", "noise"}
    assert sum(each.share for each in found) == pytest.approx(1)
    assert all(0 <= each.low <= each.share <= each.high <= 1 for each in found)
    assert found[0].low > max(each.high for each in found[1:])


def test_each_of_several_objectives_has_its_own():
    build = searched(objectives=2)
    assert importances(build.study, settings("maximize", "minimize"))[0].parameter == "lr"
    assert importances(build.study, settings("maximize", "minimize"), objective=1)[0].parameter == "noise"


def test_it_is_optunas_figure_and_the_same_each_time():
    build, shown = searched(), optuna.create_study(direction="maximize")
    distributions = {"lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)}
    distributions["noise"] = optuna.distributions.FloatDistribution(0, 1)
    for trial in build.study.trials.values():
        params = {name: trial.params[name] for name in distributions}
        shown.add_trial(optuna.create_trial(params=params, distributions=distributions, value=trial.value))
    known = optuna.importance.get_param_importances(shown, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    found = importances(build.study, settings("maximize"))
    ours = {each.parameter: each.share for each in found}
    assert ours["lr"] / ours["noise"] == pytest.approx(known["lr"] / known["noise"])
    assert found == importances(build.study, settings("maximize"))


def test_few_trials_or_equal_ones_have_none():
    assert importances(StudyBuilder().study, settings("maximize")) == []
    assert importances(searched(19).study, settings("maximize")) == []
    build = StudyBuilder()
    for _ in range(30):
        build.trial({"lr": 0.1, "noise": 0.5}, values=0.5)
    build.trial({"lr": 0.1}, values=math.nan)
    assert sum(each.share for each in importances(build.study, settings("maximize"))) in (0, pytest.approx(1))
