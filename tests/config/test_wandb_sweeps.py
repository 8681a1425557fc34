"""A W&B sweep's YAML is a valid study file, with W&B's meaning."""

from __future__ import annotations

import json
import re

import pytest

from outlast.config.command import CommandContext, render_command, sweep_parameters
from outlast.config.load import load_study_file, settings_from_resolved
from outlast.errors import StudyFileError

SWEEP = """\
program: train.py
method: bayes
metric:
  name: val_loss
parameters:
  lr:
    distribution: log_uniform
    min: -11.5
    max: -2.3
  model:
    values: [mlp, cnn]
  epochs:
    value: 20
run_cap: 30
"""
CONTEXT = CommandContext(trial=0, attempt=1, seed=1, trial_dir="/t", checkpoint_dir="/c")


@pytest.fixture
def load(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)

    def load(text: str, **options):
        (tmp_path / "sweep.yaml").write_text(text)
        return load_study_file("sweep.yaml", **options)

    return load


@pytest.fixture
def refused(load):
    def refused(text: str) -> StudyFileError:
        with pytest.raises(StudyFileError) as caught:
            load(text)
        return caught.value

    return refused


def test_a_sweep_becomes_a_study(load):
    settings = load(SWEEP)
    assert settings.name == "sweep"
    assert settings.sampler.name == "tpe"
    assert settings.metrics[0].goal == "minimize"  # W&B's default
    assert settings.budget.trials == 30
    assert settings.parameters[0].distribution == "log_uniform_values"
    assert settings.command == ("${env}", "${interpreter}", "train.py", "${args}")


def test_the_default_command_is_wandbs(load):
    argv = render_command(load(SWEEP), {"lr": 0.01, "model": "mlp"}, CONTEXT)
    assert argv == ["/usr/bin/env", "python", "train.py", "--lr=0.01", "--model=mlp", "--epochs=20"]


def test_methods_are_samplers(load):
    assert load(SWEEP.replace("bayes", "random")).sampler.name == "random"
    grid = (
        SWEEP.replace("bayes", "grid")
        .replace("    distribution: log_uniform\n", "")
        .replace("-11.5", "1")
        .replace("-2.3", "4")
    )
    assert load(grid).sampler.name == "grid"


def test_a_grid_over_a_continuous_parameter_is_refused(refused):
    error = refused(SWEEP.replace("bayes", "grid"))
    assert error.key == "parameters.lr" and error.line == 6


def test_a_sweep_without_metric_takes_the_command_lines(load, refused):
    text = SWEEP.replace("metric:\n  name: val_loss\n", "")
    assert "--maximize NAME" in (refused(text).cure or "")
    metric = load(text, metric=("acc", "maximize")).metrics[0]
    assert (metric.name, metric.goal) == ("acc", "maximize")


def test_the_target_is_kept(load):
    assert (
        load(SWEEP.replace("name: val_loss", "name: val_loss\n  target: 0.1\n  goal: maximize")).metrics[0].target
        == 0.1
    )


def test_hyperband_keeps_wandbs_figures(load):
    settings = load(SWEEP + "early_terminate: {type: hyperband, s: 2, eta: 3, max_iter: 27, strict: true}\n")
    assert settings.pruner.name == "wandb_hyperband"
    assert settings.pruner.options == {"s": 2, "eta": 3, "max_iter": 27, "strict": True}


@pytest.mark.parametrize(
    "given", ["{type: hyperband}", "{type: hyperband, s: 2}", "{type: hyperband, min_iter: 0}", "{type: median}"]
)
def test_hyperband_without_its_figures_is_refused(refused, given):
    assert refused(SWEEP + f"early_terminate: {given}\n").line == 15


def test_project_and_entity_reach_the_training(load):
    settings = load(SWEEP + "project: p\nentity: e\nname: My sweep!\ndescription: text\n")
    assert settings.env == {"WANDB_PROJECT": "p", "WANDB_ENTITY": "e"}
    assert settings.name == "My-sweep"
    assert settings.later == {"description": "text"}
    assert any("folder's name" in note for note in settings.notes)


def test_nested_parameters_are_handed_over_as_one_mapping(load):
    nested = SWEEP.replace(
        "run_cap",
        "  optimizer:\n    parameters:\n      lr: {values: [0.1, 0.2]}\n"
        "      nadam: {parameters: {beta: {values: [0.9, 0.95]}}}\nrun_cap",
    )
    settings = load(nested)
    params = {"lr": 0.01, "model": "cnn", "optimizer.lr": 0.1, "optimizer.nadam.beta": 0.9}
    assert render_command(settings, params, CONTEXT)[-1] == "--optimizer={'lr': 0.1, 'nadam': {'beta': 0.9}}"


def test_values_that_are_there_twice_count_once(load):
    settings = load(SWEEP.replace("[mlp, cnn]", "[mlp, cnn, mlp]"))
    assert list(settings.parameters[1].choices or []) == ["mlp", "cnn"]
    assert any("twice" in note for note in settings.notes)


def test_a_command_of_ones_own(load):
    command = "command: ['${interpreter}', '-u', '${program}', '--n', 3, '${args_no_equals}', '${envvar:HOME}']\n"
    settings = load(SWEEP + command)
    assert settings.command[:5] == ("${interpreter}", "-u", "train.py", "--n", "3")


@pytest.mark.parametrize(
    ("text", "key", "fact"),
    [
        (SWEEP.replace("train.py", "trian.py"), "program", "does not exist"),
        (SWEEP.replace("program: train.py\n", ""), None, "needs `program`"),
        (SWEEP.replace("method: bayes\n", ""), None, "needs `method`"),
        (SWEEP.replace("bayes", "byes"), "method", "unknown; allowed"),
        (SWEEP.replace("run_cap: 30", "run_cap: 0"), "run_cap", "1 or more"),
        (SWEEP.replace("run_cap: 30", "runcap: 30"), "runcap", "unknown key"),
        (SWEEP.replace("run_cap: 30\n", ""), "budget", "never end"),
        (SWEEP + "job: x\n", "job", "cannot be run here"),
        (SWEEP + "budget: {trials: 3}\n", "budget", "two dialects"),
        (SWEEP + "search_space: {}\n", "program", "two dialects"),
        (SWEEP.replace("run_cap", "x: 1\nrun_cap"), "x", "unknown key"),
        (SWEEP.replace("min: -11.5", "min: -1"), "parameters.lr.min", "above max"),
    ],
)
def test_what_is_wrong_in_a_sweep_is_refused(refused, text, key, fact):
    error = refused(text)
    assert error.key == key and fact in error.fact


def test_overrides_speak_either_dialect(load):
    assert load(SWEEP, overrides=["run_cap=5"]).budget.trials == 5
    assert load(SWEEP, overrides=["budget.trials=6", "budget.time=1h"]).budget.time == 3600
    assert load(SWEEP, overrides=["method=random"]).sampler.name == "random"


def test_a_sweep_without_an_end_is_told_its_own_word_for_one(refused):
    assert "`run_cap: 50`" in (refused(SWEEP.replace("run_cap: 30\n", "")).cure or "")


def test_a_macro_of_wandbs_comes_before_a_parameter_of_its_name(load):
    text = SWEEP.replace(
        "  model:\n", "  env:\n    values: [cartpole]\n  interpreter:\n    value: x\n  args:\n    value: y\n  model:\n"
    )
    settings = load(text)
    argv = render_command(settings, {"lr": 0.1, "env": "cartpole", "model": "mlp"}, CONTEXT)
    handed = ["--lr=0.1", "--env=cartpole", "--interpreter=x", "--args=y", "--model=mlp", "--epochs=20"]
    assert argv == ["/usr/bin/env", "python", "train.py", *handed]
    assert not settings.notes
    own = load(text + "command: [python, train.py, '--env=${env}', '${args_no_hyphens}', '$${env}']\n")
    argv = render_command(own, {"lr": 0.1, "env": "cartpole", "model": "mlp"}, CONTEXT)
    assert argv == ["python", "train.py", "--env=/usr/bin/env", *(word[2:] for word in handed), "${env}"]


def test_a_macro_of_wandbs_is_kept_where_its_parameters_are_nested(load):
    text = SWEEP.replace("  model:\n", "  args:\n    parameters: {a: {value: 1}}\n  model:\n")
    argv = render_command(load(text), {"lr": 0.1, "model": "mlp"}, CONTEXT)
    assert argv[3:] == ["--lr=0.1", "--args={'a': 1}", "--model=mlp", "--epochs=20"]


def test_only_what_came_nested_is_handed_over_nested(load):
    text = SWEEP.replace(
        "  model:\n",
        "  model.lr: {values: [1, 2]}\n  optimizer:\n    parameters:\n      adam.beta: {value: 0.9}\n"
        "      decay: {parameters: {rate: {value: 3}}}\n  model:\n",
    ).replace("  model:\n    values: [mlp, cnn]\n", "")
    settings = load(text + "command: [python, train.py, '${args_json}']\n")
    params = {"lr": 0.1, "model.lr": 2}
    nested = {
        "lr": 0.1,
        "model.lr": 2,
        "optimizer": {"adam.beta": 0.9, "decay": {"rate": 3}},
        "epochs": 20,
    }
    for each in (settings, settings_from_resolved(settings.resolved, settings.working_directory)):
        assert json.loads(render_command(each, params, CONTEXT)[-1]) == nested
        file = sweep_parameters(each, params)
        assert {name: item["value"] for name, item in file.items() if name != "wandb_version"} == nested
    flat = load(SWEEP.replace("  model:", "  model.name:"))
    assert flat.resolved["nested"] == [] and flat.nest({"model.name": "cnn"}) == {"model.name": "cnn"}
    assert "nested" not in load(SWEEP).resolved


def with_parameters(parameters: str) -> str:
    return f"program: train.py\nmethod: random\nrun_cap: 2\nmetric: {{name: loss}}\nparameters: {parameters}\n"


@pytest.mark.parametrize(
    ("written", "wandbs"),
    [
        ("[yes, no]", [True, False]),
        ("[On, OFF, x]", [True, False, "x"]),
        ("[y, n]", ["y", "n"]),
        ("[010, 11]", [8, 11]),
        ("[0o10, 1]", ["0o10", 1]),
        ("[09, 07]", ["09", 7]),
        ("[1:30, 0]", [90, 0]),
        ("[-1:30.5, 0]", [-90.5, 0]),
        ("[2024-01-31, a]", ["2024-01-31", "a"]),
        ("[1e-5, 1e5, 1.5e3, -.5, .5]", [1e-5, 1e5, 1.5e3, -0.5, 0.5]),
        ("['yes', \"010\", '1:30']", ["yes", "010", "1:30"]),
        ("[0x1F, 0b11, 1_000, ~]", [31, 3, 1000, None]),
        ("[[yes, {a: off}], 1]", [[True, {"a": False}], 1]),
    ],
)
def test_unquoted_words_mean_what_they_mean_to_wandb(load, written, wandbs):
    import yaml as pyyaml

    text = with_parameters(f"{{x: {{values: {written}}}}}")
    settings = load(text)
    values = list(settings.parameters[0].choices)
    assert [(type(v), v) for v in values] == [(type(v), v) for v in wandbs]
    theirs = pyyaml.safe_load(text)["parameters"]["x"]["values"]
    assert [
        float(v) if isinstance(w, float) else str(v) if isinstance(w, str) else v
        for v, w in zip(theirs, wandbs, strict=True)
    ] == wandbs


def test_what_is_taken_as_wandb_takes_it_is_said_in_a_line(load):
    notes = load(with_parameters("{bn: {values: [yes, no]}, seed: {value: 010}, lr: {values: [1e-5, 1e-4]}}")).notes
    assert notes == (
        "taken as W&B takes it (YAML 1.1): parameters.bn.values[0] yes is true, parameters.bn.values[1] no is false, "
        "parameters.seed.value 010 is 8  (in quotes it is text)",
        "1e-5, 1e-4: text to W&B (YAML 1.1), a number here",
    )


def test_words_in_the_command_and_shared_anchors_are_taken_likewise_and_names_stay(load):
    settings = load(
        "name: on\nprogram: train.py\nmethod: grid\nmetric: {name: off}\n"
        "command: [python, '${program}', --flag, yes, '${args}']\n"
        "parameters: {a: {values: &v [on, 012]}, b: {values: *v}}\n"
    )
    assert settings.command == ("python", "train.py", "--flag", "True", "${args}")
    assert [list(p.choices) for p in settings.parameters] == [[True, 10], [True, 10]]
    assert (settings.name, settings.metrics[0].name) == ("on", "off")


def test_a_study_file_of_our_own_reads_yaml_12(load, tmp_path):
    settings = load(
        "command: python train.py ${args}\nmetric: minimize x\nsampler: grid\nparameters: {a: [yes, 010]}\n"
    )
    assert list(settings.parameters[0].choices) == ["yes", 10] and settings.notes == ()


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        (
            "{distribution: log_uniform, min: 0.00001, max: 0.1}",
            "drawn from 1.00001 to 1.10517: the ends of log_uniform ",
        ),
        ("{distribution: log_uniform, min: 16, max: 64}", "drawn from 8.88611e.06 to 6.23515e.27"),
        ("{distribution: q_log_uniform, min: 1, max: 3}", "drawn from 2.71828 to 20.0855"),
        (
            "{distribution: inv_log_uniform, min: 0.0001, max: 0.1}",
            "drawn from 0.904837 to 0.9999: the ends of inv_log",
        ),
        ("{distribution: log_uniform, min: -9.2, max: -2.3}", None),
        ("{distribution: log_uniform, min: -5, max: 0}", None),
        ("{distribution: log_uniform_values, min: 0.001, max: 0.1}", None),
        (
            "{distribution: q_log_uniform_values, min: 1.0e-5, max: 0.1}",
            "is always 0: .* since q is 1 unless it is given",
        ),
        ("{distribution: q_log_uniform_values, min: 1.0e-5, max: 0.1, q: 0.5}", "is always 0.0: .* since q is 0.5"),
        ("{min: 0.1, max: 0.2, q: 1}", "is always 0: .* since q is 1"),
        ("{min: 1, max: 4.0}", "is drawn in fractions, because its max is 4.0: 4 makes it whole numbers"),
        ("{min: 0, max: 1.0}", None),
        ("{min: 1.0, max: 4.0}", None),
        ("{min: 1, max: 4.0, distribution: uniform}", None),
        ("{distribution: q_uniform, min: 3, max: 3}", None),
        ("{distribution: q_log_uniform_values, min: 8, max: 64, q: 8}", None),
    ],
)
def test_a_range_that_is_hardly_meant_is_drawn_as_wandb_draws_it_and_said(load, definition, says):
    nested = "{b: {values: [1, 2]}, opt: {parameters: {lr: %s}}}"
    for name, parameters in (("lr", f"{{b: {{values: [1, 2]}}, lr: {definition}}}"), ("opt.lr", nested % definition)):
        notes = load(with_parameters(parameters)).notes
        assert [note for note in notes if f"`{name}` is " in note] == list(notes)
        assert len(notes) == bool(says)
        if says:
            assert re.search(says, notes[0])
