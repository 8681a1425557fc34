"""The configuration of one trial: the base file with the parameters over it, and the derive hook."""

from __future__ import annotations

import sys

import pytest

from outlast.config.load import settings_from_resolved
from outlast.config.trial_config import Infeasible, derive, resolve_trial_config
from outlast.errors import StudyFileError


def study(folder, **more):
    base = {
        "name": "s",
        "function": "a:b",
        "metric": "maximize acc",
        "parameters": {"model.dim": [1, 2], "epochs": 3},
        "budget": {"trials": 5},
    }
    return settings_from_resolved({**base, **more}, str(folder))


def test_parameters_and_constants_override_dotted_keys(tmp_path):
    (tmp_path / "base.yaml").write_text("model: {dim: 8, depth: 2}\nlr: 1e-3\n")
    config = resolve_trial_config(study(tmp_path, config="base.yaml"), {"model.dim": 2})
    assert config == {"model": {"dim": 2, "depth": 2}, "lr": 0.001, "epochs": 3}


def test_the_base_file_is_read_anew_each_time(tmp_path):
    settings = study(tmp_path, config="base.json")
    (tmp_path / "base.json").write_text('{"a": 1}')
    assert (resolve_trial_config(settings, {}) or {})["a"] == 1
    (tmp_path / "base.json").write_text('{"a": 2}')
    assert (resolve_trial_config(settings, {}) or {})["a"] == 2


def test_toml_and_lists_and_dotted_keys_of_the_file_itself(tmp_path):
    (tmp_path / "base.toml").write_text('"model.dim" = 8\n[[layers]]\nwidth = 1\n')
    settings = study(tmp_path, config="base.toml", parameters={"model.dim": [1, 2], "layers.0.width": [3, 4]})
    assert resolve_trial_config(settings, {"model.dim": 2, "layers.0.width": 4}) == {
        "model.dim": 2,
        "layers": [{"width": 4}],
    }


def test_a_folder_with_exactly_one_config_file(tmp_path):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "config_a.yaml").write_text("x: 1\n")
    (tmp_path / "exp" / "other.yaml").write_text("y: 1\n")
    assert (resolve_trial_config(study(tmp_path, config="exp"), {}) or {})["x"] == 1
    (tmp_path / "exp" / "config_b.yaml").write_text("x: 1\n")
    with pytest.raises(StudyFileError, match="holds 2 of them"):
        resolve_trial_config(study(tmp_path, config="exp"), {})


def test_no_base_no_configuration(tmp_path):
    assert resolve_trial_config(study(tmp_path), {}) is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("base.yaml", "a: [", "not YAML"),
        ("base.json", "{", "not JSON"),
        ("base.toml", "a = ", "not TOML"),
        ("base.yaml", "- 1", "keys and values"),
        ("base.txt", "a", "is not .yaml"),
        ("base.yaml", "model: 3", "has no place"),
        ("base.yaml", "model: [1]", "has no place"),
    ],
)
def test_a_base_that_cannot_be_used_is_one_clear_error(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(StudyFileError, match=words):
        resolve_trial_config(study(tmp_path, config=name), {"model.dim": 2})


@pytest.fixture
def hook(tmp_path, monkeypatch):
    """A folder with a hook in it, and this Python as the one on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def hook(body: str, params: dict | None = None):
        (tmp_path / "myhook.py").write_text(f"import os, sys\ndef go(params):\n    {body}\n")
        return derive(study(tmp_path, derive="myhook:go"), params or {"model.dim": 2})

    return hook


def test_the_hook_gets_every_parameter_and_gives_further_ones(hook):
    assert hook("return {'model.out': params['model.dim'] * params['epochs']}") == {"model.out": 6}
    assert hook("return None") == {}


def test_what_the_hook_prints_does_not_disturb(hook):
    assert hook("print('noise'); os.system('echo more noise'); return {'a': 1}") == {"a": 1}


def test_the_hook_can_say_infeasible(hook):
    assert hook("return 'infeasible'") == Infeasible()
    assert hook("return 'infeasible: too wide'") == Infeasible("too wide")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('no such width')", "failed: RuntimeError: no such width"),
        ("sys.exit(3)", "failed: exit code 3"),
        ("os._exit(0)", "ended without an answer"),
        ("return 5", "returned 5"),
        ("return {'a': object()}", "failed: TypeError"),
    ],
)
def test_a_hook_that_fails_is_one_message_with_its_last_line(hook, body, words):
    with pytest.raises(StudyFileError, match=words):
        hook(body)


def test_a_hook_that_is_not_there_is_said(tmp_path, hook):
    with pytest.raises(StudyFileError, match="No module named 'nowhere'"):
        derive(study(tmp_path, derive="nowhere:go"), {})


def test_no_hook_derives_nothing(tmp_path):
    assert derive(study(tmp_path), {}) == {}
