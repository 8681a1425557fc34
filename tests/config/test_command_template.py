"""The command template: every macro, and what cannot work."""

from __future__ import annotations

import json
import os

import pytest

from outlast.config.command import CommandContext, find_interpreter, render_command, sweep_parameters
from outlast.config.load import settings_from_resolved
from outlast.errors import StudyFileError, UsageError

PARAMS = {"lr": 0.001, "flag": True, "off": False, "opt.name": "sgd", "text": "a b;$HOME"}
STUDY = {
    "name": "s",
    "metric": "maximize acc",
    "parameters": {
        "lr": "log(1e-5, 1e-1)",
        "flag": [True, False],
        "off": [True, False],
        "opt.name": ["sgd", "adam"],
        "text": ["a b;$HOME", "x"],
        "dropout": {"min": 0.0, "max": 1.0, "when": {"opt.name": "adam"}},
        "epochs": 20,
    },
    "budget": {"trials": 5},
}


def study(*command: str, **more):
    return settings_from_resolved({**STUDY, "command": list(command), **more}, "/somewhere")


def render(*command: str, more: dict | None = None, **context) -> list[str]:
    defaults = {"trial": 7, "attempt": 2, "seed": 11, "trial_dir": "/t/7", "checkpoint_dir": "/t/7/checkpoints"}
    return render_command(study(*command, **(more or {})), PARAMS, CommandContext(**{**defaults, **context}))


ARGS = ["--lr=0.001", "--flag=True", "--off=False", "--opt.name=sgd", "--text=a b;$HOME", "--epochs=20"]
HYDRA = [*ARGS[:4], "--text='a b;$HOME'", ARGS[5]]


@pytest.mark.parametrize(
    ("macro", "expected"),
    [
        ("${args}", ARGS),
        ("${args_no_hyphens}", [arg[2:] for arg in ARGS]),
        ("${args_no_equals}", [word for arg in ARGS for word in arg.split("=", 1)]),
        ("${args_no_boolean_flags}", ["--lr=0.001", "--flag", "--opt.name=sgd", "--text=a b;$HOME", "--epochs=20"]),
        ("${args_append_hydra}", [f"+{arg[2:]}" for arg in HYDRA]),
        ("${args_override_hydra}", [f"++{arg[2:]}" for arg in HYDRA]),
        ("${env}", ["/usr/bin/env"]),
        ("${trial}", ["7"]),
        ("${attempt}", ["2"]),
        ("${seed}", ["11"]),
        ("${trial_dir}", ["/t/7"]),
        ("${checkpoint_dir}", ["/t/7/checkpoints"]),
        ("${lr}", ["0.001"]),
        ("${text}", ["a b;$HOME"]),
        ("--out=${trial_dir}/x-${lr}", ["--out=/t/7/x-0.001"]),
        ("$${HOME}", ["${HOME}"]),
        ("plain", ["plain"]),
    ],
)
def test_each_macro_becomes_its_arguments(macro, expected):
    assert render("run", macro) == ["run", *expected]


def test_args_json_is_one_argument_with_nested_parameters():
    assert json.loads(render("run", "${args_json}")[1]) == {
        "lr": 0.001,
        "flag": True,
        "off": False,
        "opt": {"name": "sgd"},
        "text": "a b;$HOME",
        "epochs": 20,
    }


def test_grouped_args_hand_nested_parameters_over_as_one():
    assert "--opt={'name': 'sgd'}" in render("run", "${args:grouped}")


def test_paths_of_the_attempt(monkeypatch):
    assert render("run", "${args_json_file}", args_json_file="/t/a.json") == ["run", "/t/a.json"]
    assert render("run", "--config=${config}", more={"config": "base.yaml"}, config_file="/t/c.yaml") == [
        "run",
        "--config=/t/c.yaml",
    ]
    folds = {"trial": {"folds": {"n": 5}}}
    assert render("run", "${fold}", "${splits}", more=folds, fold=3, splits="/s.json") == ["run", "3", "/s.json"]
    assert render("${interpreter}", interpreter="/usr/bin/python3") == ["/usr/bin/python3"]


def test_environment_variables_come_from_the_study_or_from_outside(monkeypatch):
    monkeypatch.setenv("FROM_OUTSIDE", "o")
    assert render("run", "${envvar:FROM_OUTSIDE}", "x-${envvar:MINE}", more={"env": {"MINE": "m"}}) == [
        "run",
        "o",
        "x-m",
    ]


def test_an_environment_variable_that_is_gone_is_an_error(monkeypatch):
    monkeypatch.delenv("GONE", raising=False)
    with pytest.raises(UsageError, match="GONE"):
        render("run", "${envvar:GONE}")


def test_what_a_macro_became_is_no_flag_of_a_macro_without_a_value():
    more = {"parameters": {"lr": 0.5, "amp": True, "shift": -1}}
    argv = [study(c, "${last_checkpoint}", **more) for c in ("${args_no_boolean_flags}", "${args_no_equals}")]
    context = CommandContext(trial=7, attempt=2, seed=11, trial_dir="/t/7", checkpoint_dir="/t/7/checkpoints")
    assert render_command(argv[0], {}, context) == ["--lr=0.5", "--amp", "--shift=-1"]
    assert render_command(argv[1], {}, context) == ["--lr", "0.5", "--amp", "True", "--shift", "-1"]
    last = study("run", "--shift", "${shift}", "${last_checkpoint}", **more)
    assert render_command(last, {}, context) == ["run", "--shift", "-1"]


def test_args_leave_out_what_is_mentioned_by_itself():
    assert render("run", "--rate", "${lr}", "${args}") == ["run", "--rate", "0.001", *ARGS[1:]]


def test_what_has_no_value_now_is_left_out_with_its_flag():
    assert render("run", "--dropout", "${dropout}", "--d=${dropout}", "--x", "${lr}") == ["run", "--x", "0.001"]
    assert render("run", "--resume", "${last_checkpoint}", "end") == ["run", "end"]
    assert render("run", "--resume", "${last_checkpoint}", last_checkpoint="/c/1") == ["run", "--resume", "/c/1"]
    for item in ("--resume=${last_checkpoint}", "ckpt_path=${last_checkpoint}"):
        assert render("run", item, "end") == ["run", "end"]
        assert render("run", item, last_checkpoint="/c/1") == ["run", item.partition("=")[0] + "=/c/1"]
    assert render("sh", "-c", "train from=${last_checkpoint}") == ["sh", "-c", "train from="]


def test_resume_arguments_come_only_when_there_is_something_to_resume():
    more = {"trial": {"resume_args": ["--resume", "${last_checkpoint}"]}}
    assert render("run", "${lr}", more=more) == ["run", "0.001"]
    assert render("run", "${lr}", more=more, resume=True, last_checkpoint="/c") == ["run", "0.001", "--resume", "/c"]


def test_a_parameter_wins_over_a_macro_of_its_name():
    settings = study("run", "${seed}", parameters={"seed": [1, 2]})
    context = CommandContext(0, 1, 99, "/t", "/c")
    assert render_command(settings, {"seed": 2}, context) == ["run", "2"]
    assert any("is the parameter of that name" in note for note in settings.notes)


def test_values_never_become_shell_text():
    assert render("bash", "-c", 'train "$1"', "_", "${text}") == ["bash", "-c", 'train "$1"', "_", "a b;$HOME"]
    with pytest.raises(StudyFileError, match="run as shell text"):
        study("bash", "-c", "train ${text}")


@pytest.mark.parametrize(
    ("command", "words", "cure"),
    [
        (["run", "${arg}"], "unknown macro `\\$\\{arg\\}`", "`args`"),
        (["run", "${lrr}"], "unknown macro", "`lr`"),
        (["run", "${env:HOME}"], "unknown macro", None),
        (["run", "x${args}"], "must be a whole item", None),
        (["run", "${program}"], "W&B files", None),
        (["run", "${config}"], "needs a base configuration", "config:"),
        (["run", "${fold}"], "needs folds", "folds"),
        (["run", "|", "tee", "log"], "not run by a shell", None),
        (["CUDA_VISIBLE_DEVICES=0", "python"], "is not a program", "env:"),
    ],
)
def test_a_template_that_cannot_work_is_refused(command, words, cure):
    with pytest.raises(StudyFileError, match=words) as caught:
        study(*command)
    assert caught.value.key is not None and caught.value.key.startswith("command")
    if cure:
        assert cure in (caught.value.cure or "")


def test_a_wrong_macro_in_resume_args_is_refused_there():
    with pytest.raises(StudyFileError) as caught:
        study("run", "${args}", trial={"resume_args": ["${last_chekpoint}"]})
    assert caught.value.key == "trial.resume_args[0]" and "last_checkpoint" in (caught.value.cure or "")


def test_a_function_has_no_command():
    settings = settings_from_resolved({**STUDY, "function": "a:b"}, ".")
    with pytest.raises(UsageError, match="no command"):
        render_command(settings, PARAMS, CommandContext(0, 1, 1, "/t", "/c"))


def test_the_sweep_parameter_file_is_wandbs():
    assert sweep_parameters(study("run"), {"lr": 0.1, "opt.name": "sgd"}) == {
        "wandb_version": 1,
        "lr": {"desc": None, "value": 0.1},
        "opt": {"desc": None, "value": {"name": "sgd"}},
        "epochs": {"desc": None, "value": 20},
    }


def test_the_interpreter_is_python_on_the_path_or_python3(tmp_path):
    assert os.path.basename(find_interpreter(str(tmp_path))) == "python3"
    (tmp_path / "python3").write_text("")
    (tmp_path / "python3").chmod(0o755)
    assert find_interpreter(str(tmp_path)) == str(tmp_path / "python3")
    (tmp_path / "python").write_text("")
    (tmp_path / "python").chmod(0o755)
    assert find_interpreter(str(tmp_path)) == str(tmp_path / "python")


HYDRA_STYLE = {"optimizer": ["adam", "sgd"], "optimizer.config.lr": [0.1, 1], "db": "mysql", "db.timeout": 5, "x.y": 1}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("run ${args_no_hyphens}", "optimizer=adam optimizer.config.lr=0.1 db=mysql db.timeout=5 x.y=1"),
        (
            "run db=${db} db.timeout=${db.timeout} ${args}",
            "db=mysql db.timeout=5 --optimizer=adam --optimizer.config.lr=0.1 --x.y=1",
        ),
    ],
)
def test_a_name_is_a_value_and_a_prefix_in_a_flat_command(command, expected):
    settings = study(*command.split(), parameters=HYDRA_STYLE)
    params = {"optimizer": "adam", "optimizer.config.lr": 0.1}
    assert render_command(settings, params, CommandContext(0, 1, 1, "/t", "/c"))[1:] == expected.split()
    held = sweep_parameters(settings, params)
    assert held["db"]["value"] == "mysql" and held["db.timeout"]["value"] == 5 and held["x"]["value"] == {"y": 1}
    again = settings_from_resolved(settings.resolved, ".")
    assert again.parameters == settings.parameters


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"config": "base.yaml"}, "`config:` nests"),
        ({"command": ["run", "${args_json}"]}, r"\$\{args_json\} nests"),
        ({"command": ["run", "--file=${args_json_file}"]}, r"\$\{args_json_file\} nests"),
        ({"command": ["run", "${args:grouped}"]}, r"\$\{args:grouped\} nests"),
    ],
)
def test_a_nested_configuration_that_cannot_hold_both_is_refused(keys, words):
    with pytest.raises(StudyFileError, match=words) as caught:
        settings_from_resolved({**STUDY, "command": ["run"], "parameters": HYDRA_STYLE, **keys}, ".")
    assert caught.value.key == "parameters.optimizer.config.lr"
