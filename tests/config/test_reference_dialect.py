"""The search_space / sampling / objective dialect is read too."""

from __future__ import annotations

import pytest

from outlast.config.load import load_study_file
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
checkpoint: {enabled: true, storage_path: "{backbone}/study.db", auto_resume: true, save_only_best: true}
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
    assert settings.index == IndexSettings()
    assert any("`checkpoint.storage_path`: not used" in note for note in settings.notes)
    assert any("`refit.enabled`: not used" in note for note in settings.notes)
    assert settings.tracking.mlflow == MlflowSettings(log_best_checkpoint=True)
    assert settings.refit == RefitSettings()


def test_a_seed_without_an_algorithm_is_kept(load):
    settings = load(HPO.replace("algorithm: random", "random_seed: 7"))
    assert (settings.sampler.name, settings.sampler.seed) == ("auto", 7)


def test_median_takes_optunas_words(load):
    settings = load(HPO.replace("policy: bandit", "policy: median").replace(" slack_factor: 0.2,", ""))
    assert settings.pruner.options == {"interval_steps": 1, "n_warmup_steps": 2}


def test_checkpointing_off_is_in_memory_and_auto_resume_off_is_kept(load):
    text = HPO.replace("{enabled: true, storage_path", "{enabled: false, storage_path").replace(
        "auto_resume: true", "auto_resume: false"
    )
    assert load(text).index == IndexSettings(in_memory=True, auto_resume=False)


def test_folds_that_are_not_enabled_are_none(load):
    assert load(HPO.replace("k_fold: {enabled: true", "k_fold: {enabled: false")).trial.folds is None


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
