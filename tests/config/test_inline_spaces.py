"""Spaces written into the command line."""

from __future__ import annotations

import pytest

from outlast.config.command import CommandContext, render_command
from outlast.config.inline import settings_from_command
from outlast.errors import StudyFileError

CONTEXT = CommandContext(trial=0, attempt=1, seed=1, trial_dir="/t", checkpoint_dir="/c")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(*argv: str, **options):
    options = {"name": None, "metric": ("val_acc", "maximize"), "trials": 20, **options}
    return settings_from_command(argv, **options)


def test_marked_arguments_become_parameters_named_after_their_flags(folder):
    settings = study(
        "python",
        "train.py",
        "--lr",
        "~log(1e-5,1e-1)",
        "--layers",
        "~int(1,4)",
        "--opt=~choice(adam,sgd)",
        "model.dim=~[1, 2]",
    )
    assert settings.name == "train"
    assert [p.name for p in settings.parameters] == ["lr", "layers", "opt", "model.dim"]
    assert settings.budget.trials == 20 and settings.metrics[0].name == "val_acc"
    assert settings.working_directory == str(folder)
    params = {"lr": 0.1, "layers": 2, "opt": "sgd", "model.dim": 1}
    assert render_command(settings, params, CONTEXT) == [
        "python", "train.py", "--lr", "0.1", "--layers", "2", "--opt=sgd", "model.dim=1",
    ]  # fmt: skip


def test_other_arguments_stay_as_they_are_even_with_a_tilde():
    settings = study("python", "train.py", "--lr", "~log(1e-5,1e-1)", "--data=~/data", "~trainer.x", "--note", "a b")
    assert settings.command == ("python", "train.py", "--lr", "${lr}", "--data=~/data", "~trainer.x", "--note", "a b")


def test_the_name_is_the_modules_or_programs_or_given():
    assert study("python", "-m", "package.fit", "--lr", "~int(1,2)").name == "fit"
    assert study("ls", "--lr", "~int(1,2)").name == "ls"
    assert study("ls", "--lr", "~int(1,2)", name="mine").name == "mine"


@pytest.mark.parametrize(
    ("argv", "options", "words"),
    [
        ((), {}, "there is no command"),
        (("python", "train.py"), {}, "no argument is searched"),
        (("python", "train.py", "~int(1,2)"), {}, "has no flag"),
        (("python", "train.py", "--a", "~int(1,2)", "--a=~int(1,2)"), {}, "searched twice"),
        (("python", "train.py", "--a", "~itn(1,2)"), {}, "unknown short form"),
        (("python", "train.py", "--b", "~int(1,2)", "--a", "~int(1,2"), {}, "bracket is not closed"),
        (("python", "train.py", "--b", "~int(1,2)", "--a=~[1, 2"), {}, "bracket is not closed"),
        (("python", "train.py", "--a", "~int(2,1)"), {}, "above max"),
        (("python", "trian.py", "--a", "~int(1,2)"), {}, "does not exist"),
        (("python", "train.py", "--a", "~float(1,2)"), {"trials": None}, "never end"),
        (("python", "train.py", "--a", "~int(1,2)"), {"metric": None}, "says no metric"),
        (("python", "train.py", "--a", "~int(1,2)"), {"trials": 0}, "1 or more"),
        (("python", "train.py", "--a", "~int(1,2)"), {"name": "../x"}, "letters, digits"),
    ],
)
def test_what_cannot_be_a_study_is_refused(argv, options, words):
    with pytest.raises(StudyFileError, match=words):
        study(*argv, **options)
