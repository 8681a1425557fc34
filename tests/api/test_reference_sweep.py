"""`outlast.run_local_hpo_sweep`: what its arguments mean, and that the same call goes on."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
import pytest

import outlast
from outlast.api import reference_sweep
from outlast.errors import StudyFileError, UsageError

HPO = {
    "search_space": {
        "backbone": {"type": "choice", "values": ["distilbert", "deberta"]},
        "learning_rate": {"type": "loguniform", "min": 1e-5, "max": 5e-5},
    },
    "sampling": {"algorithm": "random", "max_trials": 2, "random_seed": 1},
    "objective": {"metric": "macro-f1", "goal": "maximize"},
    "checkpoint": {"enabled": True},
    "parallel": 2,
}
COMMAND = "python train.py ${args}"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    return tmp_path


@pytest.fixture
def meant(monkeypatch):
    """What a call would search, and in which folder; nothing is run."""

    def meant(backbone="distilbert", hpo=HPO, train_config=None, output="outputs/hpo", train=COMMAND, **more):
        seen = []

        def stop(of, folder, **_):
            seen.extend([of.settings(), folder])
            raise InterruptedError

        monkeypatch.setattr(reference_sweep, "search", stop)
        with pytest.raises(InterruptedError):
            outlast.run_local_hpo_sweep("data set", "config", backbone, hpo, train_config, output, train=train, **more)
        return seen

    return meant


def with_checkpoint(**keys):
    return {**HPO, "checkpoint": {"enabled": True, **keys}}


def test_the_study_is_the_backbones_own_in_its_own_folder(meant, here):
    settings, folder = meant()
    assert (settings.name, folder, settings.index.url) == ("hpo_distilbert", "outputs/hpo/distilbert", None)
    assert [(each.name, each.constant) for each in settings.parameters] == [
        ("backbone", True),
        ("learning_rate", False),
    ]
    assert settings.parameters[0].value == "distilbert"
    assert settings.command == ("python", "train.py", "${args}")
    assert meant("org/bert")[1] == "outputs/hpo/org-bert"
    assert meant(hpo={key: value for key, value in HPO.items() if key != "checkpoint"})[0].index.in_memory is False


def test_a_store_lies_below_the_output_folder(meant, here):
    store = f"{here}/outputs/hpo"
    assert meant(hpo=with_checkpoint(storage_path="{backbone}/study.db"))[0].index.url is None
    assert meant(hpo=with_checkpoint(storage_path="all/{backbone}.db"))[0].index.url == f"{store}/all/distilbert.db"
    settings, folder = meant(hpo=with_checkpoint(study_name="ner-{backbone}"))
    assert (settings.name, folder, settings.index.url) == (
        "ner-distilbert", "outputs/hpo/ner-distilbert", f"{store}/distilbert/study.db",
    )  # fmt: skip


@pytest.mark.parametrize("store", ["sqlite:////x/all.db", "postgresql://u@h/db", "~/all.db", "$HOME/all.db"])
def test_an_address_is_nowhere_below_it(meant, store):
    assert meant(hpo=with_checkpoint(storage_path=store))[0].index.url == store


@pytest.mark.parametrize(
    ("source", "fixed"),
    [
        (
            "def run(dataset_path, *, config_dir=None, **rest): ...",
            {"dataset_path": "data set", "config_dir": "config"},
        ),
        ("def run(**parameters): ...", {}),
        ("def run(learning_rate, backbone): ...", {}),
        ("from elsewhere import run", None),
        ("@wrapped\ndef run(dataset_path): ...", None),
    ],
)
def test_a_files_own_function_gets_what_it_asks_for(meant, here, source, fixed):
    (here / "mine.py").write_text(source)
    hpo = {**HPO, "function": "mine:run"}
    if fixed is None:
        with pytest.raises(UsageError, match="cannot be told") as caught:
            outlast.run_local_hpo_sweep("dataset", "config", "distilbert", hpo)
        assert "train=" in str(caught.value.cure)
        return
    settings, _ = meant(hpo=hpo, train=None)
    found = {each.name: each.value for each in settings.parameters if each.constant and each.name != "backbone"}
    assert found == fixed


def test_a_files_own_command_names_the_data_from_where_it_runs(meant, here):
    hpo = {**HPO, "command": "python train.py --data {dataset_path} ${args}"}
    assert meant(hpo=hpo, train=None)[0].command == ("python", "train.py", "--data", "data set", "${args}")
    (here / "below").mkdir()
    (here / "below" / "train.py").touch()
    settings, _ = meant(hpo={**hpo, "cwd": "below"}, train=None)
    assert settings.command[3] == f"{here}/data set"


def test_on_drive_a_relative_folder_lies_there(meant, here, monkeypatch):
    (here / "content/drive/MyDrive").mkdir(parents=True)
    monkeypatch.setenv("OUTLAST_LOOK_BELOW", str(here))
    monkeypatch.setenv("COLAB_GPU", "1")
    assert meant()[1] == f"{here}/content/drive/MyDrive/outlast/outputs/hpo/distilbert"


def test_a_file_and_what_it_extends_say_the_same(meant, here):
    prod = "search_space: {learning_rate: {type: uniform, min: 0, max: 1}}\nsampling: {max_trials: 9}\n"
    prod += "objective: {metric: macro-f1, goal: maximize}\ncheckpoint: {enabled: true, storage_path: all.db}\n"
    (here / "prod.yaml").write_text(f"{prod}command: python -c pass --lr ${{learning_rate}}\n")
    (here / "smoke.yaml").write_text("extends: prod.yaml\nsampling: {max_trials: 1}\n")
    settings, _ = meant(hpo=here / "smoke.yaml", train=None)
    assert (settings.name, settings.budget.trials, settings.index.url) == (
        "hpo_distilbert", 1, f"{here}/outputs/hpo/all.db",
    )  # fmt: skip
    assert settings.command == ("python", "-c", "pass", "--lr", "${learning_rate}")


def test_a_command_may_be_said_in_either_place_and_name_the_data(meant, here):
    assert meant(train="python train.py --data {dataset_path}")[0].command[-1] == "data set"
    words = ["python", "train.py", "--data={dataset_path}", "--config={config_dir}"]
    settings, _ = meant(train=None, train_config={"command": words})
    assert settings.command[-2:] == ("--data=data set", "--config=config")
    (here / "train.yaml").write_text("epochs: 3\n")
    settings, _ = meant(train=f"{COMMAND} --config ${{config}}", train_config="train.yaml")
    assert settings.config == str(here / "train.yaml")


def test_an_mlflow_experiment_is_called_as_the_backbone(meant, here):
    settings, _ = meant(mlflow_experiment_name="resume_ner")
    assert settings.tracking.mlflow.experiment == "resume_ner-hpo-distilbert"
    assert meant()[0].tracking.mlflow is None
    (here / "config").mkdir()
    (here / "config" / "mlflow.yaml").write_text("azure_ml: {enabled: true, workspace_name: resume-ner-ws}\n")
    tracking = meant(mlflow_experiment_name="resume_ner")[0].tracking
    assert tracking.mlflow is None and tracking.azure_ml.workspace_name == "resume-ner-ws"
    assert tracking.azure_ml.experiment == "resume_ner-hpo-distilbert"


def test_an_experiment_is_beside_the_other_trackers_whichever_way_they_are_said(meant):
    for tracking in ("tensorboard", ["tensorboard"], {"tensorboard": {}}):
        found = meant(hpo={**HPO, "tracking": tracking}, mlflow_experiment_name="resume_ner")[0].tracking
        assert sorted(found.chosen) == ["mlflow", "tensorboard"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hpo_config": {**HPO, "mlflow": "http://t:5000"}, "mlflow_experiment_name": "ner"}, "mlflow: must be keys"),
        ({"backbone": ""}, "backbone is '', not a name"),
        ({"hpo_config": {"sampling": {}}}, "hpo_config: says no `search_space`"),
        ({"hpo_config": None}, "hpo_config is None"),
        ({"hpo_config": "absent.yaml"}, "absent.yaml: does not exist"),
        ({"hpo_config": {**HPO, "sampling": {"max_trails": 3}}}, "sampling.max_trails: unknown key"),
        ({"hpo_config": with_checkpoint(storage_path="{bakbone}.db")}, "`{bakbone}` stands for nothing"),
        ({"train": None}, "what trains is not said"),
        ({"train": "python train.py ${config}", "train_config": {"epochs": 3}}, "train_config is no file"),
        ({"train_config": 3}, "train_config is 3"),
    ],
)
def test_what_cannot_work_is_one_error_and_changes_nothing(change, says, here):
    given = {"backbone": "distilbert", "hpo_config": HPO, "train": COMMAND, **change}
    with pytest.raises((UsageError, StudyFileError)) as caught:
        outlast.run_local_hpo_sweep("dataset", "config", **given)
    assert says in str(caught.value)
    assert os.listdir(here) == ["train.py"]


def trained(learning_rate, backbone, dataset_path, train_config):
    """A training as a function: it asks for what it needs."""
    assert (backbone, dataset_path, train_config) == ("distilbert", "dataset", {"epochs": 3})
    return 1 - abs(learning_rate - 3e-5) * 1e4


def swept(trials=2, **checkpoint):
    hpo = {**HPO, "sampling": {**HPO["sampling"], "max_trials": trials}, "checkpoint": {"enabled": True, **checkpoint}}
    return outlast.run_local_hpo_sweep("dataset", "config", "distilbert", hpo, {"epochs": 3}, train=trained)


@pytest.mark.slow
def test_the_same_call_goes_on_and_what_is_there_is_not_overwritten(here, capsys):
    assert len(swept().trials) == 2
    more = swept(3)
    assert [trial.number for trial in more.trials] == [0, 1, 2] and more.best_value > 0.8
    assert "2 complete, 1 to go" in capsys.readouterr().out
    stored = optuna.load_study(study_name="hpo_distilbert", storage="sqlite:///outputs/hpo/distilbert/study.db")
    assert [trial.params for trial in stored.trials] == [trial.params for trial in more.trials]
    values = [trial.values for trial in more.trials]
    Path("outputs/hpo/distilbert/study.db").write_bytes(b"garbage" * 999)
    assert len(swept(3, storage_path="stores/{backbone}.db").trials) == 3
    said = capsys.readouterr().out
    assert "3 complete, 0 to go" in said and "study.db was broken" in said
    assert len([*Path("outputs/hpo/distilbert").glob("study.db.2*")]) == 1
    also = optuna.load_study(study_name="hpo_distilbert", storage="sqlite:///outputs/hpo/stores/distilbert.db")
    assert [trial.values for trial in also.trials] == values
    with pytest.raises(UsageError, match="auto_resume is off") as caught:
        swept(3, auto_resume=False)
    assert "fresh=True" in str(caught.value.cure) and "--" not in str(caught.value.cure)


@pytest.mark.slow
def test_with_checkpoints_off_the_study_is_in_memory_and_no_file_is_left(here, capsys):
    study = swept(enabled=False)
    assert len(study.trials) == 2 and study.best_value == max(trial.value for trial in study.trials)
    assert "in memory" in capsys.readouterr().out and os.listdir(here) == ["train.py"]
