"""A training command without the ``--`` in front of it, a study's own copy of its file, and `check` of a command."""

from __future__ import annotations

import os
import re
import sys

import pytest

from outlast.cli.app import app
from outlast.cli.targets.dashes import _WITH_A_VALUE, without_dashes


@pytest.mark.parametrize(
    ("words", "right"),
    [
        ("run train.py", "outlast run --maximize METRIC -- python train.py\n"),
        ("run sh train.sh", "outlast run --maximize METRIC -- sh train.sh\n"),
        ("run train.sh", "outlast run --maximize METRIC -- bash train.sh\n"),
        ("run sh train.sh --lr 3", "outlast run --maximize METRIC -- sh train.sh --lr 3\n"),
        ("run --minimize loss --trials 3 sh x --lr ~log(1,2)", "outlast run --minimize loss --trials 3 -- sh x --lr '~log(1,2)'"),
        ("init train.py", "outlast init -- python train.py"),
        ("init -o mine.yaml sh train.sh", "outlast init -o mine.yaml -- sh train.sh"),
        ("check ./go", "outlast check --maximize METRIC -- ./go\n"),
        ("submit sh go", "outlast submit --maximize METRIC -- sh go\n"),
    ],
)  # fmt: skip
def test_a_command_without_its_dashes_is_shown_with_them(words: str, right: str, here) -> None:
    here.write("go", "#!/bin/sh\n")
    os.chmod("go", 0o755)
    said = here(*words.split())
    assert said.code == 2
    assert "stands behind a --" in said.err
    assert right.strip() in re.sub(r"\n\s+", "\n", said.err)
    assert not os.path.exists("studies")


@pytest.mark.parametrize(
    "words",
    ["run", "run study.yaml", "run --name sh study.yaml", "run nothing.yaml", "run studies", "run none", "status sh", "check -h"],
)  # fmt: skip
def test_what_is_no_command_is_not_taken_for_one(words: str, here) -> None:
    os.mkdir("studies")
    assert without_dashes(words.split()) is None


def test_every_option_with_a_value_is_known() -> None:
    options = [
        p for name in ("check", "init", "run", "submit") for p in app.commands[name].params if p.opts[0][0] == "-"
    ]
    assert {word for option in options if not option.is_flag for word in option.opts} == _WITH_A_VALUE


def test_a_studys_own_copy_means_the_study(here) -> None:
    assert here("run").code == 0
    again = here("run", "studies/small/study.yaml", "--trials", "3")
    assert again.code == 0, again.everything
    assert "3 of 3" in again.out
    assert os.listdir("studies") == ["small"]
    for words in (["status"], ["show"], ["logs"], ["repair", "--check"]):
        assert here(words[0], "studies/small/study.yaml", *words[1:]).code == 0, words


def test_within_its_folder_a_studys_own_copy_means_the_study(here, monkeypatch: pytest.MonkeyPatch) -> None:
    here("run")
    monkeypatch.chdir("studies/small")
    for words in (["run", "study.yaml"], ["status", "study.yaml"], ["check", "study.yaml"]):
        assert here(*words).code == 0, words
    unnamed = here("run")
    assert unnamed.code == 2
    assert "outlast run ." in unnamed.err
    assert not os.path.exists("studies")


def test_a_studys_own_copy_that_was_edited_is_not_passed_over_in_silence(here) -> None:
    here("run")
    copy = here.folder / "studies/small/study.yaml"
    copy.write_text(copy.read_text().replace("trials: 2", "trials: 9"))
    said = here("run", "studies/small/study.yaml")
    assert said.code == 2
    assert "never read" in said.err
    assert "outlast run studies/small --set KEY=VALUE" in said.err


def test_a_command_can_be_checked_as_it_will_be_run(here) -> None:
    words = ["--maximize", "score", "--trials", "3", "--parallel", "1", "--name", "inline"]
    command = [sys.executable, "train.py", "--x=~float(0,1)"]
    said = here("check", *words, "--smoke", "--limit", "30s", "--", *command)
    assert said.code == 0, said.everything
    assert "studies/inline" in said.out
    assert f"outlast run {' '.join(words)} -- {sys.executable} train.py" in said.out
    assert "--limit" not in said.out
    assert not os.path.exists("studies")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"trial": '{resume_args: ["--resume"]}'}, "a second attempt is given --resume: whether it goes on"),
        ({"command": "python train.py ${args} ${checkpoint_dir}"}, "given ${checkpoint_dir}: whether it goes on"),
        ({}, "an interrupted trial starts over"),
    ],
)
def test_check_promises_no_resume_that_it_has_not_seen(changes: dict[str, str], says: str, here) -> None:
    here.study(**changes)
    assert says in here("check").out
