"""Which folders are studies of a campaign, or lie below a folder: follow-ups and what was set aside are not among them."""

from __future__ import annotations

import os

import pytest

from outlast.study.campaign import Campaign, Member, keep_campaign, member_folders, read_campaign


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def lay(*folders: str) -> None:
        for folder in folders:
            os.makedirs(f"{folder}/ledger")
            open(f"{folder}/ledger/00000001.jsonl", "w").close()

    return lay


def test_every_study_below_and_nothing_of_a_study(place):
    place(
        "studies/b", "studies/a", "studies/a/confirm", "studies/group/c", "studies/group/c/refit", "studies/.a.check-1"
    )
    os.makedirs("studies/a/trials/0001/ledger")
    assert member_folders("studies") == ["studies/a", "studies/b", "studies/group/c"]


def test_what_was_set_aside_counts_only_where_nothing_took_its_place(place):
    place("studies/a", "studies/a.20260105_100000", "studies/a.20260105_100000-2", "studies/b.20260105_100000")
    assert member_folders("studies") == ["studies/a", "studies/b.20260105_100000"]


def test_a_study_whose_ledger_is_gone_is_one(place):
    place("studies/a")
    os.makedirs("studies/b/trials/0003")
    open("studies/b/trials/0003/trial.json", "w").close()
    assert member_folders("studies") == ["studies/a", "studies/b"]


def test_those_on_record_come_first_wherever_they_lie(place):
    place("studies/a", "studies/all/z", "studies/all/b")
    keep_campaign("studies/all", Campaign("all", (Member("z", "z"), Member("a", "../a"), Member("late", "late"))))
    assert member_folders("studies/all") == ["studies/all/z", "studies/a", "studies/all/b"]


@pytest.mark.parametrize("harm", [b"", b"{", b'{"name": 3}', b"\xff"])
def test_a_record_that_cannot_be_read_is_none(harm, place):
    place("studies/all/z")
    with open("studies/all/campaign.json", "wb") as file:
        file.write(harm)
    assert read_campaign("studies/all") is None
    assert member_folders("studies/all") == ["studies/all/z"]
