from __future__ import annotations

from typing import Any

import pytest

from outlast.config.settings import MetricSettings, PrunerSettings, Settings
from outlast.core.plain_json import plain_json
from outlast.core.states import Cause, TrialState
from outlast.monitor.health import HealthFacts, health
from outlast.testing.studies import StudyBuilder

HOUR = 3600.0


def settings(pruner: str = "none") -> Settings:
    return Settings(
        name="digits", command=("true",), metrics=(MetricSettings(name="acc"),), pruner=PrunerSettings(name=pruner)
    )


def keys(build: StudyBuilder, at: float = 100, *, live: bool = True, pruner: str = "none", **facts: Any) -> list[str]:
    found = health(
        build.study,
        settings(pruner),
        now=build.moment(at),
        live=live,
        folder="studies/digits",
        facts=HealthFacts(**facts),
    )
    assert all(warning.text and warning.key for warning in found)
    return [warning.key for warning in found]


@pytest.fixture
def build() -> StudyBuilder:
    made = StudyBuilder()
    made.run(0)
    return made


def test_a_healthy_study_has_no_warnings(build: StudyBuilder) -> None:
    for i in range(20):
        build.trial(values=0.5, at=i, curves=(((0, 0.5),),), state=TrialState.PRUNED if i % 3 else TrialState.COMPLETE)
    build.trial(state=TrialState.RUNNING)
    assert keys(build, pruner="asha", disk_free=10**12, disk_total=10**13, inodes_free=10**7) == []


def test_a_new_study_has_no_warnings() -> None:
    assert keys(StudyBuilder(), live=False) == []


def test_nothing_completed_for_two_hours(build: StudyBuilder) -> None:
    build.trial(values=0.5)
    build.trial(state=TrialState.PRUNED, at=2 * HOUR)
    build.trial(state=TrialState.RUNNING, at=60)
    assert keys(build, 2 * HOUR) == []
    assert keys(build, 2.1 * HOUR) == ["nothing_completed"]
    assert "nothing_completed" not in keys(build, 2.1 * HOUR, live=False)


def test_a_run_that_has_just_begun_is_not_blamed_for_the_night_before(build: StudyBuilder) -> None:
    build.trial(values=0.5)
    build.end(100)
    build.run(20 * HOUR)
    assert keys(build, 20.5 * HOUR) == []


def test_trials_that_take_five_hours_each_are_no_trouble(build: StudyBuilder) -> None:
    build.trial(values=0.5, seconds=5 * HOUR)
    build.trial(state=TrialState.RUNNING, at=5 * HOUR)
    assert keys(build, 9 * HOUR) == []
    assert keys(build, 13 * HOUR) == ["nothing_completed"]


def test_everything_pruned(build: StudyBuilder) -> None:
    for _ in range(9):
        build.trial(state=TrialState.PRUNED)
    assert keys(build, pruner="asha") == []
    build.trial(state=TrialState.PRUNED)
    assert keys(build, pruner="asha") == ["all_pruned"]
    build.trial(values=0.5)
    assert keys(build, pruner="asha") == []


def test_more_than_thirty_percent_failed(build: StudyBuilder) -> None:
    for i in range(10):
        build.trial(state=TrialState.FAILED if i < 3 else TrialState.COMPLETE, values=0.5, signature=str(i))
    assert keys(build) == []
    build.trial(state=TrialState.FAILED, at=10, signature="other")
    assert keys(build) == ["failure_rate"]


def test_infeasible_and_imported_trials_are_no_failures(build: StudyBuilder) -> None:
    build.trial(values=0.5)
    for _ in range(20):
        build.trial(state=TrialState.INFEASIBLE)
        build.trial(state=TrialState.FAILED, source="imported", cause=Cause.IMPORTED)
        build.trial(state=TrialState.FAILED, cause=Cause.SPACE_CHANGED)
    assert keys(build) == []


def test_nothing_could_run(build: StudyBuilder) -> None:
    for _ in range(2):
        build.trial(state=TrialState.INFEASIBLE, cause=Cause.GPU_OUT_OF_MEMORY, reason="CUDA out of memory")
        build.trial(state=TrialState.INFEASIBLE, cause=Cause.CONSTRAINT, reason="ruled out by the derive hook")
    assert keys(build) == []
    build.trial(state=TrialState.INFEASIBLE, cause=Cause.GPU_OUT_OF_MEMORY, reason="CUDA out of memory")
    assert keys(build) == ["no_result"]
    build.end(50, "halted", "all 5 trials are finished, and no trial gave a result")
    assert keys(build, live=False) == ["no_result"]


def test_a_search_of_an_earlier_version_that_is_done_without_a_result(build: StudyBuilder) -> None:
    build.trial(state=TrialState.PRUNED)
    build.end(50, "done", "all 1 trials are finished")
    assert keys(build, live=False) == ["no_result"]
    build.trial(values=0.5)
    assert keys(build, live=False) == []


def test_the_same_failure_again_and_again(build: StudyBuilder) -> None:
    for _ in range(2):
        build.trial(state=TrialState.FAILED, signature="abc", reason="ValueError: shape")
    assert keys(build) == []
    build.trial(state=TrialState.FAILED, signature="abc")
    assert keys(build) == ["same_failure"]
    build.run(50)
    assert keys(build) == [], "a person ran it since"


def test_a_trial_that_runs_longer_than_a_day(build: StudyBuilder) -> None:
    build.trial(values=0.5, at=23.5 * HOUR)
    build.trial(state=TrialState.RUNNING, at=0)
    assert keys(build, 23.9 * HOUR) == []
    assert keys(build, 24.1 * HOUR) == ["long_trial"]


def test_a_pruner_that_never_gets_a_value(build: StudyBuilder) -> None:
    for _ in range(3):
        build.trial(values=0.5)
    assert keys(build) == []
    assert keys(build, pruner="asha") == ["pruner_without_values"]
    build.trial(values=0.5, curves=(((0, 0.5),),))
    assert keys(build, pruner="asha") == []


@pytest.mark.parametrize(
    ("facts", "warned"),
    [
        ({"disk_free": 2**30, "disk_total": 2**40}, True),
        ({"disk_free": 2**30, "disk_total": 2**31}, False),  # a small disk, half free
        ({"disk_free": 100 * 2**30, "disk_total": 2**50}, False),  # a large one
        ({"disk_free": 2**30}, True),
        ({"inodes_free": 500}, True),
        ({}, False),
    ],
)
def test_a_disk_that_is_nearly_full(build: StudyBuilder, facts: dict[str, int], warned: bool) -> None:
    assert keys(build, **facts) == (["disk"] if warned else [])


def test_a_run_that_ended_without_a_word(build: StudyBuilder) -> None:
    assert keys(build, live=False) == ["left_alone"]
    build.end(50)
    assert keys(build, live=False) == []


def test_what_the_ledger_has_to_say_comes_last(build: StudyBuilder) -> None:
    build.warn("the working tree changed", key="code")
    assert keys(build, inodes_free=500) == ["disk", "code"]


def test_what_was_said_once_is_a_note_with_its_time_and_what_needs_a_hand_is_more(build: StudyBuilder) -> None:
    build.warn("isolation is a process each", key="isolation")
    build.warn("processes of trial 0 cannot be ended", key="stuck-0000.1")
    found = health(build.study, settings(), now=build.moment(10), live=True)
    assert [(w.key, w.level, w.since) for w in found] == [
        ("stuck-0000.1", "warning", build.at(0)), ("isolation", "note", build.at(0))
    ]  # fmt: skip
    assert [w.is_trouble for w in found] == [True, False]


def test_each_warning_names_the_command_that_helps(build: StudyBuilder) -> None:
    for _ in range(3):
        build.trial(state=TrialState.FAILED, signature="abc", reason="ValueError: shape")
    (warning,) = health(build.study, settings(), now=build.moment(10), live=True, folder="studies/digits")
    assert plain_json(warning) == {
        "key": "same_failure",
        "text": "the same failure 3 times, first in trial 0: ValueError: shape",
        "cure": "outlast show studies/digits failures",
        "since": build.at(60),
        "level": "warning",
        "study": "",
    }
