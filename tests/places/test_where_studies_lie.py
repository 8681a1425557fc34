"""By default a study lies where this platform keeps things, for every command alike; ``--dir`` and a variable say otherwise."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import outlast
from outlast.cli.main import run_cli

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
    from outlast.cli.campaign_request import request_of

    (colab.parent / "study.yaml").write_text(json.dumps(SEVERAL))
    plan = request_of(["run", "study.yaml", "--dir", "out/hpo/{backbone}"]).campaign
    assert plan.folder == "out/hpo" and [each.folder for each in plan.planned] == ["out/hpo/tiny", "out/hpo/small"]
    assert request_of(["run", "study.yaml"]).campaign.folder == str(colab / "studies/ner")
