"""The command by which a trial is run without Outlast: a shell reads it as the words that the trial was given."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from outlast.config.settings import OBJECTIVE, MetricSettings, Settings, TrialSettings
from outlast.core.records import Trial
from outlast.engine.attempts.by_hand import command_by_hand
from outlast.space.distributions import Latent
from outlast.space.parameters import Parameter

PARAMETERS = (
    Parameter("lr", "uniform", Latent("float")),
    Parameter("name", "categorical", Latent("categorical", choices=("a b", "it's $HOME"))),
    Parameter("epochs", "constant", value=3),
)
SHOW = "import sys; print('|'.join(sys.argv[1:]))"


def by_hand(*words: str, values: dict[str, Any] | None = None, **given: Any) -> str | None:
    settings = Settings(
        name="s", command=(sys.executable, "-c", SHOW, *words), parameters=PARAMETERS, metrics=(MetricSettings(name="a"),),
        **{"working_directory": os.getcwd(), **given},
    )  # fmt: skip
    return command_by_hand(settings, Trial(7, seed=5), values or {"lr": 0.5, "name": "it's $HOME"})


def said(command: str | None, **environment: str) -> str:
    assert command is not None
    done = subprocess.run(
        ["bash", "-c", command], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_secret_that_only_the_running_study_has_is_not_shown():
    command = by_hand(
        "x", env={"API_TOKEN": "of-mine", "DEPTH": "3"}, resolved={"env": {"API_TOKEN": "***", "DEPTH": "3"}}
    )
    assert command is not None and command.startswith("DEPTH=3 ") and "of-mine" not in command


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["${args}"], "--lr=0.5|--name=it's $HOME|--epochs=3"),
        (["--seed", "${seed}", "${trial}"], "--seed|5|7"),
        (["--out", "${checkpoint_dir}"], "--out|by-hand/0007/checkpoints"),
        (["--from", "${last_checkpoint}", "x"], "x"),
        (["a${envvar:KEY}b $`", "$${lr}"], 'asecret "b $`|${lr}'),
    ],
)
def test_a_shell_reads_what_the_training_was_given(words: list[str], argv: str) -> None:
    command = by_hand(*words)
    assert command is not None and "secret" not in command
    assert said(command, KEY='secret "') == argv


def test_it_begins_anew_in_the_directory_and_with_the_variables_of_the_training(tmp_path: Any) -> None:
    command = by_hand(
        "${envvar:DEPTH}", working_directory=str(tmp_path), trial=TrialSettings(resume_args=("--resume",)),
        env={"DEPTH": "3 4", "TOKEN": "***"},
    )  # fmt: skip
    assert command is not None and command.startswith(f"cd {os.path.relpath(tmp_path)} && DEPTH='3 4' ")
    assert "--resume" not in command and "TOKEN" not in command


def test_for_where_the_training_runs_there_is_no_way_to_go(tmp_path: Any) -> None:
    settings = Settings(
        name="s", command=("python", "a.py"), metrics=(MetricSettings(name="a"),), working_directory=str(tmp_path)
    )
    assert command_by_hand(settings, Trial(0), {}, start=str(tmp_path)) == "python a.py"


def test_a_function_is_called_as_a_trial_calls_it(tmp_path: Any) -> None:
    (tmp_path / "mine.py").write_text("def f(lr, name, epochs):\n    return f'{lr} {name} {epochs}'\n")
    settings = Settings(
        name="s",
        function="mine:f",
        parameters=PARAMETERS,
        metrics=(MetricSettings(name="a"),),
        working_directory=str(tmp_path),
    )
    command = command_by_hand(settings, Trial(0), {"lr": 0.5, "name": "it's"})
    assert command is not None
    assert said(command.replace("python -c", f"{sys.executable} -c")) == "0.5 it's 3"


def test_an_objective_that_was_handed_over_is_called_in_python() -> None:
    settings = Settings(name="s", function=OBJECTIVE, metrics=(MetricSettings(name="a"),))
    assert command_by_hand(settings, Trial(0), {"x": 0.5}) == "objective(optuna.trial.FixedTrial({'x': 0.5}))"
