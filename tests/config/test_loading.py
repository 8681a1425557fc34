"""Extending, overriding and multiplying study files."""

from __future__ import annotations

import copy
import pickle

import pytest
from msgspec.structs import replace

from outlast.config.load import load_studies, load_study_file, settings_from_resolved, to_yaml
from outlast.config.settings import IndexSettings
from outlast.config.yaml import parse
from outlast.errors import StudyFileError

BASE = """\
name: base
command: python train.py ${args}
metric: maximize acc
parameters:
  lr: log(1e-5, 1e-1)
  opt.beta: float(0, 1)
  model: {values: [mlp, cnn], when: {kind: big}}
  kind: [small, big]
  group: {parameters: {inner: "int(1, 4)"}}
budget: {trials: 50, time: 12h}
sampler: tpe
config: base.yaml
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    (tmp_path / "base.yaml").write_text("{}")
    (tmp_path / "study.yaml").write_text(BASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def extended(folder):
    def extended(text: str, path: str = "smoke.yaml"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
        return load_study_file(path)

    return extended


def parameter(settings, name):
    return next(p for p in settings.parameters if p.name == name)


# -- extends --------------------------------------------------------------------------------------------------------


def test_an_extending_file_says_only_what_differs(folder, extended):
    settings = extended("extends: study.yaml\nbudget: {trials: 2}\nparameters: {lr: 0.1, extra: {min: 1, max: 2}}\n")
    assert settings.name == "smoke"
    assert (settings.budget.trials, settings.budget.time) == (2, 43200)
    assert settings.space.constants == {"lr": 0.1}
    assert parameter(settings, "extra").distribution == "int_uniform"


def test_part_of_a_definition_changes_it_and_a_whole_one_replaces_it(extended):
    settings = extended(
        "extends: study.yaml\nparameters: {lr: {max: 0.01}, kind: {min: 1, max: 2}, model: {when: {kind: 1}}}\n"
    )
    assert parameter(settings, "lr").options == {"min": 1e-5, "max": 0.01}
    assert parameter(settings, "kind").distribution == "int_uniform"
    assert parameter(settings, "model").when == {"kind": (1,)}


def test_null_takes_something_away(extended):
    settings = extended("extends: study.yaml\nsampler: null\nbudget: {time: null}\nconfig: null\n")
    assert settings.sampler.name == "auto" and settings.budget.time is None and settings.config is None


def test_a_function_takes_the_place_of_a_command(extended):
    assert extended("extends: study.yaml\nfunction: a.b:c\n").command is None


def test_paths_of_a_base_in_another_folder_still_lead_to_its_files(folder, extended):
    (folder / "sub").mkdir()
    (folder / "sub" / "train.py").write_text("")
    assert extended("extends: ../study.yaml\n", "sub/smoke.yaml").config == "../base.yaml"


def test_a_sweep_can_be_extended_with_our_keys(folder, extended):
    (folder / "sweep.yaml").write_text(
        "program: train.py\nmethod: random\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}}\nrun_cap: 9\n"
    )
    settings = extended("extends: sweep.yaml\nparallel: 4\n")
    assert (settings.parallel, settings.budget.trials, settings.sampler.name) == (4, 9, "random")


def test_a_sweep_can_extend_a_sweep(folder, extended):
    (folder / "sweep.yaml").write_text(
        "program: train.py\nmethod: random\nmetric: {name: loss}\nparameters: {x: {min: 0.0, max: 1.0}}\n"
    )
    assert extended("extends: sweep.yaml\nrun_cap: 3\n").budget.trials == 3


def test_a_circle_is_refused(folder, extended):
    (folder / "study.yaml").write_text("extends: smoke.yaml\n")
    with pytest.raises(StudyFileError, match="circle"):
        extended("extends: study.yaml\n")


def test_a_missing_base_is_refused_at_its_line(extended):
    with pytest.raises(StudyFileError, match="does not exist") as caught:
        extended("name: x\nextends: nowhere.yaml\n")
    assert (caught.value.file, caught.value.line) == ("smoke.yaml", 2)


def test_an_error_in_the_base_names_the_base(folder, extended):
    (folder / "study.yaml").write_text(BASE.replace("trials: 50", "trials: no"))
    with pytest.raises(StudyFileError) as caught:
        extended("extends: study.yaml\nparallel: 2\n")
    assert (caught.value.file, caught.value.line) == ("study.yaml", 10)


# -- --set ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "check"),
    [
        ("budget.trials=7", lambda s: s.budget.trials == 7),
        ("budget={trials: 7}", lambda s: s.budget.time is None),
        ("sampler.seed=3", lambda s: (s.sampler.name, s.sampler.seed) == ("tpe", 3)),
        ("sampler=random", lambda s: s.sampler.name == "random"),
        ("trial.timeout=1h", lambda s: s.trial.timeout == 3600),
        ("parallel=4", lambda s: s.parallel == 4),
        ("env.A=1e-3", lambda s: s.env == {"A": "1e-3"}),
        ("parameters.lr=0.5", lambda s: s.space.constants == {"lr": 0.5}),
        ("parameters.lr.max=0.01", lambda s: parameter(s, "lr").options == {"min": 1e-5, "max": 0.01}),
        ("parameters.opt.beta.max=0.5", lambda s: parameter(s, "opt.beta").options == {"min": 0.0, "max": 0.5}),
        ("parameters.group.inner.max=9", lambda s: parameter(s, "group.inner").options == {"min": 1, "max": 9}),
        ("parameters.group.parameters.inner.max=9", lambda s: parameter(s, "group.inner").options["max"] == 9),
        ("parameters.model.values=[a, b]", lambda s: parameter(s, "model").when == {"kind": ("big",)}),
        ("parameters.model.when.kind=small", lambda s: parameter(s, "model").when == {"kind": ("small",)}),
        ("parameters.new=int(1, 3)", lambda s: parameter(s, "new").options == {"min": 1, "max": 3}),
        ("metric={name: loss, goal: minimize}", lambda s: s.metrics[0].name == "loss"),
        ("command=python train.py --x ${lr}", lambda s: s.command == ("python", "train.py", "--x", "${lr}")),
        ("name=other", lambda s: s.name == "other"),
    ],
)
def test_set_changes_one_key(folder, override, check):
    assert check(load_study_file("study.yaml", overrides=[override]))


@pytest.mark.parametrize(
    ("override", "fact", "cure"),
    [
        ("bugdet.trials=7", "unknown key `bugdet`", "`budget`"),
        ("budget.trails=7", "unknown key", "`trials`"),
        ("budget.trials=many", "a whole number", None),
        ("lr=0.1", "unknown key `lr`", "`parameters.lr`"),
        ("lr.max=0.1", "unknown key `lr`", "`parameters.lr.max`"),
        ("parameters.lrr.max=0.1", "unknown parameter `lrr`", "`lr`"),
        ("parameters.lr.maxi=0.1", "unknown key", "`max`"),
        ("budget.trials", "not of the form key=value", "budget.trials=20"),
        ("=3", "not of the form key=value", None),
        ("budget.trials=[", "not YAML", None),
        ("name.x=3", "no keys inside", None),
    ],
)
def test_a_wrong_set_is_refused_by_its_text(folder, override, fact, cure):
    with pytest.raises(StudyFileError) as caught:
        load_study_file("study.yaml", overrides=[override])
    assert caught.value.file == f"--set {override}"
    assert fact in caught.value.fact
    if cure:
        assert cure in (caught.value.cure or "")


def test_overrides_build_on_each_other(folder):
    settings = load_study_file(
        "study.yaml", overrides=["parameters=null", "parameters.only=int(1, 3)", "budget.trials=2"]
    )
    assert [p.name for p in settings.parameters] == ["only"]
    with pytest.raises(StudyFileError, match="not one of the 0 items"):
        load_study_file("study.yaml", overrides=["budget=[]", "budget.trials.x=2"])


# -- matrix ---------------------------------------------------------------------------------------------------------


def test_a_matrix_makes_one_study_for_each_combination(folder):
    (folder / "m.yaml").write_text(BASE + "matrix: {backbone: [bert, roberta/large], budget.trials: [1, 2]}\n")
    studies = load_studies("m.yaml")
    assert [s.name for s in studies] == ["base-bert-1", "base-bert-2", "base-roberta-large-1", "base-roberta-large-2"]
    assert studies[2].space.constants == {"backbone": "roberta/large"}
    assert studies[3].budget.trials == 2
    assert all("matrix" not in study.resolved for study in studies)


def test_a_matrix_over_a_parameter_fixes_it(folder):
    (folder / "m.yaml").write_text(BASE + "matrix: {kind: [small, big]}\n")
    assert [study.space.constants["kind"] for study in load_studies("m.yaml")] == ["small", "big"]


def test_several_studies_where_one_is_meant_are_refused(folder):
    (folder / "m.yaml").write_text(BASE + "matrix: {kind: [small, big]}\n")
    with pytest.raises(StudyFileError, match="makes 2 studies"):
        load_study_file("m.yaml")


@pytest.mark.parametrize(
    ("matrix", "fact"),
    [
        ("{kind: []}", "must not be empty"),
        ("{kind: small}", "must be a list"),
        ("[a]", "keys and values"),
        ("{kind: [a b, a-b]}", "two studies"),
    ],
)
def test_a_matrix_that_makes_no_sense_is_refused(folder, matrix, fact):
    (folder / "m.yaml").write_text(
        BASE.replace("  model: {values: [mlp, cnn], when: {kind: big}}\n", "") + f"matrix: {matrix}\n"
    )
    with pytest.raises(StudyFileError, match=fact):
        load_studies("m.yaml")


# -- the study's own record -----------------------------------------------------------------------------------------


def test_the_record_reads_back_equal(folder):
    settings = load_study_file("study.yaml")
    again = settings_from_resolved(settings.resolved, settings.working_directory)
    assert replace(again, notes=settings.notes) == settings


def test_settings_can_be_copied_and_pickled_with_their_space(folder):
    settings = load_study_file("study.yaml", overrides=["constraints=lr < 1"])
    assert settings.space.satisfies({"lr": 0.1})
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert copy.deepcopy(settings).space.satisfies({"lr": 0.1})
    fewer = replace(settings, parameters=settings.parameters[:1])
    assert [p.name for p in fewer.space.sampled] == ["lr"]


def test_the_record_reads_back_where_the_files_are_not(folder):
    settings = load_study_file("study.yaml")
    assert settings_from_resolved(settings.resolved, "/nowhere").config == "base.yaml"


def test_study_yaml_is_the_record_with_a_header(folder):
    settings = load_study_file("study.yaml")
    text = to_yaml(settings)
    assert text.startswith("# ") and parse(text, "f").data == settings.resolved


def test_secrets_stay_out_of_the_record_and_in_the_environment(folder):
    (folder / "s.yaml").write_text(
        BASE
        + "env: {HF_TOKEN: abc, DB: 'postgres://me:pw@host/db', N: 1}\n"
        + "tracking: {mlflow: {uri: 'https://a:b@c'}, sinks: [{name: a.B, api_key: k}]}\n"
    )
    settings = load_study_file("s.yaml")
    assert settings.env["HF_TOKEN"] == "abc"
    assert settings.resolved["env"] == {"HF_TOKEN": "***", "DB": "postgres://me:***@host/db", "N": "1"}
    assert settings.resolved["tracking"] == {
        "mlflow": {"uri": "https://a:***@c"},
        "sinks": [{"name": "a.B", "api_key": "***"}],
    }
    assert all(secret not in to_yaml(settings) for secret in ("abc", "pw@", "b@c"))
    again = settings_from_resolved(settings.resolved, ".")
    assert again.env == {"N": "1"} and "HF_TOKEN, DB" in again.notes[0]
    assert again.resolved == settings.resolved


PLAIN = (
    "name: s\nmetric: maximize acc\nparameters: {lr: {min: 0.0, max: 1.0}, url: [http://host/x]}\nbudget: {trials: 3}\n"
)


@pytest.mark.parametrize(
    "text, key",
    [
        ("command: python train.py ${args} --db postgres://u:pw@host/db", "command"),
        ("command: [python, train.py, '${args}', 'postgres://u:pw@host/db']", "command[3]"),
        ("command: [python, train.py, '${args}', '--hf_token=pw1']", "command[3]"),
        ("command: [python, train.py, '${args}', --api-key, pw1]", "command"),
        ("trial: {resume_args: ['--from', 's3://u:pw@host/x']}", "trial.resume_args[1]"),
        ("slurm: {setup: ['export WANDB_API_KEY=pw1']}", "slurm.setup[0]"),
        ("enqueue: [{lr: 0.1, url: 'http://u:pw@host/x'}]", "enqueue[0].url"),
        ("slurm: {setup: ['export DB=postgres://u:pw@host/db']}", "slurm.setup[0]"),
    ],
)
def test_a_password_where_only_the_record_would_hand_it_on_is_refused(folder, text, key):
    command = "" if text.startswith("command") else "command: python train.py ${args}\n"
    (folder / "s.yaml").write_text(f"{PLAIN}{command}{text}\n")
    with pytest.raises(StudyFileError) as refused:
        load_study_file("s.yaml")
    assert refused.value.key == key and refused.value.line == (6 if command else 5)
    assert "secret" in refused.value.fact and "env:" in (refused.value.cure or "") and "pw" not in str(refused.value)


def test_a_constant_parameter_with_a_password_is_refused_and_one_from_the_environment_is_kept(folder, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "pw")
    command = "command: python train.py ${args}"
    (folder / "s.yaml").write_text(f"{PLAIN}{command}\n".replace("[http://host/x]", "'http://u:pw@host/x'"))
    with pytest.raises(StudyFileError) as refused:
        load_study_file("s.yaml")
    assert refused.value.key == "parameters.url"
    url = "postgres://u:${envvar:DB_PASSWORD}@host/db"
    (folder / "s.yaml").write_text(f"{PLAIN}{command} --db {url}\n")
    settings = load_study_file("s.yaml")
    assert settings.command[-1] == url
    assert settings_from_resolved(settings.resolved, ".").command == settings.command


def test_what_has_no_effect_is_said(folder):
    (folder / "s.yaml").write_text(
        f"{PLAIN}command: python train.py ${{args}}\nselection: {{seeds: 3}}\ntracking: {{mlflow: }}\nnotify: null\n"
    )
    notes = load_study_file("s.yaml").notes
    assert [note for note in notes if "without effect" in note or "tracking" in note] == [
        "`tracking.mlflow` is empty, so nothing is sent there: write `mlflow: {}`",
        "`selection`: without effect; `confirm.prefer` says how the best is chosen",
    ]


@pytest.mark.parametrize(
    ("tracking", "said"),
    [
        ("mlfow", "did you mean `mlflow`"),
        ("{mlflow: {url: x}}", "tracking.mlflow.url"),
        ("{sinks: [mine]}", "package.module.Class"),
        ("[mlflow, 3]", "allowed: mlflow, azure_ml"),
        ("{sinks: [a.B, {name: a.B, path: x}]}", "`a.B` is there 2 times"),
    ],
)
def test_a_tracker_that_there_is_not_is_refused_where_it_stands(folder, tracking, said):
    (folder / "s.yaml").write_text(f"{PLAIN}command: python train.py ${{args}}\ntracking: {tracking}\n")
    with pytest.raises(StudyFileError) as refused:
        load_study_file("s.yaml")
    assert said in str(refused.value)


def test_a_key_of_the_index_without_effect_is_refused_in_a_file_and_passed_over_in_an_old_record(folder):
    (folder / "s.yaml").write_text(f"{PLAIN}command: python train.py ${{args}}\nindex: {{path: x.db}}\n")
    with pytest.raises(StudyFileError, match="path"):
        load_study_file("s.yaml")
    (folder / "s.yaml").write_text(f"{PLAIN}command: python train.py ${{args}}\nindex: {{auto_resume: false}}\n")
    recorded = load_study_file("s.yaml").resolved
    recorded["index"]["path"] = "x.db"
    assert settings_from_resolved(recorded, ".").index == IndexSettings(auto_resume=False)


def test_numbers_in_arguments_and_environment_keep_their_spelling(tmp_path):
    (tmp_path / "base.yaml").write_text("env: {CUDA: 12.10, MODE: 0755, N: 3, ON: true}\n")
    (tmp_path / "s.yaml").write_text(
        "extends: base.yaml\nmetric: minimize x\nsampler: grid\nparameters: {lr: [1, 2]}\n"
        "command: [env, --version, 1.10, --id, 007, --lr, 1e-5, -1_000, '${args}']\ncheck: {args: [--max, 1.0e3]}\n"
    )
    settings = load_study_file(tmp_path / "s.yaml", overrides=["env.PYTHON=3.10", "env.FLAG=true"])
    assert settings.command == ("env", "--version", "1.10", "--id", "007", "--lr", "1e-5", "-1_000", "${args}")
    assert settings.env == {"CUDA": "12.10", "MODE": "0755", "N": "3", "ON": "true", "PYTHON": "3.10", "FLAG": "true"}
    assert settings.check.args == ("--max", "1.0e3")
