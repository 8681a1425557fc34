"""`refit:` and `evaluate:` of a study file: what they take, and the macros that only their commands know."""

from __future__ import annotations

import pytest
from msgspec.structs import asdict

from outlast.config.command import CommandContext, render_command
from outlast.config.load import settings_from_resolved
from outlast.config.native import read
from outlast.config.revisions import compare
from outlast.config.settings import EvaluateSettings, MetricSettings, RefitSettings
from outlast.config.yaml import Document
from outlast.errors import StudyFileError

STUDY = {
    "name": "s",
    "command": ["train", "${args}"],
    "metric": "maximize acc",
    "parameters": {"lr": "log(1e-5, 1e-1)", "epochs": 20, "model": ["mlp", "cnn"]},
    "budget": {"trials": 5},
}
CONTEXT = CommandContext(trial=0, attempt=1, seed=3, trial_dir="t", checkpoint_dir="c")


def study(**more):
    return settings_from_resolved({**STUDY, **more}, "/somewhere")


def typed(**more):
    return read(Document({**STUDY, "command": ["true", "${args}"], **more}, "study.yaml"), working_directory="/")


def test_a_command_is_words_or_a_text_and_comes_back_from_a_record():
    settings = typed(
        refit={"command": "true ${args} --on 'train val' --epochs ${epochs}", "seeds": 3},
        evaluate={"command": ["true", "${model}"], "metric": {"name": "test_acc", "pattern": "acc=(.*)"}},
    )
    assert settings.refit == RefitSettings(
        command=("true", "${args}", "--on", "train val", "--epochs", "${epochs}"), seeds=3
    )
    assert settings.evaluate == EvaluateSettings(
        command=("true", "${model}"), metric=MetricSettings(name="test_acc", pattern="acc=(.*)")
    )
    again = settings_from_resolved(settings.resolved, "/")
    assert (again.refit, again.evaluate) == (settings.refit, settings.evaluate)


@pytest.mark.parametrize("change", ["confirm.top=0", "confirm.tpo=9", "refit.epoch=3", "evaluate=3", "index.path=a.db"])
def test_what_a_person_changes_on_a_record_is_looked_at_like_a_study_file(change):
    record = study(confirm={"top": 4, "seeds": 7}).resolved
    with pytest.raises(StudyFileError, match=change.partition("=")[0]):
        settings_from_resolved(record, "/", [change])


def test_what_a_record_says_in_them_that_had_no_effect_once_hinders_no_change():
    record = {**STUDY, "confirm": {"once": 1}, "refit": ["anything"]}
    assert settings_from_resolved(record, "/", ["confirm.top=4"]).confirm.top == 4


def test_they_change_nothing_about_a_search():
    before = study().resolved
    difference = compare(before, study(refit={"arguments": ["--all"]}, evaluate={"command": "score"}).resolved)
    assert difference.run_settings and not difference.needs_acceptance


@pytest.mark.parametrize(
    ("more", "key", "said"),
    [
        ({"command": ["true", "${epochs_}"]}, "command", "unknown macro"),
        ({"command": ["true", "${model}"], "parameters": {"a": [1, 2]}}, "command", "belongs into `evaluate.command`"),
        ({"command": ["true", "${best_step}"]}, "command", "belongs into `refit.command`"),
        ({"refit": {"command": ["true"], "arguments": ["--a"]}}, "refit.arguments", "keep one"),
        ({"refit": {"command": ["true", "|", "tee"]}}, "refit.command", "not run by a shell"),
        ({"refit": {"command": "true 'a"}}, "refit.command", "close the quote"),
        ({"refit": {"command": "true ${oops}"}}, "refit.command", "unknown macro"),
        ({"refit": {"seeds": 0}}, "refit.seeds", "0"),
        ({"evaluate": {"comand": "true"}}, "evaluate.comand", "command"),
        ({"evaluate": {"command": "true ${best_step}"}}, "evaluate.command", "belongs into `refit.command`"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(more, key, said):
    with pytest.raises(StudyFileError) as refused:
        typed(**more)
    assert key in str(refused.value) and said in str(refused.value)


def test_a_function_takes_no_arguments():
    with pytest.raises(StudyFileError, match="a function has no arguments"):
        settings_from_resolved({**STUDY, "command": None, "function": "a:b", "refit": {"arguments": ["-x"]}}, "/")


def test_what_an_older_record_says_there_is_not_read():
    assert study(refit={"enabled": True, "folds": "all"}, evaluate=True).refit == RefitSettings()


@pytest.mark.parametrize(
    ("command", "context", "expected"),
    [
        (["${args}", "-n", "${epochs}"], {"epochs": 7, "best_step": 6}, ["--lr=0.1", "--model=mlp", "-n", "7"]),
        (["${args}", "-n", "${best_step}"], {"epochs": 7, "best_step": 6},
         ["--lr=0.1", "--epochs=20", "--model=mlp", "-n", "6"]),
        (["${args}", "--at", "${model}"], {"model": "c/last.pkl"},
         ["--lr=0.1", "--epochs=20", "--model=mlp", "--at", "c/last.pkl"]),
        (["--at=${model}", "${macro:model}"], {"model": "c/last.pkl"}, ["--at=c/last.pkl", "c/last.pkl"]),
        (["${model}", "${epochs}"], {}, ["mlp", "20"]),
    ],
)  # fmt: skip
def test_their_macros_come_before_parameters_of_the_same_name(command, context, expected):
    params = {"lr": 0.1, "model": "mlp"}
    words = render_command(study(command=["run", *command]), params, CommandContext(**{**asdict(CONTEXT), **context}))
    assert words == ["run", *expected]
