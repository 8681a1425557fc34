"""What Outlast writes as YAML means the same to PyYAML (1.1), ruamel.yaml (1.2), W&B, and itself."""

from __future__ import annotations

import datetime
import json
import math

import pytest
import yaml as pyyaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from outlast.config import yaml
from outlast.config.command import sweep_parameters
from outlast.config.native import read
from outlast.config.trial_config import resolve_trial_config
from outlast.config.yaml_writer import dump, dump_json

WORDS = (
    "yes no on off y n Yes NO On null ~ Null true True none None nan .nan inf .inf -.inf 010 09 0o17 0x1F 0b11 1_000 "
    "1:30 1:30:15.5 2024-01-31 2024-01-31T10:00:00Z 1e-5 1e5 1.5e3 -.5 .5 1. +1 -1 = << - -- --x -a ? : # & * ! | > % "
    "@ ` [ ] { } , \" ' \\ :0 ?0 a:b a: #x x#y _1 1_ e5 /tmp/x lr=0.1 é 日本 😀"
)
BLANKS = ("", " ", " a", "a ", "a b", "a: b", "a #b", "x\ny", "\n", "\r\n", "\t", "\x85", "\u2028", "\ufeff")
TRICKY = (*WORDS.split(), *BLANKS)
NUMBERS = (
    1e-05,
    5e-05,
    1e16,
    1e22,
    1e-300,
    -1.2e-05,
    -0.0,
    0.1,
    1.0,
    math.inf,
    -math.inf,
    math.nan,
    2**53,
    10**400,
    -7,
    0,
)

texts = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(NUMBERS), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
documents = st.dictionaries(texts, values, max_size=5)


def exact(value):
    """The value with its types, -0.0 and nan told apart from what they are equal or unequal to."""
    if isinstance(value, dict):
        return {exact(key): exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    return type(value).__name__, repr(value)


def readers():
    return pyyaml.safe_load, YAML(typ="safe", pure=True).load


@settings(max_examples=50)
@given(documents, st.booleans())
@example({"lr": 1e-05, "no": "no", "worst": -math.inf, "unknown": math.nan, "inner": {"all": [math.inf]}}, False)
@example({"lr": 1e-05, "no": "no", "octal": "010", "time": "1:30"}, False)
@example({"k" * 2000: {"x" * 3000: [1, {"y" * 1500: 2}]}, "z" * 1200: [1, 2]}, True)
def test_both_versions_of_yaml_read_back_what_was_written(data, compact):
    text = dump(data, compact=compact)
    for load in readers():
        assert exact(load(text)) == exact(data)


@pytest.mark.parametrize("value", [*TRICKY, *NUMBERS], ids=repr)
def test_a_value_that_one_version_would_mistake_is_read_back_as_key_value_and_item(value):
    data = {"v": value, "l": [value], str(value): {str(value): [{"x": value}]}}
    for compact in (False, True):
        for load in readers():
            assert exact(load(dump(data, compact=compact))) == exact(data)


def test_tuples_classes_and_half_pairs_are_written_too():
    class Loud(float):
        pass

    assert pyyaml.safe_load(dump({"a": (1, 2), "b": Loud(2), "c": "\ud800", "d": b"x"})) == {
        "a": [1, 2],
        "b": 2.0,
        "c": "\\ud800",
        "d": "b'x'",
    }


finite = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)


@settings(max_examples=50)
@given(finite)
@example([math.pi, 1e-05, -1e22, {"": [], "x": {}, "\x7f\x85": "\ufeff😀/"}])
def test_json_is_read_back_by_json_and_by_both_versions_of_yaml(data):
    for load in (json.loads, *readers()):
        assert exact(load(dump_json(data))) == exact(data)


def test_dates_of_a_toml_file_stay_dates():
    day, moment = datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 10, 30, 15, 250000)
    for load in readers():
        assert load(dump({"day": day, "moment": moment, "time": datetime.time(10, 30)})) == {
            "day": day,
            "moment": moment,
            "time": "10:30:00",
        }


def study(tmp_path, **keys):
    base = {"command": "python train.py ${args}", "metric": "minimize loss", "parameters": {"lr": {"values": [1, 2]}}}
    document = yaml.Document({"name": "s", "budget": {"trials": 1}, **base, **keys}, "study.yaml")
    return read(document, working_directory=str(tmp_path), files=False)


@settings(max_examples=50)
@given(texts.filter(bool), scalars)
def test_wandb_reads_the_sweeps_parameters_as_they_were_drawn(text, value):
    from io import StringIO

    from wandb.util import load_yaml

    drawn = {"lr": value, "name": text, "deep": [value, {text: value}]}
    sweep = study(".", parameters={"lr": {"values": [1, 2]}})
    held = load_yaml(StringIO(dump(sweep_parameters(sweep, drawn))))
    assert held.pop("wandb_version") == 1
    assert exact({key: entry["value"] for key, entry in held.items()}) == exact(drawn)


BASE = """
plain: no
switch: [on, Off, y]
octal: 010
nine: 09
time: 1:30
date: 2024-01-31
tiny: 1e-5
quoted: "no"
nested: {a: yes, b: ~, c: "1:30", d: .5, e: 1_000}
keys: {0: a, "1": b, yes: c, 1.5: d, 010: e, 2024-01-31: f, null: g, on: h}
list: [{0: no}, [off, 1e5]]
"""


def test_what_the_base_file_says_is_read_by_each_version_as_if_from_the_base_file(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    config = resolve_trial_config(study(tmp_path, config="base.yaml"), {"lr": 5e-05})
    text = dump(config)
    for load in readers():
        expected = {**load(BASE), "lr": 5e-05, "tiny": 1e-05}  # text to PyYAML, but certainly meant as a number
        expected["list"][1][1] = 1e5
        assert exact(load(text)) == exact(expected)
    assert pyyaml.safe_load(text)["date"] == datetime.date(2024, 1, 31)
