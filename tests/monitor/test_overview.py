"""Several studies together: what adds up, when it is expected, what is wrong, what to type next."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.cli.render.phrases import total_text
from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.states import TrialState
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, Snapshot, SupervisorFacts, snapshot
from outlast.monitor.together import Part, ahead, milestones_of
from outlast.testing.studies import StudyBuilder

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=timezone.utc)


def settings(trials: int | None, time: float | None = None) -> Settings:
    budget = BudgetSettings(trials=trials, time=time)
    return Settings(name="a", command=("true",), metrics=(MetricSettings(name="score"),), budget=budget)


def seen(
    name: str,
    done: int,
    target: int | None,
    *,
    live: bool = False,
    ended: str = "",
    failed: int = 0,
    time: float | None = None,
) -> Sight:
    """A study whose trials took a minute each, one after another."""
    build = StudyBuilder(name)
    build.run(0, trials=target)
    for at in range(done):
        build.trial(at=60 * at, values=0.5 + at / 100)
    for at in range(failed):
        build.trial(state=TrialState.FAILED, at=60 * (done + at))
    if ended:
        build.end(60 * done, ended)
    facts = LiveFacts("box", 1, build.at(0)) if live else None
    made = snapshot(
        build.study,
        settings(target, time),
        now=build.moment(60 * (done + failed)),
        live=facts,
        folder=f"studies/{name}",
    )
    return Sight(name, made.folder, made)


def over(*sights: Sight, **given: Any) -> Overview:
    return Overview("all", "studies", sights, NOW, **given)


def test_the_totals_are_the_sums() -> None:
    found = over(seen("a", 3, 10, live=True), seen("b", 30, 1590, live=True, failed=2), seen("c", 0, 1600))
    assert (found.counted, found.target, found.finished) == (33, 3200, 35)
    assert found.share == pytest.approx(0.0103, abs=1e-4)
    assert found.counts[TrialState.COMPLETE] == 33
    assert found.counts[TrialState.FAILED] == 2
    assert found.states == {"running": 2, "stopped": 1}
    assert found.rate_per_hour == pytest.approx(sum(each.rate_per_hour or 0 for each in found.snapshots[:2]))


def test_one_study_beyond_its_target_makes_up_for_no_other() -> None:
    assert over(seen("a", 5, 3), seen("b", 0, 3)).share == 0.5


def test_without_a_target_of_one_there_is_none_of_all() -> None:
    found = over(seen("a", 5, None), seen("b", 0, 3))
    assert (found.target, found.share, found.milestones) == (None, None, ())


def test_what_cannot_be_read_counts_nowhere_and_hides_nothing() -> None:
    found = over(seen("a", 5, 10), Sight("b", "studies/b", error="damaged"), Sight("c", "studies/c", begun=False))
    assert (found.counted, found.target, found.share, found.without) == (5, 10, None, ("b", "c"))
    assert found.states == {"stopped": 1, "unreadable": 1, "not begun": 1}
    assert [each["study"] for each in found.to_json()["studies"]] == ["a", "b", "c"]
    assert found.to_json()["wrong"] == ["a", "b"]


REFUSED = Sight("c", "studies/c", error="c.yaml:1: budget.trails: unknown key", refused=True)


@pytest.mark.parametrize(
    ("sights", "counted", "target", "share", "text"),
    [
        ([seen("a", 3, 3, ended="done"), replace(REFUSED, target=3)], 3, 6, 0.5, "3/6 (50.0%)"),
        ([seen("a", 3, 3, ended="done"), Sight("b", "b", begun=False, target=9)], 3, 12, 0.25, "3/12 (25.0%)"),
        ([seen("a", 3, 3, ended="done"), REFUSED], 3, 3, None, "3/3 without c"),
        ([seen("a", 3, None), REFUSED], 3, None, None, "3 trials"),
        ([REFUSED], 0, None, None, "0 trials"),
        ([], 0, None, None, "0 trials"),
    ],
)
def test_a_study_that_did_not_begin_is_part_of_what_is_to_be_reached(
    sights: list[Sight], counted: int, target: int | None, share: float | None, text: str
) -> None:
    found = over(*sights, is_campaign=True)
    assert (found.counted, found.target, found.share) == (counted, target, share)
    assert total_text(found) == text
    assert found.to_json()["without"] == [sight.name for sight in sights if sight.aim is None and sight.name == "c"]


def test_milestones_are_of_all_that_is_to_be_reached() -> None:
    found = over(seen("a", 5, 10, live=True), Sight("b", "studies/b", begun=False, target=30))
    assert [(m.percent, m.trials, m.at is not None) for m in found.milestones] == [
        (10, 4, False), (25, 10, True), (50, 20, False), (75, 30, False), (100, 40, False),
    ]  # fmt: skip


def test_a_study_that_cannot_start_is_begun_by_the_campaign_s_own_command_once_it_is_mended() -> None:
    found = over(seen("a", 3, 3, ended="done"), REFUSED, is_campaign=True)
    assert (found.states["cannot start"], found.is_wrong, found.next_command) == (1, True, "outlast run studies")


def part(counted: int, target: int, hours: float | None, **given: Any) -> Part:
    seconds = None if hours is None else 3600 * hours
    return Part(counted, target, seconds, (seconds or 0) * 0.8, (seconds or 0) * 1.25, **given)


@pytest.mark.parametrize(
    ("parts", "hours"),
    [
        ([part(0, 100, 10)], [1, 2.5, 5, 7.5, 10]),
        ([part(50, 100, 5)], [None, None, None, 2.5, 5]),
        ([part(0, 100, 10), part(0, 100, 10)], [1, 2.5, 5, 7.5, 10]),
        ([part(0, 50, 5), part(0, 150, 15)], [1, 2.5, 5, 10, 15]),  # one is through after 5 hours
        ([part(0, 100, 10), part(0, 100, None)], [2, 5, 10, None, None]),  # and one stands still
        (
            [part(0, 100, 1, within=0.1), part(0, 100, 1, within=0.1)],
            [1, None, None, None, None],
        ),  # the time is up then
        ([part(0, 100, None)], [None] * 5),
        ([part(100, 100, 10)], [None] * 5),
    ],
)
def test_milestones_of_all_together(parts: list[Part], hours: list[float | None]) -> None:
    found = milestones_of(parts, ahead(parts), NOW)
    assert [m.percent for m in found] == [10, 25, 50, 75, 100]
    assert [None if m.at is None else round((m.at - NOW) / timedelta(hours=1), 6) for m in found] == hours


def works(trials: int, work: float, **given: Any) -> Part:
    return part(0, trials, 99, work=3600 * work, **{"slots": 4, **given})


@pytest.mark.parametrize(
    ("sharing", "parts", "ends"),
    [
        ("weight", [works(10, 8), works(10, 8)], [4]),  # four slots for 16 hours of work
        ("weight", [works(10, 4), works(10, 12)], [2, 4]),  # what is through leaves its slots to the other
        ("weight", [works(10, 12, weight=3), works(10, 4)], [4]),
        ("together", [works(10, 4), works(10, 12)], [4]),
        ("priority", [works(10, 4), works(10, 12, priority=1)], [3, 4]),
        ("weight", [works(10, 2, slots=1), works(10, 12)], [2, 3.5]),  # one cannot fill more than one
        ("weight", [works(10, 8, slots=1)], [8]),
        ("priority", [works(10, 8, slots=1, priority=1), works(10, 6, slots=4)], [2, 8]),
    ],
)
def test_a_pool_that_studies_share(sharing: str, parts: list[Part], ends: list[float]) -> None:
    found = ahead(parts, pool=4, sharing=sharing)
    assert found is not None
    assert [round(at / 3600, 6) for at, _ in found.line] == ends
    assert found.line[-1][1] == pytest.approx(sum(each.target for each in parts))
    assert found.low < found.seconds < found.high


def test_the_range_of_many_that_share_is_narrower_than_that_of_one() -> None:
    def width(parts: list[Part]) -> float:
        found = ahead(parts, pool=4)
        assert found is not None
        return found.high / found.low

    assert 1 < width([works(10, 8) for _ in range(16)]) < width([works(10, 128)])


def test_a_campaign_ends_when_its_pool_has_done_all_of_it() -> None:
    """Two studies, each of which would fill both slots alone: their own ends are told as if they went on sharing."""
    alone = over(seen("a", 10, 40, live=True), seen("b", 10, 40, live=True))
    shared = over(*alone.sights, is_campaign=True, parallel=2)
    assert alone.eta is not None and shared.eta is not None and shared.eta_range is not None
    assert (shared.eta - NOW).total_seconds() == pytest.approx(2 * 30 * 60 / 2, rel=0.02)
    assert shared.eta_range[0] < shared.eta < shared.eta_range[1]


def test_a_time_budget_leaves_trials_undone_in_the_totals_too() -> None:
    """Two studies of 100 hours each, with 50 minutes left: in slots of their own, and in one that they share."""
    alone = over(seen("a", 10, 6000, live=True, time=3600), seen("b", 10, 6000, live=True, time=3600))
    for found in (alone, over(*alone.sights, is_campaign=True, parallel=1)):
        assert found.eta == found.now + timedelta(minutes=50)
        assert [m.at for m in found.milestones] == [None] * 5
        assert found.eta_range is not None and found.eta_range[1] <= found.eta
    shared = ahead([works(10, 100, limit=3600.0), works(10, 8)], pool=4)
    assert shared is not None
    assert [round(at / 3600, 6) for at, _ in shared.line] == [1, 2.5]
    assert shared.line[-1][1] == pytest.approx(10.2)


def test_a_supervised_campaign_shares_the_slots_of_this_machine_where_nobody_said_how_many() -> None:
    alone = over(seen("a", 10, 40, live=True), seen("b", 10, 40, live=True))
    shared = over(*alone.sights, is_campaign=True, supervisor=SupervisorFacts("box", 1))
    assert shared.eta is not None
    assert (shared.eta - NOW).total_seconds() == pytest.approx(2 * 30 * 60, rel=0.02)


def unwell(sight: Sight) -> Sight:
    build = StudyBuilder()
    build.warn("processes of trial 0 cannot be ended", key="stuck-0000.1")
    made = snapshot(build.study, settings(10), now=NOW).warnings
    assert sight.snapshot is not None
    return replace(sight, snapshot=replace(sight.snapshot, warnings=made))


@pytest.mark.parametrize(
    ("sights", "wrong", "then"),
    [
        ([seen("a", 3, 10, live=True), seen("b", 1, 3)], True, "outlast status studies -w"),  # b was left alone
        ([seen("a", 3, 10, live=True), seen("b", 3, 3, ended="done")], False, "outlast status studies -w"),
        ([seen("a", 3, 10, ended="stopped"), seen("b", 3, 3, ended="done")], False, "outlast run studies/a"),
        ([seen("a", 3, 10, ended="halted"), seen("b", 3, 3, ended="done")], True, "outlast show studies/a"),
        ([Sight("a", "studies/a", error="damaged"), seen("b", 3, 10, ended="stopped")], True, "outlast status studies/a"),
        ([seen("a", 3, 3, ended="done"), unwell(seen("b", 3, 3, ended="done"))], True, "outlast show studies/b best"),
        ([seen("a", 3, 3, ended="done")], False, "outlast report studies/a"),
        ([], False, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_and_what_is_next(sights: list[Sight], wrong: bool, then: str) -> None:
    found = over(*sights)
    assert (found.is_wrong, found.next_command) == (wrong, then)


def test_a_campaign_with_work_left_is_gone_on_with_as_one() -> None:
    waiting = Sight("c", "studies/all/c", error="not begun yet", begun=False)
    assert over(seen("a", 3, 3, ended="done"), waiting, is_campaign=True).next_command == "outlast run studies"
    assert not over(waiting, is_campaign=True).is_wrong


def test_a_study_is_said_as_by_itself_with_its_place_in_the_campaign() -> None:
    sight = replace(seen("a", 3, 10, live=True), weight=2.0)
    assert isinstance(sight.snapshot, Snapshot)
    assert sight.to_json() == {**sight.snapshot.to_json(), "weight": 2.0, "priority": 0}
