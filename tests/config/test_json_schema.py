"""The published JSON Schema and the reader accept the same."""

from __future__ import annotations

import json
import pathlib
import textwrap

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outlast.config import native
from outlast.config.load import load_study_file, settings_from_resolved
from outlast.config.schema import SCHEMA_FILE, json_schema, keys_of, main, page, schema_text
from outlast.config.shapes import At
from outlast.config.yaml import Document, parse
from outlast.errors import StudyFileError
from outlast.space.definitions import FIGURES

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "study-file.md"

STUDY = {
    "name": "s",
    "command": "run ${args}",
    "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": "log(1e-5, 1e-1)", "model": ["a", "b"]},
    "budget": {"trials": 5},
}


def schema_accepts(data) -> bool:
    return VALIDATOR.is_valid(data)


def reader_accepts(data) -> bool:
    """The whole reader, across keys as well."""
    try:
        settings_from_resolved(data, ".")
    except StudyFileError:
        return False
    return True


def shape_accepts(data) -> bool:
    """Each key by itself."""
    try:
        native.STUDY_FILE.read(data, At(Document(data, "f")))
    except StudyFileError:
        return False
    return True


def test_the_published_file_and_the_page_are_current():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m outlast.config.schema"
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m outlast.config.schema"


def test_every_key_of_our_dialect_says_what_it_is_for():
    silent = [key for key, _, says in keys_of(native.STUDY_FILE.schema()) if not says]
    assert silent == []


SWEEP = """
    program: train.py
    method: bayes
    metric: {name: acc, goal: maximize}
    parameters: {lr: {min: 1.0e-5, max: 0.1, distribution: log_uniform_values}, model: {values: [a, b]}}
    early_terminate: {type: hyperband, min_iter: 3}
    run_cap: 5
"""
HPO = """
    search_space: {lr: {type: loguniform, min: 1.0e-5, max: 0.1}, batch: {type: choice, values: [8, 16]}}
    sampling: {algorithm: random, max_trials: 5, timeout_minutes: 60}
    objective: {metric: f1, goal: maximize}
    early_termination: {policy: bandit, evaluation_interval: 1, slack_factor: 0.2, delay_evaluation: 5}
    command: python train.py ${args}
"""


@pytest.mark.parametrize("text", [SWEEP, HPO])
def test_the_other_dialects_are_in_the_schema_and_read(tmp_path, text):
    (tmp_path / "train.py").write_text("")
    (tmp_path / "s.yaml").write_text(textwrap.dedent(text))
    assert load_study_file(tmp_path / "s.yaml").budget.trials == 5
    assert schema_accepts(parse(textwrap.dedent(text), "f").data)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        (SWEEP, "method", "bayse"),
        (SWEEP, "budget", {"trials": 5}),
        (SWEEP, "run_cap", 0),
        (HPO, "parameters", {"lr": 1}),
        (HPO, "sampling", {"algorithm": 3}),
        (HPO, "search_space", []),
    ],
)
def test_what_is_wrong_in_them_is_refused_by_both(tmp_path, text, key, value):
    (tmp_path / "train.py").write_text("")
    data = {**parse(textwrap.dedent(text), "f").data, key: value}
    (tmp_path / "s.yaml").write_text(json.dumps(data))
    assert not schema_accepts(data)
    with pytest.raises(StudyFileError):
        load_study_file(tmp_path / "s.yaml")


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_writing_it(tmp_path):
    assert main(["schema", str(tmp_path / "x.json")]) == 0
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == schema_text()


ACCEPTED = [
    {},
    {"command": ["run", 3, "${lr}", "${model}"]},
    {"metric": "maximize acc"},
    {"metric": [{"name": "a", "goal": "maximize"}, {"name": "b", "goal": "minimize", "take": "best", "target": 0.1}]},
    {"budget": {"time": "12h", "gpu_hours": 1.5, "trials": None, "count": ["complete"]}},
    {"budget": {"time": "5-00:00:00"}},
    {"budget": {"time": 3600, "max_failures": 3}},
    {"sampler": "tpe"},
    {"sampler": {"name": "my.module:Sampler", "seed": 3, "anything": [1]}},
    {"sampler": "optuna.samplers.TPESampler", "pruner": "optuna.pruners:NopPruner"},
    {"pruner": {"name": "wandb_hyperband", "min_iter": 3}},
    {"constraints": "lr < 1", "enqueue": [{"lr": 0.01}], "env": {"A": 1, "B": True, "C": "x"}},
    {"trial": {"timeout": "6h", "grace": 0, "seeds": [1], "oom": "infeasible", "folds": {"n": 5, "stratify": True}}},
    {"trial": None, "sampler": None, "config": None, "notify": None},
    {"notify": "ntfy://topic"},
    {"notify": ["ntfy://topic", "${MAIL}"]},
    {"notify": {"command": "./tell.sh --loud"}},
    {"tracking": ["wandb", "my.trackers.Mine"]},
    {
        "tracking": {
            "mlflow": {"uri": "http://${USER}@h", "tags": {"n": 1}},
            "sinks": ["a:B", {"name": "a.B", "any": [1]}],
        }
    },
    {"parallel": "auto"},
    {"check": {"args": ["--max_steps", 20]}},
    {"parallel": 4.0},
    {"resources": {"gpus": 0.5, "memory": "16G", "cpus": 2}, "checkpoints": {"dir": None, "keep": 0}},
    {"checkpoints": {"pattern": "*.ckpt"}},
    {"checkpoints": {"pattern": ["run/step_*", "**/state..v2"]}},
    {
        "slurm": {"partition": "gpu"},
        "notify": {"urls": ["x"], "what": ["end"]},
        "tracking": "mlflow",
        "faults": {"interrupted": "new"},
    },
    {"parameters": {"a": 1, "b": "text", "c": True, "d.e": [1], "f": "choice(a, b)", "g": {"parameters": {"h": 1}}}},
    {"parameters": {"a": {"min": 1, "max": 2, "q": 0.5}, "b": {"min": 1, "max": 4}, "c": {"value": None}}},
    {
        "parameters": {
            "a": {"values": [1, 2], "probabilities": [0.5, 0.5]},
            "b": {"values": [1, 2], "when": {"a": [1, 2]}},
        }
    },
]

REFUSED = [
    {"nmae": "s"},
    {"name": ".s"},
    {"name": "a/b"},
    {"checkpoints": {"pattern": []}},
    {"checkpoints": {"pattern": "/data/*.pt"}},
    {"checkpoints": {"pattern": "a/../../*.pt"}},
    {"checkpoints": {"pattern": ["${checkpoint_dir}/*.pt"]}},
    {"name": 3},
    {"command": []},
    {"command": ""},
    {"command": {"a": 1}},
    {"command": [None]},
    {"function": "a.b"},
    {"metric": {"name": "a"}},
    {"metric": {"name": "a", "goal": "up"}},
    {"metric": {"name": "", "goal": "maximize"}},
    {"metric": []},
    {"budget": {"trials": 0}},
    {"budget": {"trials": 1.5}},
    {"budget": {"trials": True}},
    {"budget": {"time": "soon"}},
    {"budget": {"time": "0s"}},
    {"budget": {"time": "12h\n"}},
    {"budget": {"count": []}},
    {"sampler": "tep"},
    {"sampler": {"seed": 3}},
    {"pruner": 3},
    {"parallel": 0},
    {"parallel": "two"},
    {"parallel": True},
    {"env": {"A B": 1}},
    {"env": {"A": None}},
    {"trial": {"oom": "shrink"}},
    {"trial": {"folds": {"n": 1}}},
    {"trial": {"seeds": []}},
    {"checkpoints": {"kept": 3}},
    {"check": {"args": "--max_steps 20"}},
    {"check": {"arguments": []}},
    {"resources": {"memory": "lots"}},
    {"enqueue": {}},
    {"matrix": {}},
    {"parameters": []},
    {"parameters": {"a b": 1}},
    {"parameters": {"a": None}},
    {"parameters": {"a": []}},
    {"parameters": {"a": {}}},
    {"parameters": {"a": {"min": 1}}},
    {"parameters": {"a": {"min": 1, "max": 2, "values": [1]}}},
    {"parameters": {"a": {"min": "1", "max": 2}}},
    {"parameters": {"a": {"values": []}}},
    {"parameters": {"a": {"distribution": "uniform", "min": 0}}},
    {"parameters": {"a": {"distribution": "unifrom", "min": 0, "max": 1}}},
    {"parameters": {"a": {"min": 0, "max": 1, "distribution": "log_uniform_values"}}},
    {"parameters": {"a": {"distribution": "int_uniform", "min": 0.5, "max": 2}}},
    {"parameters": {"a": {"parameters": {}}}},
    {"parameters": {"a": {"parameters": {"b": 1}, "min": 1}}},
    {"parameters": {"a": "lgo(1, 2)"}},
    {"parameters": {"a": "log(1)"}},
    {"parameters": {"a": "log(1"}},
    {"parameters": {"a": {"values": [1, 2], "when": {"b": []}}}},
    {"parameters": {"a": {"values": [1, 2], "when": "b"}}},
]


@pytest.mark.parametrize("keys", ACCEPTED, ids=repr)
def test_what_is_right_is_accepted_by_both(keys):
    data = {**STUDY, **keys}
    if "parameters" in keys:
        data["budget"] = {"trials": 5}
    if "budget" in keys and keys["budget"].get("trials") is None:
        data["budget"] = {**keys["budget"], "time": keys["budget"].get("time", 60)}
    assert schema_accepts(data)
    assert reader_accepts(data)


@pytest.mark.parametrize("keys", REFUSED, ids=repr)
def test_what_is_wrong_is_refused_by_both(keys):
    data = {**STUDY, **keys}
    assert not schema_accepts(data)
    assert not reader_accepts(data)


texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            "auto",
            "tpe",
            "asha",
            "12h",
            "0m",
            "1h30m",
            " 5s",
            "16G",
            "1.5 GiB",
            "maximize",
            "a:b",
            "a.b:c",
            "infeasible",
            "new",
        ]
    ),
    st.from_regex(r"[0-9]{0,2}[dhms: -][0-9]{0,2}[:ms]?[0-9]{0,2}", fullmatch=True),
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 1000), st.sampled_from([0.0, 0.5, 2.0, -1.5, 1e20]), texts
)
known_keys = sorted(
    {
        "name",
        "goal",
        "trials",
        "time",
        "seed",
        "n",
        "dir",
        "keep",
        "pattern",
        "shrink",
        "oom",
        "folds",
        "timeout",
        "memory",
        "gpus",
    }
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(known_keys), texts), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(sorted(set(native.STUDY_FILE.shapes) - {"parameters"})), values)
@example("tracking", ["A:A", "A:A"])
@example("command", "python train.py --name 'a")
@example("command", "python train.py \\")
@example("command", " \n")
@example("slurm", {"srun": "--cpu-bind='none"})
def test_any_value_of_any_key_is_accepted_by_both_or_by_none(key, value):
    assert schema_accepts({key: value}) == shape_accepts({key: value})


@st.composite
def definitions(draw) -> dict:
    """A definition by any word, right or with one thing wrong."""
    word = draw(st.sampled_from(sorted(FIGURES)))
    required, optional = FIGURES[word]
    good = {
        "min": 1, "max": 4, "q": 1, "mu": 0.5, "sigma": 2, "a": 1.5, "b": 2, "value": "v", "values": ["a", "b"],
        "probabilities": [0.5, 0.5],
    }  # fmt: skip
    keys = [*required, *(key for key in optional if draw(st.booleans()))]
    definition = {key: good[key] for key in keys}
    if word in ("constant", "categorical", "int_uniform", "q_uniform") and "q" not in optional and draw(st.booleans()):
        pass  # the figures say it
    else:
        definition["distribution"] = word
    wrong = draw(st.sampled_from(["nothing", "unknown", "missing", "type", "when", "list"]))
    if wrong == "unknown":
        definition[draw(st.sampled_from(["mn", "step", "sigma", "values", "value", "q"]))] = 1
    elif wrong == "missing" and required:
        del definition[draw(st.sampled_from(required))]
    elif wrong == "type":
        definition[draw(st.sampled_from(sorted(definition)))] = draw(st.sampled_from(["text", None, True, {"a": 1}]))
    elif wrong == "when":
        definition["when"] = draw(st.sampled_from([{"other": 1}, {"other": []}, {}, None, "other", {"other": [1, 2]}]))
    elif wrong == "list":
        definition[draw(st.sampled_from(sorted(definition)))] = []
    return definition


@given(definitions())
def test_any_definition_is_accepted_by_both_or_by_none(definition):
    data = {"parameters": {"other": [1, 2], "x": definition}}
    assert schema_accepts(data) == shape_accepts(data), definition
