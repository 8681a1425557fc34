"""Our dialect: what is read, and what is refused with place and cure."""

from __future__ import annotations

import pytest

from outlast.config.load import load_study_file
from outlast.config.settings import NotifySettings, Settings
from outlast.errors import StudyFileError

BASE = """\
name: digits
command: python train.py ${args}
metric: {name: val_accuracy, goal: maximize}
parameters:
  lr: log(1e-5, 1e-1)
  model: [mlp, cnn]
budget: {trials: 50}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("print('val_accuracy=1')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(folder):
    def load(text: str, **options) -> Settings:
        (folder / "study.yaml").write_text(text)
        return load_study_file("study.yaml", **options)

    return load


@pytest.fixture
def refused(load):
    def refused(text: str, **options) -> StudyFileError:
        with pytest.raises(StudyFileError) as caught:
            load(text, **options)
        return caught.value

    return refused


def with_lines(*lines: str, without: str = "") -> str:
    kept = [line for line in BASE.splitlines() if not without or not line.startswith(without)]
    return "\n".join([*kept, *lines]) + "\n"


def test_the_first_page_is_five_keys(load):
    settings = load(BASE)
    assert settings.name == "digits"
    assert settings.command == ("python", "train.py", "${args}")
    assert settings.metrics[0].name == "val_accuracy" and settings.metrics[0].goal == "maximize"
    assert [p.distribution for p in settings.parameters] == ["log_uniform_values", "categorical"]
    assert settings.budget.trials == 50
    assert settings.sampler.name == "auto" and settings.pruner.name == "none" and settings.notes == ()


def test_every_key_is_read(load, folder):
    (folder / "base.yaml").write_text("model: {}\n")
    settings = load(
        with_lines(
            "sampler: {name: tpe, seed: 3, n_startup_trials: 5}",
            "pruner: {name: asha, min_resource: 2}",
            "constraints: ['lr < 1']",
            "enqueue: [{lr: 1e-3, model: mlp}]",
            "config: base.yaml",
            "derive: hooks.space:derive",
            "env: {OMP_NUM_THREADS: 2, DEBUG: true, HF_TOKEN: secret}",
            "trial: {timeout: 6h, grace: 90s, hang_after: 1h30m, retries: 2, resume_args: [--resume], seeds: [1, 2],"
            " folds: {n: 5, stratify: label}, oom: {shrink: lr}, timeout_counts: true}",
            "parallel: 4",
            "resources: {gpus: 0.5, cpus: 4, memory: 16G}",
            "slurm: {partition: gpu, time: 24:00:00}",
            "checkpoints: {dir: null, keep: 3, pattern: '*.pt'}",
            "faults: {interrupted: new}",
            "notify: {urls: ['ntfy://${HOST}/topic', '${MAIL}'], command: ./tell.sh --loud, what: [error, begin]}",
            "budget: {trials: 5, time: 5-00:00:00, gpu_hours: 1.5, max_failures: 3, count: [complete]}",
            without="budget",
        )
    )
    assert settings.sampler.seed == 3 and settings.sampler.options == {"n_startup_trials": 5}
    assert settings.pruner.options == {"min_resource": 2}
    assert settings.env == {"OMP_NUM_THREADS": "2", "DEBUG": "true", "HF_TOKEN": "secret"}
    assert (settings.trial.timeout, settings.trial.grace, settings.trial.hang_after) == (21600, 90, 5400)
    assert settings.trial.oom == {"shrink": "lr"} and settings.trial.folds == {"n": 5, "stratify": "label"}
    assert settings.budget.time == 5 * 86400 and settings.budget.count == ("complete",)
    assert settings.resources.memory == 16 * 2**30 and settings.resources.gpus == 0.5
    assert settings.checkpoints.pattern == ("*.pt",)
    assert settings.checkpoints.dir is None and settings.faults.interrupted == "new"
    assert settings.slurm == {"partition": "gpu", "time": "24:00:00"}
    assert settings.notify == NotifySettings(
        urls=("ntfy://${HOST}/topic", "${MAIL}"), command=("./tell.sh", "--loud"), what=("error", "begin")
    )
    assert settings.resolved["notify"]["urls"] == ["ntfy://***", "${MAIL}"], "a topic is a secret"
    assert settings.working_directory == str(folder)


@pytest.mark.parametrize(
    ("written", "distribution", "options"),
    [
        ("log(1e-5, 1e-1)", "log_uniform_values", {"min": 1e-5, "max": 0.1}),
        ("int(1,4)", "int_uniform", {"min": 1, "max": 4}),
        ("float(0, 1)", "uniform", {"min": 0.0, "max": 1.0}),
        ("logint(8, 512)", "int_log_uniform", {"min": 8, "max": 512}),
        ("normal(0, 1)", "normal", {"mu": 0.0, "sigma": 1.0}),
        ("choice(adam, sgd)", "categorical", {"values": ["adam", "sgd"]}),
        ("choice(1, 2.5, true, 'x y')", "categorical", {"values": [1, 2.5, True, "x y"]}),
        ("[a, b]", "categorical", {"values": ["a", "b"]}),
        ("{min: 1, max: 4}", "int_uniform", {"min": 1, "max": 4}),
    ],
)
def test_parameters_have_short_forms(load, written, distribution, options):
    parameter = load(with_lines(f"  x: {written}", without="budget")[:-1] + "\nbudget: {trials: 5}\n").parameters[-1]
    assert (parameter.distribution, parameter.options) == (distribution, options)


@pytest.mark.parametrize(
    ("written", "value"), [("20", 20), ("text", "text"), ("true", True), ("{value: [1, 2]}", [1, 2])]
)
def test_a_plain_value_is_a_constant(load, written, value):
    text = BASE.replace("budget", f"  x: {written}\nbudget")
    assert load(text).space.constants == {"x": value}


def test_parameters_nest_by_dots_or_by_parameters(load):
    text = BASE.replace(
        "budget",
        "  a.b: int(1, 2)\n  c:\n    when: {model: cnn}\n    parameters:\n      d: int(1, 3)\n"
        "      e: {parameters: {f: 3}}\nbudget",
    )
    settings = load(text)
    assert [p.name for p in settings.parameters] == ["lr", "model", "a.b", "c.d", "c.e.f"]
    assert settings.parameters[3].when == {"model": ("cnn",)}
    assert settings.space.complete({"model": "mlp"}) == {"model": "mlp"}
    assert settings.space.complete({"model": "cnn", "c.d": 1}) == {"model": "cnn", "c.d": 1, "c.e.f": 3}


def test_a_metric_may_be_a_word_with_its_goal(load):
    assert load(with_lines("metric: minimize loss", without="metric")).metrics[0].goal == "minimize"
    assert load(with_lines("metric: loss", "goal: minimize", without="metric")).metrics[0].name == "loss"


def test_several_metrics_are_several_objectives(load):
    settings = load(with_lines("metric: [{name: f1, goal: maximize}, {name: ece, goal: minimize}]", without="metric"))
    assert [metric.name for metric in settings.metrics] == ["f1", "ece"]


def test_the_command_line_metric_wins_and_keeps_what_the_file_says_of_it(load):
    text = with_lines("metric: {name: acc, goal: minimize, file: out.json}", without="metric")
    metric = load(text, metric=("acc", "maximize")).metrics[0]
    assert (metric.goal, metric.file) == ("maximize", "out.json")
    assert load(text, metric=("f1", "maximize")).metrics[0].file is None


def test_the_name_is_the_files_unless_given(load):
    assert load(with_lines(without="name")).name == "study"
    assert load(BASE, name="other").name == "other"


def test_enqueued_configurations_may_nest_and_be_partial(load):
    text = BASE.replace("budget", "  a.b: int(1, 2)\nenqueue: [{a: {b: 2}}]\nbudget")
    assert load(text).enqueue == ({"a.b": 2},)
    assert load(text.replace("b: 2}", "b: 2}, opt: {}, c: {d: {}}")).enqueue == ({"a.b": 2},), (
        "an empty group says nothing"
    )


def test_our_own_files_may_give_hyperband_s_figures_as_any_number(load):
    assert load(BASE + "pruner: {name: wandb_hyperband, min_iter: 2.5}\n").pruner.options == {"min_iter": 2.5}


def test_a_function_needs_no_parameters(load):
    text = "function: package.module:objective\nmetric: maximize acc\nbudget: {trials: 5}\n"
    assert load(text).function == "package.module:objective"


def test_a_number_of_trials_beyond_the_space_is_noted(load):
    text = BASE.replace("  lr: log(1e-5, 1e-1)\n", "")
    assert "the space has 2 configurations" in load(text).notes[0]


def test_a_command_without_parameters_is_noted(load):
    assert "add ${args}" in load(BASE.replace(" ${args}", "")).notes[0]


def test_cmaes_over_choices_only_is_noted(load):
    notes = load(BASE.replace("  lr: log(1e-5, 1e-1)\n", "") + "sampler: cmaes\n").notes
    assert any("cmaes searches numbers only" in note for note in notes)


@pytest.mark.parametrize(
    "key", ["api_key: sk-1", "hf_token: {values: [hf_a, hf_b]}", "auth: {parameters: {secret: x}}"]
)
def test_a_secret_in_the_parameters_is_refused(load, key):
    with pytest.raises(StudyFileError, match="holds a secret"):
        load(BASE.replace("budget", f"  {key}\nbudget"))


@pytest.mark.parametrize(
    ("lines", "without", "line", "key", "fact", "cure"),
    [
        (["bugdet: {trials: 5}"], "budget", 7, "bugdet", "unknown key", "`budget`"),
        (["budget: {trails: 5}"], "budget", 7, "budget.trails", "unknown key", "`trials`"),
        (["budget: {trials: many}"], "budget", 7, "budget.trials", "a whole number", None),
        (["budget: {trials: 0}"], "budget", 7, "budget.trials", "1 or more", None),
        (["budget: {trials: 2.5}"], "budget", 7, "budget.trials", "a whole number", None),
        (["budget: {time: soon}"], "budget", 7, "budget.time", "not a duration", None),
        (["budget: {time: '30:00'}"], "budget", 7, "budget.time", "not a duration", None),
        (["budget: 5"], "budget", 7, "budget", "must be keys and values", None),
        ([], "budget", None, "budget", "never end", "trials: 50"),
        (["sampler: tep"], "", 8, "sampler", "unknown; allowed", "`tpe`"),
        (["pruner: {name: medain}"], "", 8, "pruner.name", "unknown; allowed", "`median`"),
        (["pruner: {name: wandb_hyperband, min_iter: null}"], "", 8, "pruner", "needs `min_iter`", None),
        (["sampler: grid"], "", 5, "parameters.lr", "is continuous", "values"),
        (["sampler: cmaes", "metric: [maximize]"], "metric", 8, "metric[0]", "must be keys", None),
        (["parallel: 0"], "", 8, "parallel", "1 or more", None),
        (["parallel: many"], "", 8, "parallel", "unknown; allowed: auto", None),
        (["resources: {memory: lots}"], "", 8, "resources.memory", "not a size", None),
        (["env: [A]"], "", 8, "env", "must be keys and values", None),
        (["env: {A=B: 1}"], "", 8, "env.A=B", "is not an environment variable's name", None),
        (["constraints: ['lr < lx']"], "", 8, "constraints[0]", "`lx` is not a parameter", "lr"),
        (["constraints: ['open(lr)']"], "", 8, "constraints[0]", "this is a call", None),
        (["constraints: ['lr < model']"], "", 8, "constraints", "not supported", None),
        (["enqueue: [{lr: 5}]"], "", 8, "enqueue[0].lr", "is not from", None),
        (["enqueue: [{lrr: 5}]"], "", 8, "enqueue[0].lrr", "is not a parameter", "`lr`"),
        (
            ["enqueue: [{lr: 0.1, model: mlp}]", "constraints: ['lr < 0.05']"],
            "",
            8,
            "enqueue[0]",
            "`lr < 0.05` does",
            None,
        ),
        (["config: nowhere.yaml"], "", 8, "config", "does not exist", None),
        (["derive: hook"], "", 8, "derive", "package.module:name", None),
        (["trial: {seeds: 3}"], "", 8, "trial.seeds", "must be a list", "[3]"),
        (["trial: {oom: shrink}"], "", 8, "trial.oom", "unknown; allowed: infeasible", None),
        (["metric: {name: acc}"], "metric", 7, "metric", "needs `goal`", None),
        (["metric: acc"], "metric", 7, "metric", "needs a goal", "goal: maximize"),
        (["metric: {name: acc, goal: maximise}"], "metric", 7, "metric.goal", "unknown; allowed", "`maximize`"),
        (["metric: [{name: a, goal: maximize}, {name: a, goal: minimize}]"], "metric", 7, "metric[1]", "twice", None),
        (["metric: {name: a, goal: maximize, pattern: 'x=(.'}"], "metric", 7, "metric.pattern", "not a regular", None),
        (["metric: {name: a, goal: maximize, pattern: 'x=.'}"], "metric", 7, "metric.pattern", "has 0 groups", None),
        ([], "metric", 1, None, "says no metric", "--maximize NAME"),
        (["function: a:b"], "", 8, "function", "both `command` and `function`", None),
        ([], "command", 1, None, "says nothing to run", "command: python"),
        (["function: train.py"], "command", 7, "function", "package.module:name", None),
        (["command: python trian.py ${args}"], "command", 7, "command", "`trian.py` does not exist", "`train.py`"),
        (["command: train.py ${args}"], "command", 7, "command", "not a program", "python train.py"),
        (["command: ./train.py ${args}"], "command", 7, "command", "not executable", "chmod"),
        (["command: no-such-program-xyz ${args}"], "command", 7, "command", "no program `no-such-program-xyz`", None),
        (["command: 'python \"train.py'"], "command", 7, "command", "cannot be split", "quote"),
        (["command: {a: b}"], "command", 7, "command", "must be text or a list", None),
        (["name: ../evil"], "name", 7, "name", "letters, digits", None),
        (["name: .hidden"], "name", 7, "name", "letters, digits", None),
        (["name: a/b"], "name", 7, "name", "letters, digits", None),
        (["name: 12"], "name", 7, "name", "not 12", "quotes"),
    ],
)
def test_what_is_wrong_is_refused_with_line_key_and_cure(refused, lines, without, line, key, fact, cure):
    error = refused(with_lines(*lines, without=without))
    assert error.file == "study.yaml"
    assert fact in error.fact
    assert error.key == key
    if line is not None:
        assert error.line == line
    if cure is not None:
        assert cure in (error.cure or "")


@pytest.mark.parametrize(
    ("written", "key", "fact"),
    [
        ("{min: 2, max: 1}", "parameters.x.min", "above max"),
        ("{min: 0, max: 1, distribution: log_uniform_values}", "parameters.x.min", "no logarithm"),
        ("log(0, 1)", "parameters.x", "no logarithm"),
        ("int(4, 1)", "parameters.x", "above max"),
        ("int(0.5, 1)", "parameters.x", "whole number"),
        ("lgo(1, 2)", "parameters.x", "unknown short form"),
        ("log(1)", "parameters.x", "with two numbers"),
        ("choice()", "parameters.x", "unknown short form"),
        ("[]", "parameters.x", "no value"),
        ("null", "parameters.x", "says no value"),
        ("{vlaues: [1]}", "parameters.x.vlaues", "unknown key"),
        ("{values: [1, 2], when: {modle: cnn}}", "parameters.x", "no parameter"),
        ("{values: [1, 2], when: {model: rnn}}", "parameters.x", "never be active"),
        ("{values: [1, 2], when: cnn}", "parameters.x.when", "another parameter"),
        ("{values: [1, 2], when: {model: []}}", "parameters.x.when.model", "must not be empty"),
        ("{values: [1, 2], when: {x: 1}}", "parameters.x", "wait for each other"),
        ("{parameters: {}}", "parameters.x.parameters", "must be parameter names"),
        ("{parameters: {y: 1}, min: 1}", "parameters.x.min", "beside `parameters`"),
        ("{min: .nan, max: 1}", "parameters.x.min", "not finite"),
    ],
)
def test_a_wrong_parameter_is_refused(refused, written, key, fact):
    error = refused(BASE.replace("budget", f"  x: {written}\nbudget"))
    assert (error.line, error.key) == (7, key)
    assert fact in error.fact


@pytest.mark.parametrize("form", ["float(0, 1)", "uniform(0, 1)", "choice(a, b, c)", "randint(0, 9)"])
def test_a_short_form_cut_off_at_its_comma_says_so(form, refused):
    error = refused(BASE.replace("budget", f"  c: {{parameters: {{x: {form}}}}}\nbudget"))
    assert "cut off at its comma" in error.fact and "quotes" in (error.cure or "")


def test_a_parameter_name_must_be_one(refused):
    assert "not a parameter name" in refused(BASE.replace("budget", "  'a b': 1\nbudget")).fact


def test_a_parameter_dotted_and_nested_is_refused(refused):
    assert "twice" in refused(BASE.replace("budget", "  a.b: 1\n  a: {parameters: {b: 2}}\nbudget")).fact


def test_constraints_that_nothing_satisfies_are_refused(refused):
    text = BASE.replace("  lr: log(1e-5, 1e-1)", "  a: int(1, 3)\n  b: int(4, 6)").replace(
        "budget", "constraints: a > b\nbudget"
    )
    assert "no configuration satisfies" in refused(text).fact


def test_pruning_several_objectives_is_refused(refused):
    text = with_lines(
        "metric: [{name: a, goal: maximize}, {name: b, goal: minimize}]", "pruner: median", without="metric"
    )
    assert "takes one objective" in refused(text).fact


def test_nothing_is_written_by_reading(refused, folder):
    before = sorted(path.name for path in folder.iterdir())
    refused(with_lines("bugdet: 1"))
    assert sorted(path.name for path in folder.iterdir()) == sorted([*before, "study.yaml"])


def test_a_study_without_parameters_is_refused(refused):
    assert "says no parameters" in refused("command: python train.py\nmetric: maximize a\nbudget: {trials: 1}\n").fact


def test_gpu_hours_limit_nothing_where_no_trial_uses_a_gpu(load, refused):
    only = "budget: {gpu_hours: 2}"
    error = refused(with_lines(only, without="budget"))
    assert error.key == "budget.gpu_hours" and "no GPUs" in error.fact and "resources" in str(error.cure)
    assert any("gpu_hours limits nothing" in note for note in load(BASE.replace("50", "50, gpu_hours: 2")).notes)
    assert load(with_lines(only, "resources: {gpus: 1}", without="budget")).notes == ()
    assert load(with_lines(only, "slurm: {gres: gpu:1}", without="budget")).notes == ()
