"""Numbers for a scraper: Prometheus' own parser reads them, whatever studies are called."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import parser

from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.states import TrialState
from outlast.monitor.exposition import METRICS, exposition
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import Best, LiveFacts, SupervisorFacts, snapshot
from outlast.testing.studies import StudyBuilder

NOW = datetime(2026, 1, 5, 10, 40, tzinfo=timezone.utc)


def sight(name: str = "digits", *, live: bool = True, gpus: float = 0.0) -> Sight:
    build = StudyBuilder(name, gpus=gpus)
    build.run(0, trials=50)
    for at in range(12):
        build.trial(at=100 * at, values=(0.5 + at / 100, 3.0))
    build.trial(state=TrialState.FAILED, at=1200)
    build.warn("the index was drawn anew", "index")
    settings = Settings(
        name=name, command=("true",), budget=BudgetSettings(trials=50),
        metrics=(MetricSettings(name="f1"), MetricSettings(name="ece", goal="minimize")),
    )  # fmt: skip
    facts = LiveFacts("box", 4242, build.at(0), 2) if live else None
    made = snapshot(build.study, settings, now=NOW, live=facts, folder=f"studies/{name}")
    return Sight(name, made.folder, made, weight=2.0)


def read(*sights: Sight, **given: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Metric → values of the labels beyond study and folder → value; a sample that is there twice is an error."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in parser.text_string_to_metric_families(exposition(Overview("all", "studies", sights, NOW, **given))):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            key = tuple(value for label, value in sample.labels.items() if label != "dir")
            assert key not in found.setdefault(sample.name, {})
            found[sample.name][key] = sample.value
        found.setdefault(family.name, {})
    return found


def test_what_a_study_that_runs_says() -> None:
    found = read(sight(), is_campaign=True, supervisor=SupervisorFacts("box", 1, "", {"digits": 3}))
    assert list(found) == list(METRICS)
    assert found["outlast_study_state"]["digits", "running"] == 1
    assert sum(found["outlast_study_state"].values()) == 1
    assert found["outlast_trials"]["digits", "complete"] == 12
    assert found["outlast_trials"]["digits", "failed"] == 1
    assert (found["outlast_trials_counted"]["digits",], found["outlast_trials_target"]["digits",]) == (12, 50)
    assert found["outlast_best_value"]["digits", "f1", "maximize"] == pytest.approx(0.61)
    assert found["outlast_best_value"]["digits", "ece", "minimize"] == 3
    assert found["outlast_slots"]["digits",] == 2
    ends = found["outlast_expected_end_timestamp_seconds"]
    assert NOW.timestamp() < ends["digits", "low"] < ends["digits", "median"] < ends["digits", "high"]
    assert ("digits", "index") in {key[:2] for key in found["outlast_warnings"]}
    assert found["outlast_coordinator_restarts"]["digits",] == 3
    assert found["outlast_supervisor_up"]["all",] == 1
    assert found["outlast_look_timestamp_seconds"]["all",] == NOW.timestamp()


def test_what_is_not_known_is_not_said() -> None:
    broken = Sight("broken", "studies/broken", error="damaged")
    found = read(sight(live=False), broken)
    assert found["outlast_study_up"] == {("digits",): 0}
    assert found["outlast_study_state"]["broken", "unreadable"] == 1
    assert read(replace(broken, target=9))["outlast_trials_target"] == {("broken",): 9}
    refused = read(replace(broken, refused=True))["outlast_study_state"]
    assert (refused["broken", "cannot start"], refused["broken", "unreadable"]) == (1, 0)
    assert found["outlast_expected_end_timestamp_seconds"] == found["outlast_supervisor_up"] == {}
    assert read()["outlast_trials"] == {}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a{b}", "日本", "a,b=c", "\x1b[2J", "# HELP"])
def test_whatever_a_study_is_called(name: str) -> None:
    assert read(replace(sight(), name=name))["outlast_study_up"] == {(name,): 1}


def test_a_name_that_is_no_unicode() -> None:
    assert read(replace(sight(), name="a\udcffb"))["outlast_study_up"] == {("a?b",): 1}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e-300, 1e300, -0.0, 3.0, 0.1])
def test_odd_values(value: float) -> None:
    of = sight()
    assert of.snapshot is not None
    odd = replace(of, snapshot=replace(of.snapshot, best=Best(1, value, (value,), {})))
    found = read(odd)["outlast_best_value"]["digits", "f1", "maximize"]
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_two_of_one_name_are_told_apart_by_their_folders() -> None:
    text = exposition(Overview("all", "studies", (sight(), replace(sight(), folder="other/digits")), NOW))
    lines = [line for line in text.splitlines() if line.startswith("outlast_study_up")]
    assert lines == [f'outlast_study_up{{study="digits",dir="{folder}/digits"}} 1' for folder in ("studies", "other")]


def test_hours_of_gpus() -> None:
    assert read(sight(gpus=1.0))["outlast_training_seconds"]["digits",] == 13 * 60
