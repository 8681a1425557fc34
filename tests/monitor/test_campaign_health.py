"""What is wrong with a campaign: each rule fires on what was made for it, and a campaign in good health sets off none."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.config.load import settings_from_resolved
from outlast.core.states import TrialState
from outlast.monitor.health import HealthWarning
from outlast.monitor.health.rules_of_campaigns import campaign_health
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, SupervisorFacts, snapshot
from outlast.testing.studies import StudyBuilder

MANNED = SupervisorFacts("box", 4242)


def sight(name: str, *, live: bool = True, end: str = "", failures: int = 0, host: str = "box") -> Sight:
    build = StudyBuilder(name)
    build.run(0)
    build.trial(values=0.5, at=10)
    for _ in range(failures):
        build.trial(state=TrialState.FAILED, signature="abc", reason="ValueError: shape", at=20)
    if end:
        build.end(200, end, "5 trials failed in a row")
    file = {"name": name, "command": ["true"], "metric": {"name": "acc", "goal": "maximize"}, "budget": {"trials": 9}}
    settings = settings_from_resolved({**file, "parameters": {"lr": [1, 2]}}, ".")
    facts = LiveFacts(host, 1) if live else None
    return Sight(name, f"studies/{name}", snapshot(build.study, settings, now=build.moment(300), live=facts))


def said(*sights: Sight, supervisor: SupervisorFacts | None = MANNED, supervised: bool = True) -> list[HealthWarning]:
    now = StudyBuilder().moment(300)
    return campaign_health(Overview("all", "studies/all", sights, now, supervisor=supervisor), supervised=supervised)


def test_a_campaign_in_good_health_sets_off_nothing() -> None:
    waiting = Sight("c", "studies/c", error="not begun yet", begun=False)
    assert said(sight("a"), sight("b", live=False, end="done"), waiting) == []
    assert said(sight("a", live=False, end="stopped"), supervisor=None, supervised=False) == []


@pytest.mark.parametrize(
    ("sights", "how", "expected"),
    [
        ([sight("a"), Sight("b", "studies/b", error="train.py is not there")], {}, [("not_started", "b", "error")]),
        ([sight("a"), sight("b", live=False, end="halted")], {}, [("halted", "b", "error")]),
        ([sight("a")], {"supervisor": SupervisorFacts("box", 1, restarts={"a": 3})}, [("restarted", "a", "warning")]),
        ([sight("a")], {"supervisor": None}, [("supervisor_gone", "", "warning")]),
        ([sight("jobs", host="")], {"supervisor": None}, []),
        ([sight("a"), sight("b", live=False)], {}, [("left_alone", "b", "error")]),
        (
            [sight("a", live=False), sight("b", live=False)],
            {"supervisor": None},
            [("all_stopped", "", "error"), ("left_alone", "a", "error"), ("left_alone", "b", "error")],
        ),
        ([sight("a", failures=4)], {}, [("same_failure", "a", "warning")]),
    ],
)
def test_what_is_wrong_is_said_with_its_study(sights: list[Sight], how: dict[str, Any], expected: list[Any]) -> None:
    assert [(found.key, found.study, found.level) for found in said(*sights, **how)] == expected


def test_what_stands_still_says_since_when() -> None:
    (found, _) = said(sight("a", live=False), supervisor=None)
    assert found.since == StudyBuilder().at(70)
