"""`evaluate`: looks at the test set are counted, and none that was cut off counts twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.followup.models import HOW, SEARCH, TEST, best, came_to

from outlast.cli.main import run_cli
from outlast.config.settings import EvaluateSettings
from outlast.core.states import TrialState
from outlast.engine.followup.child import lay_out, the_search
from outlast.engine.followup.evaluate import Evaluation, models_of, plan_evaluation, refitted, take_back
from outlast.engine.followup.looks import evaluation_facts, looks_in
from outlast.engine.followup.refit import plan_refit, superseded, write_refit
from outlast.errors import UsageError

slow = pytest.mark.slow
SECTION = EvaluateSettings(command=("test", "${model}"), metric="test_score")


@pytest.fixture
def here(refitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    shutil.copytree(refitted, place, symlinks=True)
    monkeypatch.chdir(place)
    return place


def score() -> float:
    return round(float(best()[1].partition("=")[2]), 4)


def give_model(trial: int) -> None:
    """Let one of the search's own trials have a model."""
    shutil.copytree(Path(SEARCH, "refit/trials/0000/checkpoints"), Path(SEARCH, f"trials/{trial:04d}/checkpoints"))


def with_model(trial: int) -> Evaluation:
    """A look at the model of one of the search's own trials, which is given one."""
    give_model(trial)
    return plan_evaluation(the_search(SEARCH), SECTION, trial=trial)


def facts() -> dict:
    return json.loads(Path(SEARCH, "evaluate/evaluation.json").read_text())


@slow
def test_a_second_look_is_refused_unless_it_is_asked_for_and_then_it_is_said(here: Path, capsys) -> None:
    assert run_cli(["evaluate"]) == 0
    assert "once" in capsys.readouterr().out
    assert len(Path("looks.txt").read_text().splitlines()) == 2  # a look is at both models of the refit
    assert run_cli(["evaluate"]) == 2
    assert f"test_score = {score():.6g}" in capsys.readouterr().err
    assert len(Path("looks.txt").read_text().splitlines()) == 2
    assert run_cli(["evaluate", "--again"]) == 0
    assert "looked at twice" in capsys.readouterr().out
    assert [look["scores"] for look in facts()["looks"]] == [{"test_score": score()}] * 2
    assert run_cli(["evaluate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["looked"] == 2


@slow
def test_one_that_failed_is_the_same_look_when_it_is_mended(here: Path, capsys) -> None:
    Path("broken").touch()
    assert run_cli(["evaluate"]) == 3
    assert "ValueError: broken" in capsys.readouterr().err
    Path("broken").unlink()
    study = json.loads(Path("study.yaml").read_text())
    Path("study.yaml").write_text(json.dumps({**study, "evaluate": {**HOW, "metric": "other"}}))
    assert run_cli(["evaluate"]) == 3
    assert "test_score" in capsys.readouterr().err  # the names that were seen
    Path("study.yaml").write_text(json.dumps(study))
    assert run_cli(["evaluate"]) == 0
    assert (facts()["looked"], facts()["looks"][0]["look"]) == (1, 1)


@slow
def test_a_look_that_nobody_was_told_of_is_told_and_is_no_new_one(here: Path, capsys) -> None:
    assert run_cli(["evaluate"]) == 0
    said = capsys.readouterr().out
    Path(SEARCH, "evaluate/evaluation.json").unlink()
    assert run_cli(["evaluate", "--again"]) == 0
    assert capsys.readouterr().out == said[said.index("  test set") :]
    assert facts()["looked"] == 1


@slow
def test_that_the_model_is_not_of_the_best_any_more_is_said_before_the_look(here: Path, capsys) -> None:
    assert superseded(the_search(SEARCH), best()[0]) == []
    Path(SEARCH, "confirm").mkdir()
    Path(SEARCH, "confirm/confirmation.json").write_text(json.dumps({"final": True, "best": {"trial": 3}}))
    assert run_cli(["evaluate"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith(f"note trial 3 is the best by now: this is the model of trial {best()[0]}")


def test_a_look_that_was_begun_goes_on_as_the_same(here: Path) -> None:
    plan = plan_evaluation(the_search(SEARCH), SECTION)
    lay_out(plan.followup, plan.wanted)
    again = plan_evaluation(the_search(SEARCH), SECTION)
    assert (again.look, again.retired) == (1, ())
    assert [(w.of, w.seed) for w in again.wanted] == [(w.of, w.seed) for w in plan.wanted]
    lay_out(again.followup, again.wanted)
    assert len(again.followup.study.trials) == 2


def test_what_was_begun_for_a_model_that_was_replaced_is_no_look(here: Path) -> None:
    plan = plan_evaluation(the_search(SEARCH), SECTION)
    lay_out(plan.followup, plan.wanted)
    other = with_model(2)
    assert (other.look, other.retired) == (1, (0, 1))
    take_back(other)
    lay_out(other.followup, other.wanted)
    study = other.followup.study
    assert [len(look.trials) for look in looks_in(study)] == [1]
    assert study.trials[0].state is TrialState.INFEASIBLE


def test_one_that_failed_for_another_model_is_a_look_of_its_own(here: Path) -> None:
    plan = plan_evaluation(the_search(SEARCH), SECTION)
    lay_out(plan.followup, plan.wanted)
    came_to(plan.followup.folder, TrialState.FAILED, 0, 1)
    other = with_model(2)
    assert (other.look, other.retired) == (2, ())
    lay_out(other.followup, other.wanted)
    came_to(plan.followup.folder, TrialState.COMPLETE, 2, values=(0.5,))
    look = evaluation_facts(other.followup.study)["looks"][0]
    assert (look["whole"], [model["trial"] for model in look["models"]]) == (True, [2])


def test_as_json_it_says_the_looks_at_this_model_or_looks(here: Path, capsys) -> None:
    assert run_cli(["evaluate", "--json", "--no-run"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "looked": 0, "looks": []}
    came_to(f"{SEARCH}/evaluate", TrialState.COMPLETE, 0, 1, values=(0.5,))
    assert run_cli(["evaluate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["looked"] == 1
    give_model(2)
    assert run_cli(["evaluate", "--json", "--trial", "2"]) == 2
    assert "looked at before: once" in capsys.readouterr().err


def test_the_refit_is_the_one_asked_for_last(here: Path) -> None:
    search, section = the_search(SEARCH), the_search(SEARCH).settings.refit
    other, same = plan_refit(search, section, trial=2), plan_refit(search, section, seeds=2)
    lay_out(other.followup, other.wanted, accept_changes=True)
    with pytest.raises(UsageError, match="refit of trial 2 is not done"):
        refitted(search)
    came_to(other.followup.folder, TrialState.COMPLETE, 2)
    assert refitted(search)[2][0].of == 2  # whoever ran it wrote no ``refit.json``
    for plan in (other, same):
        write_refit(plan, plan.followup.study)
        assert refitted(search)[2][0].of == plan.chosen.trial
    more = plan_refit(search, section, seeds=3)
    lay_out(more.followup, more.wanted, accept_changes=True)
    with pytest.raises(UsageError, match="is not done") as refused:
        refitted(search)
    assert refused.value.cure == f"outlast refit {SEARCH} --trial {best()[0]} --seeds 3"


def test_it_says_what_is_missing(here: Path) -> None:
    search = the_search(SEARCH)
    with pytest.raises(UsageError, match="does not say how"):
        plan_evaluation(search, EvaluateSettings())
    with pytest.raises(UsageError, match="left no checkpoint") as refused:
        plan_evaluation(search, SECTION, trial=1)
    assert f"outlast refit {SEARCH} --trial 1" in (refused.value.cure or "")
    kept = replace(search.settings, checkpoints=replace(search.settings.checkpoints, keep=1))
    with pytest.raises(UsageError, match=r"`checkpoints\.keep: 1` removed it"):
        models_of(replace(search, settings=kept), 1)
    Path(SEARCH, "refit/trials/0000/checkpoints/last.pkl").unlink()
    with pytest.raises(UsageError) as refused:
        models_of(search)
    assert f"outlast refit {SEARCH} --fresh" in (refused.value.cure or "")
    shutil.rmtree(Path(SEARCH, "refit"))
    with pytest.raises(UsageError, match="nothing was trained for good"):
        plan_evaluation(search, SECTION)


def test_its_study_is_one_that_only_scores(here: Path) -> None:
    settings = plan_evaluation(the_search(SEARCH), SECTION).followup.settings(2)
    assert [(metric.name, metric.goal) for metric in settings.metrics] == [("test_score", "maximize")]
    assert settings.command == ("test", "${model}")
    assert settings.trial.needs_score


@slow
def test_a_score_is_a_look_whatever_becomes_of_its_trial(here: Path) -> None:
    assert run_cli(["evaluate"]) == 0
    study = json.loads(Path("study.yaml").read_text())
    Path("study.yaml").write_text(json.dumps({**study, "evaluate": {**HOW, "metric": "other"}}))
    Path("test.py").write_text(TEST.replace("test_score", "other"))
    assert run_cli(["evaluate", "--again"]) == 0
    assert [list(look["scores"]) for look in facts()["looks"]] == [["test_score"], ["other"]]
    assert run_cli(["retry", f"{SEARCH}/evaluate", "0"]) == 0  # behind the counter's back
    assert run_cli(["run", f"{SEARCH}/evaluate"]) == 0
    assert run_cli(["evaluate", "--json"]) == 0
    assert facts()["looked"] == 3


@slow
def test_one_that_is_run_elsewhere_is_told_of_here(here: Path, capsys) -> None:
    assert run_cli(["evaluate", "--no-run"]) == 0
    assert f"outlast run {SEARCH}/evaluate" in capsys.readouterr().out
    assert not Path("looks.txt").exists()
    assert run_cli(["run", f"{SEARCH}/evaluate"]) == 0
    capsys.readouterr()
    assert run_cli(["evaluate"]) == 0
    assert "looked at once" in capsys.readouterr().out
    assert len(Path("looks.txt").read_text().splitlines()) == 2
