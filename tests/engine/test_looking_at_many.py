"""Studies below a folder, looked at together: what they are called, and whether somebody is meant to supervise them."""

from __future__ import annotations

import pytest

from lab.served import at_rest
from outlast._system.processes import my_identity
from outlast.engine.record.look_many import ManyLooker
from outlast.study.campaign import Campaign, CampaignPaths, Member, keep_campaign
from outlast.study.ledger import Ledger
from outlast.study.supervision import Charge, Post


def test_studies_of_one_name_are_told_by_where_they_lie(tmp_path) -> None:
    for place in ("a/criteria", "b/criteria", "joint"):
        at_rest(tmp_path / place, 3, seed=1, target=3)
    looker = ManyLooker(tmp_path)
    assert [sight.name for sight in looker.look().sights] == ["a/criteria", "b/criteria", "joint"]
    assert [sight.name for sight in ManyLooker(tmp_path / "a").look().sights] == ["criteria"]
    keep_campaign(tmp_path, Campaign("all", (Member("criteria", "a/criteria"),), parallel=2))
    assert {sight.name for sight in looker.look().sights} == {"criteria", "b/criteria", "joint"}, (
        "known to others by it"
    )


def test_one_whose_coordinator_has_put_nothing_down_yet_is_not_wrong(tmp_path) -> None:
    keep_campaign(tmp_path, Campaign("all", (Member("joint", "joint"),), parallel=2))
    ledger, _ = Ledger.claim(tmp_path / "joint/ledger")
    ledger.close()
    found = ManyLooker(tmp_path).look()
    assert [(sight.name, sight.state) for sight in found.sights] == [("joint", "not begun")]
    assert found.findings == ()
    (tmp_path / "joint/trials/0000").mkdir(parents=True)
    (tmp_path / "joint/trials/0000/trial.json").write_text("{}")
    assert [warning.key for warning in ManyLooker(tmp_path).look().findings] == ["not_started"], "its records are lost"


@pytest.mark.parametrize(
    ("conditions", "meant"),
    [((), False), (("ended", "running"), True), (("waiting",), True), (("ended", "refused", "given up"), False)],
)
def test_somebody_is_meant_to_supervise_as_long_as_the_record_says_so(tmp_path, conditions, meant) -> None:
    """A campaign that `submit` gave to SLURM has no such record; one that has come to rest has no study that is looked after."""
    at_rest(tmp_path / "joint", 3, seed=1, target=3)
    keep_campaign(tmp_path, Campaign("all", (Member("joint", "joint"),), parallel=2))
    if conditions:
        post = Post(CampaignPaths.at(tmp_path).supervisor)
        assert post.take()
        charges = (Charge(f"s{at}", "/s", each, my_identity()) for at, each in enumerate(conditions))
        post.write(tuple(charges))
        post.close()
    assert ManyLooker(tmp_path).look().supervised is meant
