"""How many slots a campaign's studies have on one machine, who runs in them, and what is said of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from outlast.cli.running.supervising import slots_text
from outlast.config.load import settings_from_resolved
from outlast.engine.attempts import slots as slots_module
from outlast.engine.attempts.slots import Slots, local_slots
from outlast.engine.campaign.orders import sharing_in
from outlast.engine.campaign.planned import CampaignPlan, Planned
from outlast.engine.campaign.run_alone import sharing_of
from outlast.study.campaign import Campaign, Member, keep_campaign
from outlast.study.supervision import Post

ONE, AUTO = {"parallel": 1}, {}
LARGE = {"resources": {"cpus": 2}}
SUM, SAID = "what the studies' own `parallel` come to", "as the campaign's `parallel` says"
HELD = "as many trials as this machine holds"


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., CampaignPlan]:
    def make(parallel: int | None, *studies: dict[str, Any]) -> CampaignPlan:
        planned = []
        for name, more in zip("abcdef", studies, strict=False):
            whole = {
                "name": name, "command": ["train", "${args}"], "metric": {"name": "acc", "goal": "maximize"},
                "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 9}, **more,
            }  # fmt: skip
            own = Member(name, name, parallel=more.get("parallel"))
            settings = settings_from_resolved(whole, str(tmp_path))
            planned.append(Planned(member=own, folder=str(tmp_path / name), settings=settings))
        campaign = Campaign("all", tuple(each.member for each in planned), parallel=parallel)
        return CampaignPlan(campaign=campaign, folder=str(tmp_path), planned=tuple(planned))

    return make


@pytest.fixture
def begin() -> Iterator[Callable[[CampaignPlan, Planned], int]]:
    made: list[Slots] = []

    def as_many_as_it_can(plan: CampaignPlan, each: Planned) -> int:
        assert each.settings is not None
        made.append(local_slots(each.settings, sharing_in(plan.folder, plan.campaign, each.member, plan.pool)))
        got = made[-1].available(9)
        for slot in got:
            made[-1].take(slot)
        return len(got)

    yield as_many_as_it_can
    for slots in made:
        slots.close()


@pytest.mark.parametrize(
    ("parallel", "studies", "cpus", "said", "running"),
    [
        (None, [ONE, ONE, ONE, ONE], 2, f"4 slots: {SUM}", [1, 1, 1, 1]),
        (None, [ONE, ONE, ONE, ONE], 64, f"4 slots: {SUM}", [1, 1, 1, 1]),
        (None, [ONE, {"parallel": 3}], 2, f"4 slots: {SUM}", [1, 3]),
        (2, [ONE, ONE, ONE, ONE], 64, f"2 slots for all studies together, {SAID}", [1, 1, 0, 0]),
        (4, [ONE, AUTO], 2, f"4 slots for all studies together, {SAID}", [1, 3]),
        (None, [ONE, AUTO], 8, f"8 slots for all studies together: {HELD}", [1, 7]),
        (None, [ONE, ONE, AUTO, ONE], 2, f"2 slots for all studies together: {HELD}", [1, 1, 0, 0]),
        (None, [{"parallel": 9}, AUTO], 2, f"2 slots for all studies together: {HELD}", [2, 0]),
        (None, [AUTO, AUTO], 4, f"4 slots for all studies together: {HELD}", [4, 0]),
        (None, [{**LARGE, **ONE}, LARGE, AUTO], 8, "4 to 8 slots for all studies together", [1, 3, 0]),
        (None, [{**LARGE, **ONE}, AUTO], 8, "4 to 8 slots for all studies together", [1, 6]),
    ],
)
def test_an_attempt_takes_what_it_needs_and_a_study_s_own_number_is_only_its_limit(
    monkeypatch: pytest.MonkeyPatch,
    plan: Callable[..., CampaignPlan],
    begin: Callable[[CampaignPlan, Planned], int],
    parallel: int | None,
    studies: list[dict[str, Any]],
    cpus: int,
    said: str,
    running: list[int],
) -> None:
    monkeypatch.setattr(slots_module, "cpus", lambda: cpus)
    meant = plan(parallel, *studies)
    assert slots_text(meant).startswith(said)
    assert [begin(meant, each) for each in meant.planned] == running


def test_a_study_that_cannot_be_read_and_one_whose_trials_are_jobs_elsewhere_take_none(
    plan: Callable[..., CampaignPlan],
) -> None:
    jobs = {"executor": {"name": "psij", "scheduler": "pbs"}}
    assert plan(None, ONE, ONE, jobs).pool == 2
    assert slots_text(plan(None, jobs)) == ""
    whole = plan(None, ONE, ONE)
    broken = Planned(member=Member("c", "c"), folder="c")
    assert CampaignPlan(campaign=whole.campaign, folder="", planned=(*whole.planned, broken)).pool == 2


def test_a_study_that_is_run_alone_takes_part_while_its_campaign_runs(
    plan: Callable[..., CampaignPlan], tmp_path: Path
) -> None:
    meant = plan(None, ONE, ONE)
    keep_campaign(tmp_path, meant.campaign)
    assert sharing_of(meant.planned[1].folder) is None
    with closing(Post(tmp_path / "supervisor.json")) as post:
        assert post.take()
        post.write(())
        sharing = sharing_of(meant.planned[1].folder)
        assert sharing is not None
        assert (sharing.folder, sharing.study, sharing.parallel) == (os.path.join(tmp_path, "slots"), "b", 2)
    assert sharing_of(meant.planned[1].folder) is None
