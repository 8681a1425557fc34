"""What commands do that are given a campaign: the same to each of its studies, or they say which study to name."""

from __future__ import annotations

import json

import pytest

from outlast.cli.targets.campaign_command import request_of
from outlast.engine.hold.opening import open_study
from outlast.study.campaign import keep_campaign
from outlast.study.layout import StudyPaths


@pytest.fixture
def campaign(here):
    """One with two studies that were begun, and one that cannot be."""
    here.write("big.yaml", "base: study.yaml\nstudies: {a: , b: , wrong: {budget: {trails: 1}}}\n")
    plan = request_of(("run", "big.yaml")).campaign
    keep_campaign(plan.folder, plan.campaign)
    for each in plan.startable:
        with open_study(StudyPaths.at(each.folder), each.settings):
            pass
    return here


NAMED = (["big.yaml"], ["studies/big"], ["studies/big/"], ["big"], [], ["--dir", "studies/big"])


@pytest.mark.parametrize("words", NAMED, ids=str)
def test_stop_asks_each_study(campaign, words):
    said = campaign("stop", *words)
    assert said.code == 0, said.everything
    assert [line.split(";")[0] for line in said.out.splitlines()] == [
        f"studies/big/{name}: nothing runs in studies/big/{name}" for name in ("a", "b")
    ]


def test_stop_of_one_study_asks_that_one(campaign):
    for words in (["studies/big/b"], ["big/b"], ["b"]):
        assert campaign("stop", *words).out.startswith("nothing runs in studies/big/b")


def test_a_study_that_cannot_be_asked_hides_none_of_the_others(campaign):
    (ledger,) = StudyPaths.at("studies/big/a").ledger.glob("*.jsonl")
    ledger.write_bytes(b"garbage" + ledger.read_bytes()[7:])
    said = campaign("stop", "big")
    first, *_, last = said.out.splitlines()
    assert first.startswith("studies/big/a: the ledger in") and last.startswith("studies/big/b: nothing runs")


def test_retry_and_clean_go_through_each_study(campaign):
    assert campaign("retry", "big").out == "a:\nno trial to retry\nb:\nno trial to retry\n"
    said = campaign("clean", "big", "--dry-run")
    assert said.code == 0 and said.out.count("nothing to free") == 2


def test_a_report_of_a_campaign_compares_its_studies(campaign):
    said = campaign("report", "big", "--output", "both.html")
    assert (said.code, said.out) == (0, "both.html\n"), said.everything
    assert "a · b" in (campaign.folder / "both.html").read_text()


OF_ONE = (
    ["show"], ["logs"], ["retry", "big", "7"], ["stop", "big", "--trial", "7"], ["export"], ["confirm"],
    ["clean", "big", "--json"],
)  # fmt: skip


@pytest.mark.parametrize("words", OF_ONE, ids=str)
def test_a_command_about_one_study_says_which_there_are(campaign, words):
    said = campaign(*words, *([] if len(words) > 1 else ["studies/big"]))
    assert said.code == 2, said.everything
    assert "studies/big/a" in said.err and "studies/big/b" in said.err


def test_a_campaign_of_which_nothing_can_start_is_refused_and_nothing_is_written(here):
    here.write("bad.yaml", "base: study.yaml\nstudies: {a: {budget: {trails: 1}}, b: 5}\n")
    before = here.entries
    for command in ("run", "submit"):
        said = here(command, "bad.yaml")
        assert said.code == 2
        assert "a: " in said.err and "did you mean `trials`?" in said.err and "studies.b: must be" in said.err
    assert here.entries == before


def test_no_study_begins_in_a_campaign_s_own_folder(campaign):
    said = campaign("run", "study.yaml", "--dir", "studies/big")
    assert said.code == 2 and "studies/big holds other things and no study" in said.err


def test_the_shell_completes_campaigns_and_their_studies(campaign):
    from outlast.cli.targets.locate import complete_study

    assert complete_study("") == ["studies/big/a", "studies/big/b", "studies/big"]


def test_check_looks_through_each_study_and_says_how_many_can_run(campaign):
    said = campaign("check", "big.yaml", "--trials", "4")
    assert said.code == 2
    assert "a: can run, 4 trials, studies/big/a" in said.out
    assert "wrong: cannot run\n error  big.yaml:2: studies.wrong.budget.trails: unknown key" in said.out
    assert "3 studies: 2 can run; not wrong" in said.out
    assert "outlast run big.yaml --trials 4" in said.out
    facts = json.loads(campaign("check", "big.yaml", "--json").out)
    assert [each["study"] for each in facts["studies"]] == ["a", "b", "wrong"]
    assert "error" in facts["studies"][2] and facts["studies"][0]["findings"]
    assert campaign("check", "study.yaml", "big/a", "--dir", "new").code == 0
