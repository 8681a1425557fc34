"""By default a study lies where this platform keeps things, for every command alike; ``--dir`` and a variable say otherwise."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import outlast
from outlast.cli.main import run_cli
from outlast.cli.targets.locate import by_name
from outlast.config.load import load_study_file
from outlast.core.fold import Study
from outlast.engine.check.stores import store_findings
from outlast.engine.derived.indexes import other_stores

STUDY = {
    "name": "ner", "command": [sys.executable, "-c", "print('score=1')"], "metric": "maximize score",
    "parameters": {"backbone": {"value": "tiny"}, "x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 1},
    "trial": {"needs_score": True},
}  # fmt: skip
SEVERAL = {**STUDY, "parameters": {"x": {"min": 0.0, "max": 1.0}}, "matrix": {"backbone": ["tiny", "small"]}}


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Colab session without Drive, in /content; what stands for it."""
    (tmp_path / "content").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLAST_LOOK_BELOW", str(tmp_path))
    monkeypatch.setenv("COLAB_GPU", "1")
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    return tmp_path / "content"


@pytest.mark.slow
def test_the_next_command_finds_what_the_one_before_began(colab, capsys):
    assert run_cli(["check"]) == 0
    assert "this session only" in " ".join(capsys.readouterr().out.split())
    assert run_cli(["run"]) == 0
    assert "this session only; drive.mount" in " ".join(capsys.readouterr().out.split())
    assert (colab / "studies/ner/ledger").is_dir() and not os.path.exists("studies")
    for words in (["study.yaml"], ["ner"], []):
        capsys.readouterr()
        assert run_cli(["status", *words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["dir"] == str(colab / "studies/ner")
    assert run_cli(["run", "study.yaml", "--dir", "out/{backbone}/{name}"]) == 0
    capsys.readouterr()
    assert run_cli(["status", "study.yaml", "--dir", "out/{backbone}/{name}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dir"] == "out/tiny/ner"


@pytest.mark.slow
def test_an_objective_lies_there_too(colab):
    found = outlast.optimize(lambda trial: trial.suggest_float("x", 0, 1), name="mine", trials=1, quiet=True)
    assert found.dir == str(colab / "studies/mine")


def test_a_misspelt_placeholder_changes_nothing(colab, capsys):
    before = sorted(os.listdir("."))
    assert run_cli(["run", "study.yaml", "--dir", "out/{bakbone}"]) == 2
    assert "did you mean `backbone`?" in capsys.readouterr().err and sorted(os.listdir(".")) == before


def test_each_study_of_a_campaign_lies_where_its_own_value_says(colab):
    from outlast.cli.targets.campaign_command import request_of

    (colab.parent / "study.yaml").write_text(json.dumps(SEVERAL))
    plan = request_of(["run", "study.yaml", "--dir", "out/hpo/{backbone}"]).campaign
    assert plan.folder == "out/hpo" and [each.folder for each in plan.planned] == ["out/hpo/tiny", "out/hpo/small"]
    assert request_of(["run", "study.yaml"]).campaign.folder == str(colab / "studies/ner")


def test_studies_of_one_folder_are_told_so(colab, capsys):
    (colab.parent / "study.yaml").write_text(json.dumps(SEVERAL))
    assert run_cli(["run", "study.yaml", "--dir", "out/{name}/../x"]) == 2
    assert "ner-tiny and ner-small would share one folder: out/" in " ".join(capsys.readouterr().err.split())


def test_a_study_of_before_the_drive_was_mounted_goes_on(colab, monkeypatch, capsys):
    monkeypatch.chdir(colab)
    assert outlast.Study.create(STUDY).dir == str(colab / "studies/ner")
    (colab / "studies/ner/ledger").mkdir(parents=True)
    (colab / "studies/ner/ledger/000001.jsonl").touch()
    (colab / "drive/MyDrive").mkdir(parents=True)
    assert outlast.Study.create(STUDY).dir == "studies/ner" == by_name("ner")
    assert outlast.Study.open("ner").dir == "studies/ner"
    assert outlast.Study.create({**STUDY, "name": "other"}).dir == str(colab / "drive/MyDrive/outlast/studies/other")
    monkeypatch.setenv("OUTLAST_STUDIES", "mine")
    assert outlast.Study.create(STUDY).dir == "mine/ner"


def test_a_store_on_the_drive_is_left_out_and_that_is_said(colab):
    (colab / "drive/MyDrive").mkdir(parents=True)
    store = str(colab / "drive/MyDrive/all.db")
    settings, told = load_study(colab.parent, index=store), []
    assert other_stores(colab / "study.db", settings, Study(), None, told) == []
    assert "mounted drive" in told[0] and "only the folder's own study.db is written" in told[0]
    (finding,) = store_findings(settings, str(colab / "ner"))
    assert finding.level == "note" and "verified copy" in finding.cure and not os.path.exists(store)
    assert other_stores(colab / "study.db", load_study(colab.parent, index=str(colab / "all.db")), Study(), None, [])


def load_study(folder, **keys):
    (folder / "study.yaml").write_text(json.dumps({**STUDY, **keys}))
    return load_study_file(folder / "study.yaml")
