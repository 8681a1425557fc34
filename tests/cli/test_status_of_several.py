"""`status` of several studies: all that are here, all below a folder, a campaign's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from outlast.study.campaign import Campaign, CampaignPaths, Member, keep_campaign
from outlast.study.supervision import Charge, Post


@pytest.fixture
def two(here):
    assert here("run").code == 0
    shutil.copytree("studies/small", "studies/other")
    return here


def facts(here, *words):
    return json.loads(here("status", *words, "--json").out)


def test_all_that_are_here_are_told_of_without_an_argument(two):
    assert two("status").out == two("status", "studies").out == two("status", "--dir", "studies").out
    said = facts(two)
    assert [(each["study"], each["state"]) for each in said["studies"]] == [("other", "done"), ("small", "done")]
    assert (said["counted"], said["target"], said["share"]) == (4, 4, 1.0)
    assert two("status", "--check").code == 0


def test_one_study_is_told_of_as_ever(two):
    assert facts(two, "small")["counts"]["complete"] == 2
    shutil.rmtree("studies/other")
    assert facts(two)["dir"] == "studies/small"


def test_a_damaged_study_is_a_line_and_the_exit_code_of_a_check(two):
    for name in os.listdir("studies/other/ledger"):
        if name.endswith(".jsonl"):
            with open(f"studies/other/ledger/{name}", "r+b") as file:
                file.write(b"garbage")
    said = two("status")
    assert said.code == 0, said.everything
    assert "2 studies: 1 unreadable, 1 done" in said.out
    assert "other cannot be run: the ledger in" in said.out and "outlast repair" in said.out
    assert two("status", "--check").code == 1
    assert [each.get("error", "")[:10] for each in facts(two)["studies"]] == ["the ledger", ""]


def test_a_campaign_says_its_order_its_slots_and_who_is_missing(two):
    members = (Member("small", "../small", weight=2.0), Member("late", "late"))
    keep_campaign("studies/all", Campaign("both", members, parallel=3))
    said = facts(two, "all")
    assert (said["name"], said["dir"], said["parallel"]) == ("both", "studies/all", 3)
    assert [(each["study"], each["state"]) for each in said["studies"]] == [("small", "done"), ("late", "not begun")]
    assert [each["weight"] for each in said["studies"]] == [2.0, 1.0]
    assert said["next"] == "outlast run studies/all"
    assert two("status", "all", "--check").code == 0
    os.chdir("studies/all")
    assert facts(two)["name"] == "both"


def test_a_study_that_cannot_start_says_what_to_mend_and_what_goes_on_then(two):
    members = (Member("small", "../small", target=2), Member("wrong", "wrong"), Member("late", "late", target=6))
    keep_campaign("studies/all", Campaign("all", members))
    word = "wrong.yaml:2: budget.trails: unknown key\n  did you mean `trials`?"
    with contextlib.closing(Post(CampaignPaths.at("studies/all").supervisor)) as post:
        assert post.take()
        post.write((Charge("wrong", os.path.abspath("studies/all/wrong"), "refused", word=word, code=2),))
    said = facts(two, "all")
    assert [each["state"] for each in said["studies"]] == ["done", "cannot start", "not begun"]
    assert (said["counted"], said["target"], said["share"], said["without"]) == (2, 8, None, ["wrong"])
    assert said["next"] == "outlast run studies/all"
    told = " ".join(two("status", "all").out.split())
    assert "2/8 without wrong" in told
    assert "wrong cannot start: wrong.yaml:2: budget.trails: unknown key did you mean `trials`?" in told


def test_a_folder_without_studies_is_none(here):
    os.mkdir("empty")
    assert here("status", "empty").code == 2
    assert "no study in empty" in here("status", "empty").err


@pytest.mark.parametrize(("words", "studies"), [(["small"], 1), ([], 2)])
def test_numbers_for_a_scraper(words, studies, two):
    said = two("status", *words, "--format", "prometheus")
    assert said.code == 0, said.everything
    complete = [line for line in said.out.splitlines() if line.startswith("outlast_trials{") and "complete" in line]
    assert len(complete) == studies
    assert all(line.endswith('state="complete"} 2') for line in complete)
    assert two("status", *words, "--format", "json").out[:10] == two("status", *words, "--json").out[:10]


def test_two_of_one_name_are_told_apart(two):
    for name, group in (("small", "a"), ("other", "b")):
        os.renames(f"studies/{name}", f"studies/{group}/small")
    assert [each["study"] for each in facts(two, "studies")["studies"]] == ["a/small", "b/small"]


#: Root may read whatever it wants, but for these two capabilities (capabilities(7)); setpriv is part of util-linux.
ORDINARY = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def test_a_study_that_may_not_be_read_hides_no_other(two):
    def seen(folder):
        command = [*ORDINARY, sys.executable, "-m", "outlast", "status", folder, "--json"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(said.stdout)["studies"]

    keep_campaign("studies/all", Campaign("both", (Member("small", "../small"), Member("other", "../other"))))
    os.chmod("studies/other", 0)
    try:
        found, below = seen("studies/all"), seen("studies")
    finally:
        os.chmod("studies/other", 0o700)
    assert [each["state"] for each in found] == ["done", "unreadable"]
    assert "Permission denied" in found[1]["error"]
    assert [each["study"] for each in below] == ["small"]


@pytest.mark.parametrize(
    "words", [["-w", "--json"], ["-w", "--check"], ["-w", "--format", "json"], ["--json", "--format", "prometheus"]]
)
def test_two_answers_at_once_are_refused(words, here):
    said = here("status", *words)
    assert said.code == 2 and words[0] in said.err
