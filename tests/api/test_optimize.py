"""`outlast.optimize` from plain Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import outlast
from outlast.api import Result
from outlast.engine import launch, objective_identity
from outlast.engine.record.recorded import recorded_settings
from outlast.errors import StudyBusy, StudyFileError, UsageError
from outlast.study.lease import Lease


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def parabola():
    def parabola(trial):
        x = trial.suggest_float("x", -2, 2)
        return x * x

    return parabola


def test_the_same_call_goes_on_with_exactly_the_rest(capsys, parabola):
    first = outlast.optimize(parabola, trials=2, seed=1)
    assert str(first.state) == "done"
    assert [trial.number for trial in first.trials] == [0, 1]
    capsys.readouterr()
    second = outlast.optimize(parabola, trials=4, seed=1)
    out = capsys.readouterr().out
    assert "resuming studies/parabola: 2 complete, 2 to go" in out
    assert "trial 2 complete value=" in out
    assert "trial 1" not in out
    assert len(second.trials) == 4
    assert second.best_value == min(trial.value for trial in second.trials)
    assert Result.of("studies/parabola") == second
    frame = second.trials_dataframe()
    assert frame["value"].min() == second.best_value and (frame["x"] ** 2 - frame["value"]).abs().max() < 1e-9


def test_the_result_is_an_optuna_study_too(here, parabola):
    import optuna

    result = outlast.optimize(parabola, trials=2)
    assert isinstance(result.study, optuna.Study)
    assert result.study.best_params == result.best_params
    assert result.study.study_name == "parabola"
    (here / "home").mkdir()
    (here / "home/live").symlink_to(here / "studies/parabola")
    (here / "studies/parabola/home.json").write_text(json.dumps({"home": str(here / "home")}))
    assert Result.of("home").study.best_params == result.best_params, "it lies where the search ran"


def test_the_result_is_shown_on_one_line(parabola):
    result = outlast.optimize(parabola, trials=1)
    assert repr(result) == f"<outlast.Result studies/parabola: done, 1 trial, best trial 0: {result.best_value:.6g}>"


def test_quiet_prints_nothing(capsys, parabola):
    outlast.optimize(parabola, trials=1, quiet=True)
    assert capsys.readouterr().out == ""


def test_several_objectives_have_a_front_and_no_single_best(capsys):
    def both(trial):
        x = trial.suggest_float("x", 0, 1)
        return x, 1 - x

    result = outlast.optimize(both, trials=3, directions=["minimize", "minimize"])
    assert len(result.best_trials) == 3
    assert "value_1=" in capsys.readouterr().out
    assert len(result.study.best_trials) == 3
    with pytest.raises(UsageError, match="Pareto front"):
        _ = result.best_value


def test_a_function_of_its_parameters():
    result = outlast.optimize(
        lambda lr, layers: lr * layers, trials=2, parameters={"lr": "log(1e-3, 1)", "layers": 2}, direction="maximize",
        name="product",
    )  # fmt: skip
    assert 2e-3 <= result.best_value <= 2
    assert set(result.best_params) == {"lr"}


def test_an_objective_that_always_fails_halts_with_its_traceback(capsys):
    def broken(trial):
        raise ValueError("no such data")

    result = outlast.optimize(broken, trials=20, parallel=1)
    out = capsys.readouterr().out
    assert str(result.state) == "halted"
    assert len(result.trials) == 3
    assert 'raise ValueError("no such data")' in out
    assert "the same call goes on" in out
    with pytest.raises(UsageError, match="no trial has completed"):
        _ = result.best_params


def test_an_interrupt_returns_a_resumable_study(capsys):
    searching = os.getpid()

    def interrupting(trial):
        if not os.path.exists("pressed"):
            open("pressed", "w").close()
            os.kill(searching, signal.SIGINT)
            signal.pause()
        return trial.suggest_float("x", 0, 1)

    result = outlast.optimize(interrupting, trials=3, parallel=1)
    assert str(result.state) == "stopped"
    assert "the same call goes on" in capsys.readouterr().out
    result = outlast.optimize(interrupting, trials=3, parallel=1)
    assert str(result.state) == "done"
    assert [trial.number for trial in result.trials] == [0, 1, 2]


def test_another_objective_of_the_same_name_is_refused(capsys):
    outlast.optimize(lambda trial: trial.suggest_float("x", 0, 1), trials=1)
    outlast.optimize(lambda trial: trial.suggest_float("x", 0, 1), trials=1)
    assert "not the objective" not in capsys.readouterr().out
    with pytest.raises(UsageError, match="another objective: the objective's code is not what it was") as caught:
        outlast.optimize(lambda trial: -trial.suggest_float("x", 0, 1), trials=1)
    assert "name= keeps both" in (caught.value.cure or "")
    outlast.optimize(lambda trial: -trial.suggest_float("x", 0, 1), trials=2, accept_changes=True)
    assert "not the objective of the trials in studies/objective" in capsys.readouterr().out


def test_a_trial_whose_process_crashed_is_tried_again_as_often_as_asked(here):
    def crashing(trial):
        if trial.user_attrs.get("crashed") is None:
            trial.set_user_attr("crashed", True)
            os.abort()
        return trial.suggest_float("x", 0, 1)

    result = outlast.optimize(crashing, trials=1, retries=1, quiet=True)
    assert [(trial.state.value, len(trial.attempts)) for trial in result.trials] == [("complete", 2)]


def test_what_is_drawn_is_what_run_draws(here):
    (here / "study.yaml").write_text(
        "{name: by-run, function: 'shapes:cost', metric: {name: value, goal: minimize}, budget: {trials: 3}, parallel: 1,\n"
        " parameters: {x: {min: 0.0, max: 1.0}, kind: {values: [a, b]}}, sampler: {name: tpe, seed: 5}}\n"
    )
    (here / "shapes.py").write_text("def cost(x, kind):\n    return x + (kind == 'a')\n")
    subprocess.run([sys.executable, "-m", "outlast", "run", "study.yaml"], capture_output=True, check=True, timeout=120)
    by_optimize = outlast.optimize(
        lambda x, kind: x + (kind == "a"), trials=3, parameters={"x": {"min": 0.0, "max": 1.0}, "kind": {"values": ["a", "b"]}},
        sampler="tpe", seed=5, parallel=1, quiet=True,
    )  # fmt: skip
    _, by_run = recorded_settings("studies/by-run")
    assert [trial.params for trial in by_optimize.trials] == [trial.params for trial in by_run.trials.values()]


def test_fresh_sets_the_earlier_study_aside(capsys, here, parabola):
    outlast.optimize(parabola, trials=1)
    result = outlast.optimize(parabola, trials=1, fresh=True)
    assert len(result.trials) == 1
    assert "the earlier study is kept in studies/parabola.2" in capsys.readouterr().out
    assert len(list((here / "studies").iterdir())) == 2


def test_a_changed_space_is_refused_in_the_words_of_python():
    def f(x):
        return x

    outlast.optimize(f, trials=1, parameters={"x": {"min": 0.0, "max": 1.0}})
    with pytest.raises(UsageError, match=r"parameters.x.max: 1.0 → 2.0") as caught:
        outlast.optimize(f, trials=1, parameters={"x": {"min": 0.0, "max": 2.0}})
    assert "accept_changes=True" in (caught.value.cure or "")
    result = outlast.optimize(f, trials=2, parameters={"x": {"min": 0.0, "max": 2.0}}, accept_changes=True)
    assert len(result.trials) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sampler": "tpee"}, r"optimize\(\): sampler: .*unknown"),
        ({"sampler": {"name": "tpe", "sed": 1}}, "tpe has no option sed"),
        ({"name": "../evil"}, r"optimize\(\): name"),
        ({"trials": 0}, r"optimize\(\): budget.trials"),
        ({"parameters": {"x": "lgo(1,2)"}}, "unknown short form"),
        ({"dir": "file"}, "cannot be written"),
    ],
)
def test_a_wrong_argument_is_refused_and_nothing_is_written(arguments, says, here, parabola):
    (here / "file").write_text("")
    with pytest.raises((StudyFileError, UsageError), match=says):
        outlast.optimize(parabola, **{"trials": 1, **arguments})
    assert {entry.name for entry in here.iterdir()} == {"file"}


@pytest.mark.slow
def test_an_objective_from_a_module_beside_the_script_is_found(here):
    (here / "scripts").mkdir()
    (here / "scripts" / "objectives.py").write_text("def f(trial):\n    return trial.suggest_float('x', 0, 1)\n")
    (here / "scripts" / "search.py").write_text(
        "import outlast\nfrom objectives import f\n\nif __name__ == '__main__':\n    print(outlast.optimize(f, trials=2))\n"
    )
    done = subprocess.run([sys.executable, "scripts/search.py"], capture_output=True, text=True, check=False)
    assert "studies/f: done, 2 trials" in done.stdout, done


def test_an_objective_that_another_process_keeps_out_is_not_remembered(parabola, here):
    with Lease(here / "studies" / "parabola" / "lease"), pytest.raises(StudyBusy):
        outlast.optimize(parabola, trials=1, quiet=True)
    assert str(here / "studies" / "parabola") not in objective_identity._here


def test_under_nohup_nobody_is_there_to_make_room(parabola, monkeypatch):
    heard = []

    def run_study(*_, unattended, **__):
        heard.append(unattended)
        raise UsageError("seen")

    monkeypatch.setattr(launch, "run_study", run_study)
    for handler in (signal.SIG_IGN, signal.SIG_DFL):
        before = signal.signal(signal.SIGHUP, handler)
        try:
            with pytest.raises(UsageError, match="seen"):
                outlast.optimize(parabola, trials=1, quiet=True)
        finally:
            signal.signal(signal.SIGHUP, before)
    assert heard == [True, False]
