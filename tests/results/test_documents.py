from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml as yaml_1_1
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.records import RevisionMade, TrialCreated
from outlast.core.states import TrialState
from outlast.results.configuration import configuration
from outlast.results.documents import best_config_yaml, best_results_json
from outlast.space.distributions import Latent
from outlast.space.parameters import Parameter
from outlast.testing.studies import StudyBuilder

MODEL = Parameter(
    "model", "categorical", Latent("categorical", choices=("mlp", "cnn")), options={"values": ["mlp", "cnn"]}
)
EPOCHS = Parameter("epochs", "constant", value=20)
KERNEL = Parameter("cnn.kernel", "constant", value=3, when={"model": ("cnn",)})
PADDING = Parameter("cnn.padding", "constant", value=1, when={"cnn.kernel": (3,)})


def settings(*parameters: Parameter, **given: Any) -> Settings:
    given.setdefault("metrics", (MetricSettings(name="acc"),))
    return Settings(name="digits", command=("true",), parameters=parameters, **given)


def best_config(params: dict[str, Any], *parameters: Parameter) -> str:
    build = StudyBuilder()
    build.trial(params, values=0.5)
    text = best_config_yaml(build.study, settings(*parameters))
    assert text is not None
    return text


def test_there_is_no_best_configuration_before_a_trial_completes() -> None:
    build = StudyBuilder()
    build.trial({"lr": 1}, TrialState.FAILED)
    assert best_config_yaml(build.study, settings()) is None
    assert json.loads(best_results_json(build.study, settings()))["best"] is None


def test_the_best_configuration_says_where_it_comes_from() -> None:
    text = best_config({"model": "mlp"})
    assert text == "# digits: trial 0, acc = 0.5 (maximize)\nmodel: mlp\n"


def test_constants_and_nesting_are_in_the_best_configuration() -> None:
    text = best_config({"optimizer.lr": 1e-05, "model": "cnn"}, EPOCHS, MODEL, KERNEL, PADDING)
    assert YAML(typ="safe").load(text) == {
        "epochs": 20,
        "model": "cnn",
        "cnn": {"kernel": 3, "padding": 1},
        "optimizer": {"lr": 1e-05},
    }


def test_a_constant_whose_condition_does_not_hold_is_left_out() -> None:
    loaded = YAML(typ="safe").load(best_config({"model": "mlp"}, EPOCHS, MODEL, KERNEL, PADDING))
    assert loaded == {"epochs": 20, "model": "mlp"}


def test_constants_are_those_of_the_trials_own_revision() -> None:
    build = StudyBuilder()
    build.study.revisions[0] = RevisionMade(1, build.at(0), {"parameters": {"epochs": {"value": 10}}})
    build.trial({"lr": 1}, values=0.9)
    build.study.apply(RevisionMade(2, build.at(9), {"parameters": {"epochs": {"value": 20}}}))
    build.study.apply(TrialCreated(1, build.at(10), {"lr": 2}, revision=2))
    old, new = build.study.trials.values()
    assert configuration(old, build.study, settings(EPOCHS)) == {"epochs": 10, "lr": 1}
    assert configuration(new, build.study, settings(EPOCHS)) == {"epochs": 20, "lr": 2}


@pytest.mark.parametrize(
    ("groups", "nested"),
    [
        (None, {"a": 1, "a.b": 2, "c": {"d": 3}, "f": {"g": 4}}),  # a value's own name begins another's
        ((), {"a": 1, "a.b": 2, "c.d": 3, "f.g": 4}),  # a W&B sweep: a dot is a letter
        (("f",), {"a": 1, "a.b": 2, "c.d": 3, "f": {"g": 4}}),
    ],
)
def test_the_best_configuration_is_nested_as_the_trial_was_given_it(groups: Any, nested: dict[str, Any]) -> None:
    build = StudyBuilder()
    params = {"a": 1, "a.b": 2, "c.d": 3, "f.g": 4}
    build.trial(params, values=0.5)
    drawn = [Parameter(name, "categorical", Latent("categorical", choices=(1, 2, 3, 4))) for name in params]
    chosen = settings(*drawn, nested=groups)
    text = best_config_yaml(build.study, chosen)
    assert YAML(typ="safe").load(text) == nested == chosen.nest(params)
    assert settings(nested=groups).nest(params) == nested, "of an earlier revision, whose names are no longer known"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=10),
)


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), SCALARS | st.lists(SCALARS, max_size=3), max_size=4)
)
@example({"a": "yes", "b": "1e-5", "c": 1e-05, "d": "12:30:00", "e": "0o17", "f": 1e22, "g": "null", "h": "~"})
@example({"a": "\x85\u2028\ufeff", "b": "# x", "c": "- y", "d": "{", "e": "<<", "f": "=", "g": "1_000", "h": "y"})
@example({"y": "on", "no": [None, [1, "off"]], "n": {"k": "2020-01-01"}})
def test_every_yaml_version_reads_the_best_configuration_alike(params: dict[str, Any]) -> None:
    text = best_config(params)
    expected = json.loads(json.dumps(params)) if params else {}
    assert YAML(typ="safe", pure=True).load(text) == expected
    assert yaml_1_1.safe_load(text) == expected


def test_best_results_hold_what_is_needed_to_compare_and_confirm() -> None:
    build = StudyBuilder()
    for i in range(15):
        build.trial({"lr": i}, values=i / 100, metrics={"loss": math.inf})
    build.trial({"lr": 99}, TrialState.PRUNED, values=None)
    chosen = settings(EPOCHS, budget=BudgetSettings(trials=20))
    found = json.loads(best_results_json(build.study, chosen, checkpoint="trials/0014/checkpoints"))
    assert found["metric"] == {"name": "acc", "goal": "maximize"}
    assert found["best"]["trial"] == 14 and found["best"]["params"] == {"epochs": 20, "lr": 14}
    assert found["best"]["metrics"] == {"loss": "inf"} and found["best"]["checkpoint"] == "trials/0014/checkpoints"
    assert [entry["trial"] for entry in found["top"]] == [14, 13, 12, 11, 10, 9, 8, 7, 6, 5]
    assert found["counts"]["pruned"] == 1 and found["counts"]["remaining"] == 4 and found["target"] == 20


def test_best_results_of_several_objectives_hold_the_front() -> None:
    metrics = (MetricSettings(name="f1"), MetricSettings(name="ece", goal="minimize"))
    build = StudyBuilder()
    build.trial({"x": 0}, values=(0.8, 0.1))
    build.trial({"x": 1}, values=(0.9, 0.2))
    found = json.loads(best_results_json(build.study, settings(metrics=metrics)))
    assert [entry["trial"] for entry in found["pareto_front"]] == [0, 1]
    assert found["best"]["values"] == {"f1": 0.9, "ece": 0.2}
    assert "one of 2 on the Pareto front" in (best_config_yaml(build.study, settings(metrics=metrics)) or "")


def test_a_study_name_cannot_break_out_of_the_header_comment() -> None:
    build = StudyBuilder(name="x\ninjected: true")
    build.trial({"lr": 1}, values=0.5)
    assert YAML(typ="safe").load(best_config_yaml(build.study, settings()) or "") == {"lr": 1}
