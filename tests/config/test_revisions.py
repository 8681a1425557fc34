"""What differs between two versions of a study file, and what a person must accept."""

from __future__ import annotations

import pytest

from outlast.config.revisions import compare
from outlast.config.secrets import mask_secrets

OLD = {
    "name": "digits",
    "command": ["python", "train.py", "${args}"],
    "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": {"min": 1e-5, "max": 0.1}, "model": {"values": ["mlp", "cnn"]}},
    "budget": {"trials": 50},
}


def changed(**keys):
    return {**OLD, **keys}


def test_equal_files_do_not_differ():
    assert not compare(OLD, dict(OLD))


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (changed(budget={"trials": 60}), "budget.trials: 50 → 60"),
        (changed(budget={}), "budget.trials: 50 → (not there)"),
        (changed(parallel=4), "parallel: (not there) → 4"),
        (changed(trial={"timeout": "6h"}), "trial.timeout: (not there) → 6h"),
        (changed(enqueue=[{"lr": 0.1}]), 'enqueue: (not there) → [{"lr": 0.1}]'),
        (changed(env={"A": "1"}), "env.A: (not there) → 1"),
    ],
)
def test_run_settings_apply_at_once(new, line):
    difference = compare(OLD, new)
    assert line in difference.run_settings
    assert difference.needs_acceptance == ()


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (changed(parameters={**OLD["parameters"], "lr": {"min": 1e-5, "max": 0.01}}), "parameters.lr.max: 0.1 → 0.01"),
        (
            changed(parameters={**OLD["parameters"], "model": {"values": ["mlp"]}}),
            'parameters.model.values: ["mlp", "cnn"] → ["mlp"]',
        ),
        (changed(metric={"name": "f1", "goal": "maximize"}), "metric.name: acc → f1"),
        (changed(command=["python", "a b.py"]), "command: python train.py '${args}' → python 'a b.py'"),
        (changed(sampler="random"), "sampler: (not there) → random"),
        (changed(trial={"seeds": [1, 2]}), "trial.seeds: (not there) → [1, 2]"),
        (changed(constraints=["lr < 1"]), 'constraints: (not there) → ["lr < 1"]'),
        (changed(name="other"), "name: digits → other"),
    ],
)
def test_what_a_value_means_needs_acceptance(new, line):
    difference = compare(OLD, new)
    assert line in difference.needs_acceptance
    assert difference.run_settings == ()


def test_secrets_are_masked_in_differences():
    difference = compare(OLD, changed(env={"API_KEY": "abc"}, tracking={"uri": "https://me:pw@host"}))
    assert difference.lines == ("env.API_KEY: (not there) → ***", "tracking.uri: (not there) → https://me:***@host")


def test_true_and_one_differ():
    assert compare(changed(x={"a": True}), changed(x={"a": 1})).lines == ("x.a: true → 1",)


@pytest.mark.parametrize(
    "name",
    [
        *["WANDB_API_KEY", "HF_TOKEN", "hf_token", "DB_PASSWORD", "PASSWORD_FILE", "AWS_SECRET_ACCESS_KEY", "api_key"],
        *[
            "GITHUB_PAT",
            "SMTP_PASS",
            "DB_PWD",
            "AZURE_STORAGE_CONNECTION_STRING",
            "SENTRY_DSN",
            "apiKey",
            "GPG_PASSPHRASE",
        ],
    ],
)
def test_secret_names_are_masked(name):
    assert mask_secrets({"env": {name: "x"}}) == {"env": {name: "***"}}


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "MONKEY", "KEYS", "OMP_NUM_THREADS", "PWD", "DATA_PATH", "COMPASS"]
)
def test_other_names_are_not(name):
    assert mask_secrets({"env": {name: "x"}}) == {"env": {name: "x"}}


def test_parameters_called_like_secrets_stay_readable():
    mapping = {"parameters": {"pad_token": {"values": ["a", "b"]}}, "enqueue": [{"pad_token": "a"}]}
    assert mask_secrets(mapping) == mapping


def test_passwords_in_urls_are_masked_wherever_they_stand():
    masked = mask_secrets(
        {"command": ["run", "--db", "postgres://u:pw@h/x"], "slack": "https://hooks.slack.com/services/T/B/x"}
    )
    assert masked == {
        "command": ["run", "--db", "postgres://u:***@h/x"],
        "slack": "https://hooks.slack.com/services/***",
    }
