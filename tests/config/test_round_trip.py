"""What is resolved reads back equal: through plain data, JSON and YAML."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.config import units, yaml
from outlast.config.load import settings_from_resolved, to_yaml
from outlast.config.revisions import compare

names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
fractions = st.floats(0.001, 1000).map(lambda x: float(f"{x:.6g}"))


@st.composite
def parameters(draw) -> dict:
    out: dict = {"first": ["a", "b"]}
    for name in draw(st.lists(names.filter(lambda n: n != "first"), max_size=4, unique=True)):
        low, high = sorted([draw(fractions), draw(fractions)])
        definition = draw(
            st.sampled_from(
                [
                    f"log({low}, {high})",
                    {"min": low, "max": high, "distribution": "q_log_uniform_values", "q": 0.5},
                    {"min": low, "max": high},
                    {"min": 1, "max": 9, "distribution": "uniform"},
                    {"distribution": "normal", "mu": low, "sigma": high},
                    {"min": -2.5, "max": 3, "distribution": "log_uniform"},
                    "int(1, 7)",
                    [1, None, "x", [1, 2], {"k": True}],
                    {"values": ["x", "y"], "probabilities": [0.25, 0.75]},
                    draw(st.integers(-5, 5)),
                    "text",
                ]
            )
        )
        if draw(st.booleans()):
            definition = definition if isinstance(definition, dict) else {"parameters": {"inner": definition}}
            definition = {**definition, "when": {"first": draw(st.sampled_from(["a", ["a", "b"]]))}}
        out[name] = definition
    return out


durations = st.one_of(st.integers(1, 10**6), fractions, st.sampled_from(["90s", "1h30m", "24:00:00", "2-12"]))

studies = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,10}", fullmatch=True),
        "command": st.sampled_from(["run ${args}", ["run", "${first}", 3], "sh x.sh ${args_no_equals}"]),
        "metric": st.sampled_from(
            [
                "maximize acc",
                {"name": "m", "goal": "minimize", "target": 1.5, "take": "best"},
                [{"name": "a", "goal": "minimize"}],
            ]
        ),
        "parameters": parameters(),
        "budget": st.fixed_dictionaries(
            {"trials": st.integers(1, 99)}, optional={"time": durations, "max_failures": st.integers(1, 9)}
        ),
    },
    optional={
        "sampler": st.sampled_from(["tpe", "random", {"name": "gp", "seed": 3}, {"name": "a.B", "x": [1.0]}]),
        "pruner": st.sampled_from(["asha", {"name": "median", "n_startup_trials": 3}, None]),
        "constraints": st.just("first != 'c'"),
        "enqueue": st.just([{"first": "a"}]),
        "env": st.dictionaries(
            st.from_regex(r"[A-Z]{1,4}", fullmatch=True), st.one_of(texts, st.integers()), max_size=2
        ),
        "trial": st.fixed_dictionaries(
            {},
            optional={
                "timeout": durations,
                "grace": durations,
                "seeds": st.just([1, 2]),
                "folds": st.just({"n": 3}),
                "retries": st.just(2),
            },
        ),
        "parallel": st.one_of(st.just("auto"), st.integers(1, 9)),
        "resources": st.fixed_dictionaries(
            {}, optional={"gpus": st.sampled_from([0, 0.5, 2]), "memory": st.integers(0, 2**40)}
        ),
        "checkpoints": st.sampled_from([{"keep": 2}, {"pattern": "*.pt"}, {"pattern": ["a/*", "b"]}]),
        "check": st.just({"args": ["--max_steps", "20"]}),
        "notify": st.sampled_from(
            [
                "${NTFY}",
                ["${A}", "ntfy://***"],
                {"command": "tell now"},
                {"urls": ["tgram://${A}/${B}"], "what": ["end", "begin"]},
            ]
        ),
    },
)


@given(studies)
@settings(max_examples=60, deadline=None)
def test_resolved_settings_read_back_equal_through_every_format(study):
    one = settings_from_resolved(study, ".")
    for data in (
        one.resolved,
        json.loads(json.dumps(one.resolved)),
        yaml.parse(to_yaml(one), "study.yaml").data,
    ):
        again = settings_from_resolved(data, ".")
        assert again.resolved == one.resolved
        assert replace(again, notes=one.notes) == one
        assert not compare(one.resolved, data)


@given(st.one_of(st.integers(0, 10**7).map(float), st.floats(0, 1e7)))
def test_durations_read_back_exactly(seconds):
    assert units.parse_duration(units.format_duration(seconds)) == seconds


@given(st.integers(0, 2**52))
def test_sizes_read_back_exactly(size):
    assert units.parse_size(units.format_size(size)) == size
