from __future__ import annotations

import json

from outlast.config.settings import MetricSettings, Settings
from outlast.core.records import RevisionMade
from outlast.core.states import Cause, TrialState
from outlast.optimizer.importances import Importance
from outlast.results.report_facts import incidents, report_facts
from outlast.space.definitions import define
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(
    name="digits", command=("true",), metrics=(MetricSettings(name="acc"),),
    parameters=(define("lr", {"min": 0.0, "max": 1.0}),),
)  # fmt: skip


def test_incidents_are_faults_and_changes_in_the_order_of_time_with_what_became_of_them():
    build = StudyBuilder()
    build.trial(
        {"lr": 0.1}, TrialState.INTERRUPTED, at=10, seconds=10, cause=Cause.PREEMPTED, host="n1", reason="signal 15"
    )
    build.attempt(0, at=30, seconds=5, values=0.5)
    build.trial({"lr": 0.2}, TrialState.FAILED, at=40, seconds=5, reason="API_TOKEN=abc123def456 refused")
    build.trial({"lr": 0.3}, values=0.7, at=50)
    build.study.apply(RevisionMade(2, build.at(25), {}, ("budget.trials: 10 -> 20",)))
    build.end(200, "done", "the target is met")
    found = incidents(build.study)
    assert [(each["what"], each["text"]) for each in found] == [
        ("fault", "trial 0 preempted on n1: signal 15; went on from its checkpoint, complete"),
        ("revision", "budget.trials: 10 -> 20"),
        ("fault", found[2]["text"]),
        ("ended", "done: the target is met"),
    ]
    assert found[2]["times"] == 1 and found[2]["trials"] == [1]
    assert "abc123def456" not in found[2]["text"] and found[2]["text"].endswith("; failed")


def test_faults_that_are_alike_are_told_once():
    build = StudyBuilder()
    for number in range(50):
        build.trial({}, TrialState.FAILED, at=number, seconds=1, reason=f"ValueError: row {number}")
    build.trial({}, TrialState.FAILED, at=9, seconds=1, cause=Cause.TIMEOUT)
    first, second = incidents(build.study)
    assert (first["text"], first["times"]) == ("trial 0 crash on box: ValueError: row 0; failed; 49 more like it", 50)
    assert (first["at"], first["until"], first["trials"]) == (build.at(1), build.at(50), list(range(20)))
    assert second["text"] == "trial 50 timeout on box; failed"


def test_incidents_that_are_left_out_are_counted():
    build = StudyBuilder()
    for number in range(502):
        build.study.apply(RevisionMade(number + 2, build.at(number), {}, (f"change {number}",)))
    facts = report_facts(build.study, SETTINGS)
    assert (len(facts["incidents"]), facts["incidents_before"]) == (500, 2)


def test_what_an_objective_drew_is_its_search_space():
    build = StudyBuilder()
    build.trial({"x": 1.0, "k": "a"}, values=0.5)
    build.study.trials[0].distributions.update(
        x='{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 2.0, "log": true}}',
        k='{"name": "CategoricalDistribution", "attributes": {"choices": ["a", null]}}',
    )
    assert report_facts(build.study, SETTINGS)["drawn"] == [
        {"name": "x", "distribution": "float", "low": 0.1, "high": 2.0, "log": True},
        {"name": "k", "distribution": "categorical", "choices": ["a", None]},
    ]


def test_the_facts_are_plain_data_for_any_study():
    for build in (StudyBuilder(), StudyBuilder()):
        facts = report_facts(build.study, SETTINGS, importances=[Importance("lr", 1.0, 0.9, 1.0)])
        assert set(json.loads(json.dumps(facts, allow_nan=False))) == {
            "analysis", "importances", "importances_note", "failures", "incidents", "incidents_before",
            "top", "when", "runs_each", "drawn",
        }  # fmt: skip
        assert facts["importances"] == [{"name": "lr", "value": 1.0, "low": 0.9, "high": 1.0}]
        build.trial({"lr": float("nan")}, values=float("nan"))
