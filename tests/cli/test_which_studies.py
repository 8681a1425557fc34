"""Which studies a command line means: each with its folder and settings, or with what is wrong with it."""

from __future__ import annotations

import os

import pytest

from outlast.cli.targets.campaign_command import request_of
from outlast.engine.campaign.planned import CampaignPlan
from outlast.engine.hold.opening import open_study
from outlast.errors import StudyFileError, StudyNotFound, UsageError
from outlast.study.campaign import Member, keep_campaign
from outlast.study.layout import StudyPaths

CAMPAIGN = """\
parallel: 3
share: priority
base: study.yaml
studies: {a: {weight: 2, priority: 1}, b: {budget: {trials: 7}}, wrong: {budget: {trails: 1}}}
"""


@pytest.fixture
def folder(here):
    here.write("big.yaml", CAMPAIGN)
    here.write("other.yaml", "extends: study.yaml\n")
    here.write("same.yaml", "extends: study.yaml\nname: small\n")
    here.write("many.yaml", "extends: study.yaml\nmatrix: {kind: [a, b], sampler: [tpe, none-such]}\n")
    return here


def request(*words):
    return request_of(("run", *words))


def plan(*words) -> CampaignPlan:
    found = request(*words).campaign
    assert found is not None
    return found


def places(found: CampaignPlan) -> dict[str, str]:
    return {each.member.study: each.folder for each in found.planned}


def trials(found: CampaignPlan) -> dict[str, int | None]:
    return {each.member.study: each.settings.budget.trials if each.settings else None for each in found.planned}


def begin(folder: str, settings) -> None:
    with open_study(StudyPaths.at(folder), settings):
        pass


def test_studies_of_a_campaign_file_lie_in_the_campaign_s_folder(folder):
    found = plan("big.yaml", "--detach", "--fresh")
    assert found.folder == "studies/big"
    assert places(found) == {name: f"studies/big/{name}" for name in ("a", "b", "wrong")}
    assert [each.member for each in found.startable] == [
        Member("a", "a", 2.0, 1, 2, 2),
        Member("b", "b", parallel=2, target=7),
    ]
    assert found.refused[0].member.target is None
    assert str(found.refused[0].error).startswith("big.yaml:4: studies.wrong.budget.trails: ")
    record = found.campaign
    assert (record.name, record.parallel, record.share) == ("big", 3, "priority")
    assert (record.command, record.working_directory) == (("run", "big.yaml"), "../..")
    assert not os.path.exists("studies")


def test_no_secret_of_a_command_line_is_put_on_record(folder):
    words = [
        "--set",
        "env.API_TOKEN=abc",
        "--set=studies.a.env.DB_PASSWORD=x",
        "--set",
        "env.HF=hf_abcdefghijklmnopqrstuv",
    ]
    found = plan("big.yaml", *words, "--set", "env.SEED=1", "--trials", "3")
    assert found.campaign.command == ("run", "big.yaml", "--set", "env.SEED=1", "--trials", "3")
    assert found.planned[0].settings.env["API_TOKEN"] == "abc"


ADDRESSES = {
    "notify=tgram://123:AAH/9": False,
    "notify.urls=[ntfy://topic]": False,
    "notify.command=[tell, me]": False,
    "notify=${NTFY}": True,
    "notify.urls=['${NTFY}', 'tgram://${BOT}/${CHAT}']": True,
    "notify.what=[end]": True,
}


@pytest.mark.parametrize("word", ADDRESSES)
def test_an_address_of_a_command_line_is_put_on_record_where_the_environment_has_all_of_it(folder, word):
    assert (word in plan("big.yaml", "--set", word).campaign.command) == ADDRESSES[word]


def test_studies_of_files_of_their_own_lie_where_each_would_alone(folder):
    found = plan("study.yaml", "other.yaml", "--parallel", "2", "--trials", "5", "--set", "parallel=1")
    assert (found.folder, found.campaign.parallel) == ("studies/study+other", 2)
    assert places(found) == {"small": "studies/small", "other": "studies/other"}
    assert [each.member.folder for each in found.planned] == ["../small", "../other"]
    assert trials(found) == {"small": 5, "other": 5}
    assert all(each.settings.parallel == 1 for each in found.planned)


def test_with_a_folder_of_its_own_all_of_it_lies_there(folder):
    found = plan("study.yaml", "other.yaml", "--dir", "place", "--name", "n")
    assert (found.folder, found.campaign.name) == ("place", "n")
    assert places(found) == {"small": "place/small", "other": "place/other"}


def test_a_matrix_is_a_campaign_and_one_wrong_combination_hides_no_other(folder):
    found = plan("many.yaml")
    assert [each.member.study for each in found.startable] == ["many-a-tpe", "many-b-tpe"]
    assert [each.member.study for each in found.refused] == ["many-a-none-such", "many-b-none-such"]
    assert found.folder == "studies/many"
    assert places(plan("many.yaml", "study.yaml"))["many-a-tpe"] == "studies/many/many-a-tpe"


def test_one_study_is_no_campaign(folder):
    for words in (["study.yaml"], ["other.yaml", "--parallel", "4"], ["many.yaml", "--set", "matrix=null"]):
        assert request(*words).campaign is None
    assert request("other.yaml", "--parallel", "4").settings.parallel == 4


def test_a_campaign_goes_on_from_its_folder_begun_studies_from_their_records(folder):
    found = plan("big.yaml", "--trials", "5")
    keep_campaign(found.folder, found.campaign)
    begin("studies/big/a", found.planned[0].settings)
    os.rename("study.yaml", "moved.yaml")
    folder.write("big.yaml", CAMPAIGN.replace("study.yaml", "moved.yaml").replace("trails", "trials"))
    again = plan("studies/big", "--parallel", "1")
    assert trials(again) == {"a": 5, "b": 5, "wrong": 5}, "and what was mended is begun"
    assert again.campaign.parallel == 1
    assert again.campaign.command == found.campaign.command
    assert trials(plan("big", "--trials", "9")) == {"a": 9, "b": 9, "wrong": 9}


def test_without_a_record_it_is_the_studies_in_the_folder(folder):
    settings = request("study.yaml").settings
    for name in ("x", "y"):
        begin(f"group/{name}", settings)
    assert places(plan("group")) == {"x": "group/x", "y": "group/y"}
    with pytest.raises(StudyFileError, match="is a directory"):
        _ = request(".").meant


def test_one_study_of_a_campaign_is_meant_by_its_folder_or_its_name(folder):
    found = plan("big.yaml", "--trials", "5")
    keep_campaign(found.folder, found.campaign)
    begin("studies/big/a", found.planned[0].settings)
    for words, trials_of_it in ((["studies/big/a"], 5), (["big/b"], 5), (["b", "--trials", "8"], 8)):
        one = request(*words)
        assert (one.campaign, one.settings.budget.trials) == (None, trials_of_it)
        assert one.folder == f"studies/big/{words[0][-1]}"
    with pytest.raises(StudyFileError, match=r"studies\.wrong\.budget\.trails"):
        _ = request("wrong").settings


def test_a_study_of_several_files_is_named_by_its_campaign_too(folder):
    found = plan("study.yaml", "other.yaml")
    keep_campaign(found.folder, found.campaign)
    assert request("studies/study+other/small").folder == "studies/small"
    keep_campaign("studies/more", found.campaign)
    assert request("other").folder == "studies/other", "the same study twice is one"
    keep_campaign("studies/more", plan("big.yaml").campaign)
    keep_campaign("studies/most", plan("big.yaml").campaign)
    with pytest.raises(UsageError, match="several campaigns here have a study a"):
        _ = request("a").meant


def test_what_was_not_begun_and_is_not_named_any_more_says_what_begins_it(folder):
    found = plan("big.yaml")
    keep_campaign(found.folder, found.campaign)
    folder.write("big.yaml", "base: study.yaml\nstudies: {b: }\n")
    assert str(plan("big").planned[0].error).startswith("a was not begun")
    with pytest.raises(StudyNotFound, match=r"outlast run big\.yaml"):
        _ = request("big/a").meant


@pytest.mark.parametrize("mistake", ["gone", "bad: ["])
def test_studies_that_were_begun_go_on_whatever_became_of_the_campaign_file(folder, mistake):
    found = plan("big.yaml")
    keep_campaign(found.folder, found.campaign)
    begin("studies/big/a", found.planned[0].settings)
    os.remove("big.yaml") if mistake == "gone" else folder.write("big.yaml", mistake)
    again = plan("studies/big")
    assert [each.member.study for each in again.startable] == ["a"]
    assert all(str(each.error).startswith("big.yaml") for each in again.refused)
    assert [each.target for each in again.campaign.members] == [2, 7, None]


def test_a_study_and_its_own_folder_are_the_same(folder):
    begin("studies/small", request("study.yaml").settings)
    with pytest.raises(
        UsageError, match=r"^study\.yaml and studies/small are the same study: studies/small\n  name it once"
    ):
        _ = request("study.yaml", "studies/small").meant


def test_a_study_s_own_limit_is_kept_where_its_folder_is_named(folder):
    begin("studies/small", request("study.yaml").settings)
    begin("studies/big/a", request("study.yaml", "--parallel", "1").settings)  # its part
    assert [each.member.parallel for each in plan("studies/small", "studies/big/a").planned] == [2, 1]
    found = plan("big.yaml")
    keep_campaign(found.folder, found.campaign)
    assert [each.member.parallel for each in plan("studies/small", "studies/big/a").planned] == [2, 2]


REFUSED = {
    "a file that is not there": (["study.yaml", "nope.yaml"], "nope.yaml: does not exist"),
    "a campaign file among others": (["study.yaml", "big.yaml"], "big.yaml is a campaign file"),
    "one study twice": (["study.yaml", "./study.yaml"], "study.yaml and ./study.yaml are the same study: "),
    "two of one name": (["study.yaml", "same.yaml"], "two studies are called small"),
    "a name that leaves its folder": (["study.yaml", "other.yaml", "--name", "../x"], "--name: `../x`"),
    "a change of no study": (
        ["big.yaml", "--set", "studies.c.weight=1"],
        "--set studies.c.weight=1: there is no such study",
    ),
    "a file that is missing altogether": (["nope.yaml"], "nope.yaml: does not exist"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(folder, case):
    words, fact = REFUSED[case]
    before = folder.entries
    with pytest.raises(UsageError) as raised:
        _ = request(*words).meant
    assert str(raised.value).startswith(fact)
    assert folder.entries == before


def test_a_study_s_folder_is_no_campaign_s_and_a_study_that_keeps_nothing_belongs_to_none(folder):
    begin("studies/big", request("study.yaml").settings)
    with pytest.raises(UsageError, match="is the folder of one study"):
        _ = plan("big.yaml")
    found = plan("study.yaml", "other.yaml", "--set", "index.in_memory=true")
    assert found.startable == () and "in_memory" in str(found.refused[0].error)


def test_with_nothing_named_the_only_study_or_campaign_here_is_meant(folder):
    begin("studies/small", request("study.yaml").settings)
    for name in ("study.yaml", "many.yaml"):
        os.rename(name, f"{name}.gone")
    assert (request().settings.name, request().folder) == ("small", "studies/small")
    os.rename("studies/small", "elsewhere")
    os.rename("study.yaml.gone", "base.yaml")
    folder.write("big.yaml", CAMPAIGN.replace("study.yaml", "base.yaml"))
    found = plan("big.yaml")
    keep_campaign(found.folder, found.campaign)
    begin("studies/big/a", found.planned[0].settings)
    assert plan().folder == "studies/big"


def test_files_whose_names_make_no_campaign_s_name_say_how_to_give_one(folder):
    folder.write("zwölf & mehr.yaml", "extends: study.yaml\nname: twelve\n")
    with pytest.raises(UsageError, match="together these are called `other\\+zwölf & mehr`, which is not"):
        plan("other.yaml", "zwölf & mehr.yaml")
    assert set(places(plan("other.yaml", "zwölf & mehr.yaml", "--name", "more"))) == {"other", "twelve"}
