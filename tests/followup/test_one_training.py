"""`refit`: the best trained once more for good; what it is, for how long, and what the same command does again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.followup.models import FOR_GOOD, PYTHON, SEARCH, best

from outlast.cli.main import run_cli
from outlast.config.settings import RefitSettings
from outlast.core.states import TrialState
from outlast.engine.followup.child import Followup, lay_out, the_search
from outlast.engine.followup.refit import choose, overtaken, plan_refit, refit_facts, refuse_other
from outlast.errors import UsageError

slow = pytest.mark.slow


def say_how(refit: dict | None = None, **more) -> None:
    """The study file, edited after the search."""
    study = json.loads(Path("study.yaml").read_text())
    Path("study.yaml").write_text(json.dumps({**study, **({} if refit is None else {"refit": refit}), **more}))
    Path("forgood.py").write_text(FOR_GOOD)


@pytest.fixture
def told(here: Path) -> Path:
    say_how({"command": [*PYTHON, "forgood.py", "${args}", "all"]})
    return here


def facts() -> dict:
    return json.loads(Path(SEARCH, "refit/refit.json").read_text())


@slow
def test_the_best_is_trained_once_and_the_same_command_changes_nothing(told: Path, capsys) -> None:
    before = sorted((Path(SEARCH) / "ledger").iterdir())
    assert run_cli(["refit"]) == 0
    assert Path("audit.txt").read_text() == f"{best()[1]} all\n"
    assert (facts()["trial"], facts()["confirmed"]) == (best()[0], False)
    assert facts()["trainings"][0]["model"] == "trials/0000/checkpoints/last.pkl"
    assert "not confirmed" in capsys.readouterr().out
    assert run_cli(["refit", "study.yaml"]) == 0
    assert len(Path("audit.txt").read_text().splitlines()) == 1
    assert sorted((Path(SEARCH) / "ledger").iterdir()) == before
    assert run_cli(["clean", f"{SEARCH}/refit", "--keep", "0", "--yes"]) == 0
    assert Path(SEARCH, "refit/trials/0000/checkpoints/last.pkl").exists()
    assert run_cli(["run", "study.yaml"]) == 0  # and the search goes on as if nothing had been edited


@slow
def test_one_that_failed_is_tried_again_when_the_study_file_is_mended(told: Path, capsys) -> None:
    Path("broken").touch()
    assert run_cli(["refit", "--trial", str(best()[0]), "--seeds", "1"]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "ValueError: broken" in said and f"then: outlast refit study.yaml --trial {best()[0]} --seeds 1" in said
    Path("broken").unlink()
    say_how({"command": [*PYTHON, "forgood.py", "${args}", "mended"]})
    assert run_cli(["refit"]) == 0
    assert run_cli(["refit"]) == 0  # it was created for another command, and trained with this one
    assert Path("audit.txt").read_text().splitlines() == [f"{best()[1]} all", f"{best()[1]} mended"]
    say_how({"command": [*PYTHON, "forgood.py", "${args}", "all"]})
    assert run_cli(["refit"]) == 2


@slow
def test_another_training_never_passes_for_the_one_that_is_there(told: Path, capsys) -> None:
    assert run_cli(["refit"]) == 0
    say_how({"command": [*PYTHON, "forgood.py", "${args}", "more"]})
    assert run_cli(["refit"]) == 2
    assert "another command" in capsys.readouterr().err
    assert run_cli(["refit", "--fresh"]) == 0
    assert Path("audit.txt").read_text().splitlines() == [f"{best()[1]} all", f"{best()[1]} more"]
    assert run_cli(["refit", "--trial", "2", "--seeds", "2"]) == 0
    assert [each["trial"] for each in facts()["trainings"]] == [1, 2]
    assert len({each["seed"] for each in facts()["trainings"]}) == 2


def test_without_a_section_it_is_the_searchs_own_command_which_is_said(here: Path) -> None:
    search = the_search(SEARCH)
    plan = plan_refit(search, RefitSettings())
    assert plan.followup.settings(1).command == search.settings.command
    assert any("no `refit:`" in line for line in plan.told)
    with_more = plan_refit(search, RefitSettings(arguments=("--all",)))
    assert with_more.followup.settings(1).command == (*(search.settings.command or ()), "--all")


def test_that_the_search_is_not_over_is_said(here: Path) -> None:
    search = the_search(SEARCH)
    assert not any("not over" in line for line in plan_refit(search, RefitSettings()).told)
    search.study.ended = None
    assert any("the search is not over" in line for line in plan_refit(search, RefitSettings()).told)


def test_it_needs_no_score_keeps_its_checkpoints_and_takes_its_time(here: Path) -> None:
    say_how(trial={"timeout": "5m", "seeds": [1, 2]}, checkpoints={"keep": 1}, budget={"trials": 6})
    settings = plan_refit(the_search(SEARCH), RefitSettings()).followup.settings(1)
    assert not settings.trial.needs_score
    assert (settings.trial.timeout, settings.trial.seeds, settings.checkpoints.keep) == (None, (), None)


def test_which_trial_it_is_and_why(here: Path) -> None:
    search = the_search(SEARCH)
    assert choose(search).why.startswith("the best of the search: score = ")
    assert choose(search, 2).why == f"asked for; the best is trial {best()[0]}"
    place = here / SEARCH / "confirm"
    place.mkdir()
    (place / "confirmation.json").write_text(json.dumps({"final": True, "best": {"trial": 3}}))
    assert (choose(search).trial, choose(search).confirmed, choose(search).why) == (3, True, "the confirmed best")
    assert choose(search, 3).confirmed
    with pytest.raises(UsageError, match="there is no trial 99"):
        choose(search, 99)


def test_a_best_that_the_search_found_after_it_was_confirmed_is_told_of(here: Path, capsys) -> None:
    search, place = the_search(SEARCH), here / SEARCH / "confirm"
    assert overtaken(search) is None
    place.mkdir()
    said = {
        "final": True,
        "metric": {"name": "score"},
        "ranking": [{"trial": 3}, {"trial": best()[0]}],
        "verdict": "so",
    }
    said["best"] = {"trial": 3, "n": 1, "mean": 1, "low": 1, "high": 1, "reason": "so"}
    (place / "confirmation.json").write_text(json.dumps(said))
    assert overtaken(search) is None and plan_refit(search, RefitSettings(epochs=1)).told == ()
    assert run_cli(["show", SEARCH, "best"]) == 0
    assert "since" not in capsys.readouterr().out
    (place / "confirmation.json").write_text(json.dumps({**said, "ranking": [{"trial": 3}]}))
    assert plan_refit(search, RefitSettings(epochs=1)).told == (overtaken(search),)
    assert f"trial {best()[0]} since" in (overtaken(search) or "")
    assert run_cli(["show", SEARCH, "best"]) == 0
    assert f"trial {best()[0]} was found since" in capsys.readouterr().out


@slow
def test_a_training_that_left_no_model_names_a_command_that_works(told: Path, capsys) -> None:
    Path("forgood.py").write_text("")
    assert run_cli(["refit"]) == 0
    assert "outlast export study.yaml" in capsys.readouterr().out
    assert run_cli(["export"]) == 0
    Path("forgood.py").write_text(FOR_GOOD)
    assert run_cli(["refit", "--fresh", "study.yaml"]) == 0
    assert "outlast export study.yaml" in capsys.readouterr().out  # nothing says how it is tested


def test_how_long_is_what_the_study_file_says_or_what_the_search_found(here: Path) -> None:
    search = the_search(SEARCH)
    with pytest.raises(UsageError, match="reported no steps"):
        plan_refit(search, RefitSettings(command=("train", "${epochs}")))
    plan = plan_refit(search, RefitSettings(command=("train", "${epochs}"), epochs=7))
    assert [each.told for each in plan.wanted] == [{"epochs": 7}]
    assert plan_refit(search, RefitSettings(command=("train",), epochs=7)).wanted[0].told == {}


def test_one_that_is_not_done_keeps_its_length_and_takes_another_command(here: Path) -> None:
    search = the_search(SEARCH)
    plan = plan_refit(search, RefitSettings(command=("true", "${epochs}"), epochs=20))
    lay_out(plan.followup, plan.wanted)
    study = plan.followup.study
    refuse_other(plan_refit(search, RefitSettings(command=("false", "${epochs}"), epochs=20)), study)
    with pytest.raises(UsageError, match=r"was to be trained again .* epochs: 20 → 5"):
        refuse_other(plan_refit(search, RefitSettings(command=("true", "${epochs}"), epochs=5)), study)


def test_what_was_begun_for_another_trial_and_goes_on_too_is_said(told: Path, capsys) -> None:
    assert run_cli(["refit", "--trial", "2", "--no-run"]) == 0
    assert "goes on too" not in capsys.readouterr().out
    assert run_cli(["refit", "--trial", "3", "--no-run"]) == 0
    assert "trial 2: it was begun before, is not done, and goes on too" in capsys.readouterr().out


def test_a_search_in_folds_says_how_to_train_once(here: Path) -> None:
    study = json.loads(Path("study.yaml").read_text())
    search = the_search(SEARCH)
    command = (*study["command"], "${fold}")
    folded = replace(
        search,
        settings=replace(
            search.settings,
            command=command,
            resolved={**search.settings.resolved, "command": list(command), "trial": {"folds": {"n": 3}}},
        ),
    )
    with pytest.raises(UsageError, match="cannot train once on everything"):
        plan_refit(folded, RefitSettings())
    assert plan_refit(folded, RefitSettings(command=("train", "${args}"))).followup.settings(1).trial.folds is None


def test_its_facts_say_what_is_not_done(here: Path) -> None:
    plan = plan_refit(the_search(SEARCH), RefitSettings(), seeds=2)
    lay_out(plan.followup, plan.wanted)
    study = Followup(the_search(SEARCH), "refit").study
    assert [trial.state for trial in study.trials.values()] == [TrialState.CREATED] * 2
    found = refit_facts(plan, study)
    assert [(each["state"], each["model"]) for each in found["trainings"]] == [("created", None)] * 2
