"""What is wrong with a campaign: each rule fires on what was made for it, and a campaign in good health sets off none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.cli.live.lines import Window
from outlast.cli.live.troubles import warning_lines
from outlast.cli.render.render_many import several
from outlast.cli.render.styled import Group, Sheet
from outlast.config.load import settings_from_resolved
from outlast.core.records import JobSubmitted
from outlast.core.states import TrialState
from outlast.monitor.exposition import exposition
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, SupervisorFacts, snapshot
from outlast.testing.studies import StudyBuilder

MANNED = SupervisorFacts("box", 4242)


def sight(
    name: str, *, live: bool = True, end: str = "", failures: int = 0, host: str = "box", job: bool = False
) -> Sight:
    build = StudyBuilder(name)
    build.run(0)
    if job:
        build.study.apply(JobSubmitted("7", build.at(0), "trial"))
    build.trial(values=0.5, at=10)
    for _ in range(failures):
        build.trial(state=TrialState.FAILED, signature="abc", reason="ValueError: shape", at=20)
    if end:
        build.end(200, end, "5 trials failed in a row")
    file = {"name": name, "command": ["true"], "metric": {"name": "acc", "goal": "maximize"}, "budget": {"trials": 9}}
    settings = settings_from_resolved({**file, "parameters": {"lr": [1, 2]}}, ".")
    facts = LiveFacts(host, 1) if live else None
    return Sight(name, f"studies/{name}", snapshot(build.study, settings, now=build.moment(300), live=facts))


def together(
    *sights: Sight,
    supervisor: SupervisorFacts | None = MANNED,
    supervised: bool = False,
    is_campaign: bool = True,
    untold: str = "",
) -> Overview:
    return Overview(
        "all", "studies/all", sights, StudyBuilder().moment(300), supervisor=supervisor, is_campaign=is_campaign,
        supervised=supervised, untold=untold,
    )  # fmt: skip


def said(*sights: Sight, **how: Any) -> list[HealthWarning]:
    return list(together(*sights, **how).findings)


def test_a_campaign_in_good_health_sets_off_nothing() -> None:
    waiting = Sight("c", "studies/c", error="not begun yet", begun=False)
    assert said(sight("a"), sight("b", live=False, end="done"), waiting) == []
    assert said(sight("a", live=False, end="stopped"), supervisor=None) == []
    assert said(sight("a"), supervisor=None) == []  # its jobs run it, or a person began it by itself
    assert said(sight("jobs", host=""), supervisor=None, supervised=True) == []
    assert not together(sight("a"), supervisor=None).is_wrong


@pytest.mark.parametrize(
    ("sights", "how", "expected"),
    [
        ([sight("a"), Sight("b", "studies/b", error="train.py is not there")], {}, [("not_started", "b", "error")]),
        ([sight("a"), sight("b", live=False, end="halted")], {}, [("halted", "b", "error")]),
        ([sight("a")], {"supervisor": SupervisorFacts("box", 1, restarts={"a": 3})}, [("restarted", "a", "warning")]),
        ([sight("a")], {"supervisor": None, "supervised": True}, [("supervisor_gone", "", "warning")]),
        ([sight("a")], {"untold": "1:ntfy: refused"}, [("not_told", "", "warning")]),
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
    overview = together(*sights, **how)
    assert overview.is_wrong
    forms = [
        json.dumps(overview.to_json()["findings"]), exposition(overview), plain(several(overview)),
        plain(Group(*warning_lines(overview, Window(400, 50)))),
    ]  # fmt: skip
    for found in overview.findings:
        told = [found.key, f'key="{found.key}",level="{found.level}"', found.named, found.named]
        assert all(words in form for words, form in zip(told, forms, strict=True))


def plain(shown: Any) -> str:
    return "\n".join(Sheet("utf-8", 10_000).lines(shown))


@pytest.mark.parametrize(
    ("sights", "is_campaign", "cure"),
    [
        ([sight("a", live=False)], True, "outlast run studies/all"),
        ([sight("a", live=False, job=True)], True, "outlast submit studies/all"),
        ([sight("a", live=False), sight("b", live=False)], False, "outlast run a"),
    ],
)
def test_what_goes_on_with_all_of_it_is_what_began_it(sights: list[Sight], is_campaign: bool, cure: str) -> None:
    found = said(*sights, supervisor=None, is_campaign=is_campaign)[0]
    assert (found.key, found.cure) == ("all_stopped", cure)


def test_what_is_worst_is_told_first_however_many_notes_there_are() -> None:
    notes = tuple(HealthWarning(f"note{at}", f"note {at}", level="note") for at in range(9))
    noted = sight("a")
    assert noted.snapshot is not None
    noted = replace(noted, snapshot=replace(noted.snapshot, warnings=notes))
    overview = together(noted, sight("b", live=False))
    for form in (plain(several(overview)), plain(Group(*warning_lines(overview, Window(400, 50))))):
        assert form.index("b: the run that began") < form.index("a: note 0")


def test_what_is_told_of_many_is_as_bad_as_each() -> None:
    note = (HealthWarning("dull", "dull", level="note"),)
    sights = [sight(name) for name in "abcd"]
    noted = [replace(each, snapshot=replace(each.snapshot, warnings=note)) for each in sights if each.snapshot]
    assert "warning" not in plain(several(together(*noted)))


def test_what_stands_still_says_since_when() -> None:
    (found, _) = said(sight("a", live=False), supervisor=None)
    assert found.since == StudyBuilder().at(70)
