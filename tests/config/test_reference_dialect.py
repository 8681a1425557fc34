"""The search_space / sampling / objective dialect is read too."""

from __future__ import annotations

import os

import pytest

from outlast.cli.targets.campaign_places import campaign_of_file
from outlast.config.load import load_studies, load_study_file
from outlast.config.settings import IndexSettings, RefitSettings
from outlast.config.tracking_section import MlflowSettings
from outlast.errors import StudyFileError

HPO = """\
command: python train.py ${args}
search_space:
  backbone: {type: choice, values: [distilbert, deberta]}
  learning_rate: {type: loguniform, min: 1e-5, max: 5e-5}
  hidden: {type: loguniform, min: 8, max: 64}
  dropout: {type: uniform, min: 0, max: 1}
  layers: {type: int, min: 1, max: 4}
sampling: {algorithm: random, max_trials: 20, timeout_minutes: 480}
objective: {metric: macro-f1, goal: maximize}
early_termination: {policy: bandit, evaluation_interval: 1, slack_factor: 0.2, delay_evaluation: 2}
k_fold: {enabled: true, n_splits: 5, random_seed: 42, shuffle: true, stratified: true}
checkpoint: {enabled: true, storage_path: "all/study.db", auto_resume: true, save_only_best: true}
mlflow: {log_best_checkpoint: true}
refit: {enabled: true}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)

    def load(text: str):
        (tmp_path / "hpo.yaml").write_text(text)
        return load_study_file("hpo.yaml")

    return load


def test_every_part_is_translated(load):
    settings = load(HPO)
    assert [p.distribution for p in settings.parameters] == [
        "categorical",
        "log_uniform_values",
        "int_log_uniform",
        "uniform",
        "int_uniform",
    ]
    assert settings.sampler.name == "random"
    assert (settings.budget.trials, settings.budget.time) == (20, 480 * 60)
    assert settings.metrics[0].name == "macro-f1"
    assert settings.pruner.name == "bandit"
    assert settings.pruner.options == {"evaluation_interval": 1, "slack_factor": 0.2, "delay_evaluation": 2}
    assert settings.trial.folds == {"n": 5, "seed": 42, "shuffle": True, "stratify": True}
    assert settings.checkpoints.keep == 1
    assert settings.budget.count == ("complete",)
    assert settings.index.url == os.path.abspath("studies/all/study.db")
    assert any("`refit.enabled`: not used" in note for note in settings.notes)
    assert settings.tracking.mlflow == MlflowSettings(log_best_checkpoint=True)
    assert settings.refit == RefitSettings()


def test_a_seed_without_an_algorithm_is_kept(load):
    settings = load(HPO.replace("algorithm: random", "random_seed: 7"))
    assert (settings.sampler.name, settings.sampler.seed) == ("auto", 7)


@pytest.mark.parametrize(
    ("tracking", "there"),
    [
        ("tensorboard", "tensorboard"),
        ("[tensorboard]", "tensorboard"),
        ("my.Sink", "my.Sink"),
        ("[my.Sink]", "my.Sink"),
    ],
)
def test_mlflow_is_beside_other_trackers_whichever_way_they_are_said(load, tracking, there):
    chosen = load(f"{HPO}tracking: {tracking}\n").tracking.chosen
    assert "mlflow" in chosen and any(there in name for name in chosen)


def test_median_takes_optunas_words(load):
    settings = load(HPO.replace("policy: bandit", "policy: median").replace(" slack_factor: 0.2,", ""))
    assert settings.pruner.options == {"interval_steps": 1, "n_warmup_steps": 2}


def test_checkpointing_off_is_in_memory_and_auto_resume_off_is_kept(load):
    text = HPO.replace("{enabled: true, storage_path", "{enabled: false, storage_path").replace(
        "auto_resume: true", "auto_resume: false"
    )
    assert load(text).index == IndexSettings(in_memory=True, auto_resume=False)


IN_PATHS = HPO.replace('"all/study.db"', '"{backbone}/study.db", study_name: "hpo_{backbone}"')


def test_a_choice_that_a_path_names_is_a_study_for_each_of_its_values(load, monkeypatch):
    with pytest.raises(StudyFileError, match="makes 2 studies where one is meant: hpo_distilbert, hpo_deberta"):
        load(IN_PATHS)
    found = load_studies("hpo.yaml")
    assert [(each.name, each.index.url) for each in found] == [
        (f"hpo_{name}", os.path.abspath(f"studies/{name}/study.db")) for name in ("distilbert", "deberta")
    ]
    assert [each.space.parameters[0].value for each in found] == ["distilbert", "deberta"]
    assert any("one study for each of its values" in note for note in found[0].notes)
    assert campaign_of_file("hpo.yaml") == "studies/hpo"  # so that every command takes the file


def test_a_store_lies_where_studies_lie_unless_it_says_where(load, monkeypatch, tmp_path):
    monkeypatch.setenv("OUTLAST_STUDIES", str(tmp_path / "drive"))
    assert load(HPO).index.url == str(tmp_path / "drive" / "all" / "study.db")
    for elsewhere in ("/data/study.db", "postgresql://host/hpo"):
        assert load(HPO.replace("all/study.db", elsewhere)).index.url == elsewhere


def test_what_is_searched_and_no_choice_is_in_no_path(load):
    with pytest.raises(StudyFileError, match=r"`\{learning_rate\}` is searched"):
        load(HPO.replace("all/study.db", "{learning_rate}/study.db"))
    with pytest.raises(StudyFileError, match=r"name: `\{bakbone\}` stands for nothing"):
        load(IN_PATHS.replace("hpo_{backbone}", "hpo_{bakbone}").replace('"{backbone}/', '"'))


def test_a_variant_extends_it_and_words_of_the_command_line_change_it(load, tmp_path):
    (tmp_path / "prod.yaml").write_text(IN_PATHS)
    (tmp_path / "hpo.yaml").write_text(
        "extends: prod.yaml\nsampling: {max_trials: 2}\ncheckpoint: {storage_path: 'smoke/{backbone}.db'}\n"
    )
    found = load_studies("hpo.yaml", overrides=["sampling.timeout_minutes=5", "search_space.backbone.values=[tiny]"])
    assert [(each.name, each.budget.trials, each.budget.time) for each in found] == [("hpo_tiny", 2, 300)]
    assert found[0].index.url == os.path.abspath("studies/smoke/tiny.db")


def test_folds_that_are_not_enabled_are_none(load):
    assert load(HPO.replace("k_fold: {enabled: true", "k_fold: {enabled: false")).trial.folds is None


def test_a_key_of_ours_with_nothing_behind_it_is_filled_like_one_that_is_not_there(load):
    assert load(HPO + "\ntrial:\n").trial.folds == load(HPO).trial.folds


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "fact"),
    [
        ("type: choice", "type: chioce", 3, "search_space.backbone.type", "unknown; allowed"),
        ("type: int, min: 1", "type: int", 7, "search_space.layers", "needs `min`"),
        ("min: 1e-5", "min: 0.0", 4, "parameters.learning_rate.min", "no logarithm"),
        ("min: 1, max: 4", "min: 1, max: 4, values: [1]", 7, "search_space.layers.values", "means nothing"),
        ("max_trials", "max_trails", 8, "sampling.max_trails", "unknown key"),
        ("objective:", "metric: {}\nobjective:", 9, "metric", "two dialects"),
        ("mlflow:", "method: bayes\nmlflow:", 13, "method", "two dialects"),
        ("policy: bandit", "policy: truncation", 10, "early_termination.policy", "unknown; allowed"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(load, old, new, line, key, fact):
    with pytest.raises(StudyFileError) as caught:
        load(HPO.replace(old, new))
    assert (caught.value.line, caught.value.key) == (line, key)
    assert fact in caught.value.fact


def test_without_a_command_the_cure_says_what_to_add(load):
    with pytest.raises(StudyFileError, match="says nothing to run"):
        load(HPO.replace("command: python train.py ${args}\n", ""))


def test_accuracy_first_then_speed_is_what_confirm_decides_by(load):
    given = "selection: {accuracy_threshold: 0.015, use_relative_threshold: true, min_accuracy_gain: 0.02}\n"
    settings = load(f"{HPO}\n{given}")
    prefer = settings.confirm.prefer
    assert prefer is not None
    assert (prefer.metric, prefer.goal, prefer.within, prefer.relative) == ("latency_ms", "minimize", 0.02, True)
    assert any("`selection`: what `outlast confirm` decides by" in note for note in settings.notes)
    assert "selection" not in settings.later
    own = "confirm: {prefer: {metric: size}}\nselection: {accuracy_threshold: 0.015}\n"
    assert load(f"{HPO}\n{own}").confirm.prefer.metric == "size"
    assert load(f"{HPO}\nselection: {{accuracy_threshold: null}}\n").confirm.prefer is None
