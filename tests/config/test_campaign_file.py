"""Campaign files: what each study is, and what is wrong with one of them is said of that one."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outlast.config.campaign_file import CampaignFile, load_search, studies_in
from outlast.config.schema import json_schema
from outlast.config.settings import Settings
from outlast.errors import StudyFileError

BASE = """\
name: base
command: python train.py ${args}
metric: maximize f1
parameters:
  lr: log(1e-5, 1e-1)
budget: {trials: 10}
"""
SWEEP = """\
method: random
program: train.py
metric: {name: f1, goal: maximize}
parameters: {x: {values: [1, 2]}}
run_cap: 2
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "criteria.yaml").write_text("extends: base.yaml\nname: other\nbudget: {trials: 3}\n")
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)

    def read(text: str, *changes: str, path: str = "maximal.yaml", **more: Any) -> Any:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        return load_search(path, changes=changes, **more)

    return read


def named(campaign: CampaignFile) -> dict[str, Any]:
    return {each.name: each for each in campaign.studies}


def trials(campaign: CampaignFile) -> dict[str, int | None]:
    return {each.name: each.settings.budget.trials if each.settings else None for each in campaign.studies}


# -- what it says -----------------------------------------------------------------------------------------------------


def test_studies_are_files_or_keys_over_a_shared_base(read):
    campaign = read(
        "parallel: 4\nshare: priority\nnotify: {urls: ['json://localhost']}\nbase: base.yaml\nstudies:\n"
        "  criteria: criteria.yaml\n  joint: {budget: {trials: 600}, parameters: {model: [a, b]}, weight: 2, priority: 1}\n"
        "  evidence: {extends: criteria.yaml, weight: 0.5}\n  bare:\n"
    )
    assert (campaign.name, campaign.parallel, campaign.share) == ("maximal", 4, "priority")
    assert campaign.notify.urls == ("json://localhost",)
    assert trials(campaign) == {"criteria": 3, "joint": 600, "evidence": 3, "bare": 10}
    assert [(each.weight, each.priority) for each in campaign.studies] == [(1, 0), (2, 1), (0.5, 0), (1, 0)]
    assert [p.name for p in named(campaign)["joint"].settings.parameters] == ["lr", "model"]
    assert all(each.settings.name == each.name for each in campaign.studies)


def test_a_list_names_files_by_themselves_and_keys_by_name(read):
    campaign = read("base: base.yaml\nstudies: [criteria.yaml, {name: joint, sampler: random}]\n")
    assert trials(campaign) == {"other": 3, "joint": 10}
    assert named(campaign)["joint"].settings.sampler.name == "random"


def test_a_base_of_keys_may_extend_and_hands_down_no_name(read):
    campaign = read(
        "name: big\nbase: {extends: base.yaml, name: no, sampler: random}\nstudies: {a: , b: {sampler: tpe}}\n"
    )
    assert campaign.name == "big"
    assert {each.name: each.settings.sampler.name for each in campaign.studies} == {"a": "random", "b": "tpe"}


def test_a_matrix_makes_each_study_once_for_each_combination(read):
    campaign = read(
        "base: base.yaml\nmatrix: {model: [m, n], lr: [0.1]}\nstudies: {a: {weight: 3}, b: {matrix: null}}\n"
    )
    assert [each.name for each in campaign.studies] == ["a-m-0.1", "a-n-0.1", "b"]
    assert [each.weight for each in campaign.studies] == [3, 3, 1]


def test_a_study_file_with_a_matrix_is_a_campaign_and_one_combination_is_a_study(read):
    campaign = read("extends: base.yaml\nname: m\nmatrix: {kind: [a, b]}\n", parallel=3)
    assert (campaign.name, campaign.parallel, list(named(campaign))) == ("m", 3, ["m-a", "m-b"])
    assert all(each.settings.parallel == "auto" for each in campaign.studies)
    one = read("extends: base.yaml\nmatrix: {kind: [a]}\n", parallel=3)
    assert isinstance(one, Settings) and (one.name, one.parallel) == ("maximal-a", 3)


def test_other_dialects_are_members_and_bases(read):
    campaign = read("base: base.yaml\nstudies: {sweep: sweep.yaml}\n")
    assert trials(campaign) == {"sweep": 2}
    campaign = read("base: sweep.yaml\nstudies: {more: {run_cap: 7}, ours: {budget: {trials: 5}}}\n")
    assert trials(campaign) == {"more": 7, "ours": 5}


def test_each_study_runs_where_its_own_file_says(read, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "s.yaml").write_text(BASE)
    (tmp_path / "sub" / "train.py").write_text("")
    campaign = read("base: {extends: base.yaml}\nstudies: {s: sub/s.yaml, inline: {}}\n")
    starts = {each.name: each.settings.working_directory for each in campaign.studies}
    assert starts == {"s": str(tmp_path / "sub"), "inline": str(tmp_path)}


# -- the command line -------------------------------------------------------------------------------------------------


def test_a_change_is_of_all_of_one_or_of_the_campaign(read):
    campaign = read(
        "base: base.yaml\nstudies: {a: , b: {weight: 2}}\n",
        "budget.trials=5", "studies.b.budget.trials=6", "studies.b.weight=4", "share=together", "parallel=7",
    )  # fmt: skip
    assert trials(campaign) == {"a": 5, "b": 6}
    assert (named(campaign)["b"].weight, campaign.share, campaign.parallel) == (4, "together", 7)
    assert read("base: base.yaml\nstudies: {a: }\n", name="n", parallel=2, metric=("g", "minimize")).name == "n"


def test_a_change_of_a_study_that_is_not_there_is_refused(read):
    with pytest.raises(
        StudyFileError, match=r"--set studies.bb.weight=1: there is no such study[^$]*did you mean `b`"
    ) as raised:
        read("base: base.yaml\nstudies: {a: , b: }\n", "studies.bb.weight=1")
    assert raised.value.cure


@pytest.mark.parametrize(
    "text", ["studies: [criteria.yaml]", "matrix: {sampler: [tpe, random]}\nstudies: [criteria.yaml]"]
)
def test_studies_that_a_change_may_name_are_listed_as_a_change_names_them(read, text):
    """The file `criteria.yaml` says that its study is called `other`; a matrix puts its values behind that."""
    with pytest.raises(StudyFileError, match=r"the campaign file has: criteria$"):
        read(text, "studies.nothing.weight=2")
    assert named(read("studies: [criteria.yaml]", "studies.criteria.weight=2"))["other"].weight == 2


def test_no_file_of_a_list_is_called_as_a_file_of_the_campaign_s_folder(read, tmp_path):
    (tmp_path / "slots.yaml").write_text("extends: base.yaml\n")
    with pytest.raises(StudyFileError, match=r"maximal\.yaml:1: studies\[0\]: `slots` is a file of the campaign's own"):
        read("studies: [slots.yaml]")
    (tmp_path / "slots.yaml").write_text("extends: base.yaml\nname: places\n")
    assert list(named(read("studies: [slots.yaml]"))) == ["places"]


# -- what is wrong ----------------------------------------------------------------------------------------------------

WRONG_STUDY = {
    "an unknown key inside": ("{budget: {trails: 5}}", "maximal.yaml:4: studies.b.budget.trails: ", "did you mean `trials`?"),
    "a misspelt weight": ("{weigth: 2}", "maximal.yaml:4: studies.b.weigth: unknown key", "did you mean `weight`?"),
    "no weight at all": ("{weight: 0}", "maximal.yaml:4: studies.b.weight: ", ""),
    "half a priority": ("{priority: 0.5}", "maximal.yaml:4: studies.b.priority: ", ""),
    "a missing file": ("critera.yaml", "maximal.yaml:4: studies.b: `critera.yaml` does not exist", "`criteria.yaml`"),
    "a missing base": ("{extends: no.yaml}", "maximal.yaml:4: studies.b.extends: `no.yaml` does not exist", ""),
    "a number": ("5", "maximal.yaml:4: studies.b: must be a study file's path, or its keys, not 5", ""),
    "itself": ("maximal.yaml", "maximal.yaml:2: studies: is a campaign's", ""),
    "its base's mistake": ("{extends: bad.yaml}", "bad.yaml:1: budget.trails: ", "did you mean `trials`?"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_STUDY)
def test_what_is_wrong_with_one_study_is_said_of_it_and_the_others_are_read(read, tmp_path, case):
    text, place, cure = WRONG_STUDY[case]
    (tmp_path / "bad.yaml").write_text("budget: {trails: 1}\n")
    campaign = read(f"base: base.yaml\nstudies:\n  a: criteria.yaml\n  b: {text}\n  c:\n")
    assert trials(campaign) == {"a": 3, "b": None, "c": 10}
    assert str(named(campaign)["b"].error).startswith(place)
    assert cure in str(named(campaign)["b"].error)


WRONG = {
    "an unknown key": ("base: base.yaml\nshar: weight\nstudies: {a: }\n", "maximal.yaml:2: shar: unknown key", "`share`"),
    "a study's key": ("metric: f1\nstudies: {a: }\n", "maximal.yaml:1: metric: unknown key", "below `base:`"),
    "an unknown share": ("share: fair\nstudies: {a: }\n", "maximal.yaml:1: share: ", "weight, priority"),
    "no slots": ("parallel: 0\nstudies: {a: }\n", "maximal.yaml:1: parallel: ", ""),
    "no studies": ("studies: {}\n", "maximal.yaml:1: studies: must not be empty", ""),
    "a hidden name": ("studies: {.a: }\n", "maximal.yaml:1: studies..a: ", "not beginning with ."),
    "a file's name": ("studies:\n  slots:\n", "maximal.yaml:2: studies.slots: ", "none of campaign.json"),
    "no name in a list": ("studies: [{weight: 1}]\n", "maximal.yaml:1: studies[0]: needs `name`", ""),
    "a file's name in a list": ("studies: [{name: slots}]\n", "maximal.yaml:1: studies[0].name: ", ""),
    "one name twice": ("base: base.yaml\nstudies:\n- {name: a}\n- {name: a}\n", "maximal.yaml:4: studies[1]: there is a", ""),
    "a missing base": ("base: bse.yaml\nstudies: {a: }\n", "maximal.yaml:1: base: `bse.yaml` does not exist", "`base.yaml`"),
    "a base that is a list": ("base: [a]\nstudies: {a: }\n", "maximal.yaml:1: base: must be a study file's path", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_the_campaign_is_refused_with_line_and_key(read, case):
    text, place, words = WRONG[case]
    with pytest.raises(StudyFileError) as raised:
        read(text)
    assert str(raised.value).startswith(place)
    assert words in str(raised.value)


def test_a_broken_file_among_several_is_one_study_with_its_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.yaml").write_text("budget: [")
    (found,) = studies_in("a b.yaml")
    assert found.name == "a-b" and str(found.error).startswith("a b.yaml:1: not YAML")


GARBAGE = st.sampled_from(
    [None, True, 0, -1, 2, 0.5, "", "auto", "base.yaml", "no.yaml", "a b", [], [1], ["base.yaml"], {}, {"name": "a"},
     {"matrix": {"lr": [1]}}, {"lr": [0.1, 0.2]}, {"budget": {"trials": 2}}, {"weight": 2}, {"studies": {"a": None}}]
)  # fmt: skip
FILES = st.fixed_dictionaries(
    {
        "studies": st.one_of(
            st.dictionaries(st.sampled_from(["a", "b", "slots", ".x", "c.d"]), GARBAGE), st.lists(GARBAGE)
        )
    },
    optional=dict.fromkeys(
        ("name", "parallel", "share", "notify", "base", "matrix", "description", "budget", "x"), GARBAGE
    ),
)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=FILES)
def test_every_file_is_read_or_refused_with_line_and_key(read, data):
    try:
        campaign = read(json.dumps(copy.deepcopy(data), indent=1))
    except StudyFileError as error:
        assert error.file and error.line and error.key, str(error)
        return
    assert campaign.studies
    for each in campaign.studies:
        assert (each.settings is None) != (each.error is None)
        if isinstance(each.error, StudyFileError):
            assert each.error.file and each.error.line and (each.error.key or each.error.file != "maximal.yaml"), str(
                each.error
            )
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(data) or any(each.error for each in campaign.studies)
