"""A follow-up of a search as a study: its trials, its study file, and what other commands make of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import outlast
from outlast.cli.main import run_cli
from outlast.config.load import settings_from_resolved
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.engine.coordinator.listener import Saying
from outlast.engine.followup.child import Followup, Search, lay_out, run_followup, the_search
from outlast.errors import UsageError
from outlast.study.segments import read_ledger

SEARCH = "studies/small"
slow = pytest.mark.slow


def laid_out(*seeds: int, of: int = 0) -> Followup:
    search = the_search(SEARCH)
    followup = Followup(search, "confirm")
    lay_out(followup, [search.repetition(of, seed) for seed in seeds])
    return followup


def run(followup: Followup, *seeds: int, of: int = 0) -> Study:
    wanted = [followup.search.repetition(of, seed) for seed in seeds]
    return run_followup(
        followup, wanted, lambda _opened, _slots: Saying(lambda _: None), tell=lambda *_: None, say=lambda _: None
    )[0]


def test_its_trials_are_there_before_it_is_run_in_one_record(here: Path) -> None:
    before = {path: path.read_bytes() for path in (here / SEARCH).rglob("*") if path.is_file()}
    study = laid_out(11, 12).study
    assert [(t.of, t.seed, t.params, t.source) for t in study.trials.values()] == [
        (0, 11, {"x": 0.3}, "confirm"),
        (0, 12, {"x": 0.3}, "confirm"),
    ]
    lines = [line for segment in read_ledger(here / SEARCH / "confirm/ledger").segments for line in segment.lines]
    assert [len(line["events"]) for line in lines if "events" in line] == [6]
    assert all(path.read_bytes() == content for path, content in before.items())


@slow
def test_what_is_there_is_left_as_it_is_and_the_rest_is_run(here: Path) -> None:
    followup = laid_out(11)
    assert len(run(followup, 11, 12).in_state(TrialState.COMPLETE)) == 2
    assert sorted(Path("audit.txt").read_text().split("\n")) == ["", "0.3 11 ", "0.3 12 "]
    run(followup, 13, of=1)
    assert [trial.of for trial in followup.study.trials.values()] == [0, 0, 1]
    assert len(Path("audit.txt").read_text().splitlines()) == 3


@slow
def test_it_is_run_looked_at_retried_and_cleaned_like_any_study_wherever_it_is_moved(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laid_out(11, 12)
    shutil.move(here, here.with_name("moved"))
    os.chdir(here.with_name("moved"))
    assert run_cli(["run", f"{SEARCH}/confirm"]) == 0
    assert len(Path("audit.txt").read_text().splitlines()) == 2
    for command in (["status", f"{SEARCH}/confirm"], ["show", f"{SEARCH}/confirm"], ["logs", f"{SEARCH}/confirm", "1"],
                    ["status"], ["clean"], ["repair", "--check"], ["show", "best"]):  # fmt: skip
        assert run_cli(command) == 0, command
    assert run_cli(["retry", f"{SEARCH}/confirm", "1"]) == 0
    assert run_cli(["run", f"{SEARCH}/confirm"]) == 0
    assert len(Path("audit.txt").read_text().splitlines()) == 3
    capsys.readouterr()
    assert run_cli(["run", "study.yaml", "--fresh"]) == 0
    assert not Path(SEARCH, "confirm").exists()


def test_a_follow_up_has_none_of_its_own(here: Path) -> None:
    laid_out(11)
    with pytest.raises(UsageError, match="a follow-up of a search, not a search"):
        the_search(f"{SEARCH}/confirm")


@slow
@slow
def test_it_has_the_secrets_of_the_search_or_is_not_begun(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "")  # and what the command puts there ends with the test
    monkeypatch.delenv("API_TOKEN")
    study = json.loads(Path("study.yaml").read_text())
    Path("study.yaml").write_text(json.dumps({**study, "env": {"API_TOKEN": "correct-horse"}, "budget": {"trials": 6}}))
    Path("train.py").write_text(Path("train.py").read_text() + "os.environ['API_TOKEN']\n")
    assert run_cli(["run", "study.yaml"]) == 0
    assert run_cli(["confirm", SEARCH]) == 2 and not Path(SEARCH, "confirm").exists()
    assert run_cli(["confirm", "study.yaml", "--top", "1", "--seeds", "1"]) == 0


def test_another_training_is_refused_and_another_range_is_not(here: Path) -> None:
    run(laid_out(11), 11)
    study = json.loads(Path("study.yaml").read_text())
    wider = {**study, "parameters": {"x": {"min": -1.0, "max": 1.0}}, "budget": {"trials": 6}}
    Path("study.yaml").write_text(json.dumps(wider))
    assert run_cli(["run", "study.yaml", "--accept-changes"]) == 0
    assert len(run(Followup(the_search(SEARCH), "confirm"), 11, 12).in_state(TrialState.COMPLETE)) == 2
    Path("study.yaml").write_text(json.dumps({**wider, "command": [*study["command"], "--more"]}))
    assert run_cli(["run", "study.yaml", "--accept-changes", "--trials", "7"]) == 0
    with pytest.raises(UsageError, match=r"was begun when the search was run otherwise:\n    command"):
        run(Followup(the_search(SEARCH), "confirm"), 11, 12, 13)
    again = Followup(the_search(SEARCH), "confirm")
    lay_out(again, [again.search.repetition(0, 13)], fresh=True, say=lambda _: None)
    assert [trial.seed for trial in again.study.trials.values()] == [13]


def test_it_is_the_search_without_what_draws_and_gives_up(tmp_path: Path) -> None:
    resolved = {
        "name": "n" * 100, "command": ["python", "train.py"], "metric": [{"name": "a", "goal": "maximize", "target": 1.0}],
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 5, "time": "1h", "max_failures": 2},
        "sampler": "tpe", "pruner": "median", "constraints": ["x > 0.1"], "enqueue": [{"x": 0.5}], "derive": "m:f",
        "trial": {"seeds": [1, 2], "folds": {"n": 3}, "retries": 2}, "checkpoints": {"dir": "ck", "keep": 1},
        "faults": {"interrupted": "new"}, "index": {"auto_resume": False}, "env": {"A": "1"}, "parallel": 3,
    }  # fmt: skip
    settings = settings_from_resolved(resolved, str(tmp_path))
    search = Search(str(tmp_path / "s"), settings, Study(study_seed=7))
    assert Followup(search, "confirm", {"trial": {"retries": None, "timeout": "1m"}}).settings(4).resolved == {
        "name": "n" * 92 + "-confirm", "command": ["python", "train.py"], "metric": {"name": "a", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": 4, "count": ["complete", "pruned", "failed", "infeasible"]},
        "sampler": "random", "trial": {"folds": {"n": 3, "seed": 7}, "timeout": "1m"},
        "checkpoints": {"dir": "ck", "keep": 1}, "env": {"A": "1"}, "parallel": 3, "code": "live",
    }  # fmt: skip


@slow
def test_an_objective_that_draws_as_it_goes_draws_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def parabola(trial):
        x = trial.suggest_float("x", -2, 2)
        return x * x + (trial.suggest_int("n", 1, 5) if x > 0 else 0)

    outlast.optimize(parabola, trials=2, seed=1, quiet=True)
    search = the_search("studies/parabola")
    followup = Followup(search, "confirm")
    study = run(followup, 5, of=1)
    assert [t.state for t in study.trials.values()] == [TrialState.COMPLETE]
    assert study.trials[0].params == search.study.trials[1].params
    assert study.trials[0].values == search.study.trials[1].values


@slow
def test_constants_and_derived_values_are_those_that_its_trial_had(here: Path) -> None:
    study = json.loads(Path("study.yaml").read_text())
    for depth, trials in ((1, 6), (2, 7)):
        changed = {**study, "parameters": {**study["parameters"], "depth": {"value": depth}}}
        Path("study.yaml").write_text(json.dumps({**changed, "budget": {"trials": trials}}))
        assert run_cli(["run", "study.yaml", "--accept-changes"]) == 0
    search = the_search(SEARCH)
    assert dict(search.repetition(5, 1).derived) == {"depth": 1}
    assert dict(search.repetition(6, 1, model="there").derived) == {"model": "there"}


@slow
def test_it_runs_from_the_copy_of_the_code_that_the_search_ran_from(here: Path) -> None:
    Path(".gitignore").write_text("studies/\naudit.txt\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], check=True)
    study = json.loads(Path("study.yaml").read_text())
    changed = {**study, "name": "copied", "code": "snapshot", "budget": {"trials": 1}, "checkpoints": {"dir": "ck"}}
    Path("study.yaml").write_text(json.dumps(changed))
    assert run_cli(["run", "study.yaml"]) == 0
    Path("train.py").write_text("raise SystemExit(1)\n")
    search = the_search("studies/copied")
    study_now = run(Followup(search, "confirm"), 5)
    assert [trial.state for trial in study_now.trials.values()] == [TrialState.COMPLETE]
    assert Path("ck/copied").is_dir() and Path("ck/copied-confirm").is_dir()
    assert study_now.last_run is not None and not os.path.isabs(study_now.last_run.working_directory)


@slow
def test_that_of_a_search_on_scratch_lies_at_its_home_and_runs_on_scratch(here: Path) -> None:
    study = json.loads(Path("study.yaml").read_text())
    scratch = here.with_name("scratch")
    changed = {**study, "name": "far", "slurm": {"scratch": str(scratch)}, "budget": {"trials": 1}}
    Path("study.yaml").write_text(json.dumps(changed))
    assert run_cli(["run", "study.yaml"]) == 0
    assert run_cli(["confirm", "studies/far", "--top", "1", "--seeds", "2"]) == 0
    home = Path("studies/far/confirm")
    live = Path(os.readlink(home / "live"))
    assert live.parent == scratch and (live / "ledger").is_dir() and (home / "ledger").is_dir()
    assert json.loads((home / "confirmation.json").read_text())["final"]
    shutil.rmtree(scratch)
    assert run_cli(["run", "study.yaml", "--trials", "2"]) == 0
    assert run_cli(["confirm", "studies/far", "--top", "1", "--seeds", "3"]) == 0
    assert len(Followup(the_search(os.readlink("studies/far/live")), "confirm").study.trials) >= 3
    assert not any((Path(os.readlink("studies/far/live")) / name).exists() for name in ("confirm", "refit"))
