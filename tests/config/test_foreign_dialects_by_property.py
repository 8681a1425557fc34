"""Any file of a foreign dialect is read and reads back equal, or is refused with its place; nothing else happens."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.config import reference_dialect as reference
from outlast.config import wandb, yaml
from outlast.config.load import load_study_file, settings_from_resolved, to_yaml
from outlast.config.resolved import read_record
from outlast.errors import StudyFileError

GARBAGE = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 30), st.sampled_from([0.0, 0.5, -1.5, 1e-5, float("inf")]),
    st.sampled_from(["", "auto", "1e-5", "bayes", "${args}", "${program}", "train.py", "../x", "5m"]),
    st.lists(st.sampled_from([1, 2, "a", None, 0.5]), max_size=3), st.just({}), st.just({"name": "x"}),
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, 2, 9, 0.1, 0.5, 1.0, 3.5, 1e-5, -2, -1.0])
VALUES = st.lists(st.sampled_from([1, 2, 1.0, True, None, "a", "b c", [1, 2], {"k": 1}]), min_size=1, max_size=4)


def some(known: Mapping[str, Any], *always: str) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with the keys `always` and any of the others, as they should be."""
    return st.fixed_dictionaries(
        {key: known[key] for key in always}, optional={key: known[key] for key in known if key not in always}
    )


@st.composite
def spoilt(draw: Any, files: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """A file, in half of the cases with something replaced, left out or added at some depth."""
    document = copy.deepcopy(draw(files))  # parts of it are shared by all files of the strategy
    if draw(st.booleans()):
        place = document
        while True:
            key = draw(st.sampled_from(sorted(place, key=str)))
            if not (isinstance(place[key], dict) and place[key] and draw(st.booleans())):
                break
            place = place[key]
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                place[key] = draw(GARBAGE)
            case "remove":
                del place[key]
            case "add":
                place[draw(st.sampled_from(["mn", "values", "q", "metric", "method", "type", "command"]))] = draw(
                    GARBAGE
                )
    return document


_WORDS = (
    "constant", "categorical", "categorical_w_probabilities", "int_uniform", "uniform", "q_uniform", "log_uniform",
    "log_uniform_values", "q_log_uniform", "q_log_uniform_values", "inv_log_uniform", "inv_log_uniform_values", "normal",
    "q_normal", "log_normal", "q_log_normal", "beta", "q_beta",
)  # fmt: skip
_FIGURES = {
    "min": NUMBERS, "max": NUMBERS, "q": NUMBERS, "mu": NUMBERS, "sigma": NUMBERS, "a": NUMBERS, "b": NUMBERS,
    "value": GARBAGE, "values": VALUES, "probabilities": st.just([0.25, 0.75]), "distribution": st.sampled_from(_WORDS),
}  # fmt: skip
_LEAVES = st.one_of(
    some({"min": st.just(1), "max": st.just(5)}, "min", "max"),
    some({"values": VALUES}, "values"),
    some({"value": GARBAGE}, "value"),
    st.sampled_from(_WORDS).map(
        lambda word: {
            "distribution": word,
            **({"value": 3} if word == "constant" else {"values": ["a", "b"]} if word.startswith("cat") else {}),
            **({"probabilities": [0.25, 0.75]} if word.endswith("probabilities") else {}),
            **({"min": 1, "max": 4} if "uniform" in word else {"a": 2, "b": 3} if "beta" in word else {}),
            **({"mu": 0.5, "sigma": 2} if "normal" in word else {}),
            **({"q": 2} if word.startswith("q_") else {}),
        }
    ),
    some(_FIGURES),
)
_NESTED = st.recursive(
    st.dictionaries(st.sampled_from(["lr", "model", "batch-size", "a.b"]), _LEAVES, min_size=1, max_size=3),
    lambda inner: st.dictionaries(
        st.sampled_from(["optimizer", "lr"]), st.fixed_dictionaries({"parameters": inner}), min_size=1, max_size=2
    ),
    max_leaves=4,
)
SWEEPS = some(
    {
        "program": st.just("train.py"),
        "method": st.sampled_from(["bayes", "random", "grid"]),
        "metric": some({"name": st.just("val/loss"), "goal": st.just("maximize"), "target": NUMBERS}, "name"),
        "parameters": _NESTED,
        "run_cap": st.integers(1, 30),
        "name": st.sampled_from(["sweep", "a sweep", "../x"]),
        "description": st.just("some words"),
        "project": st.just("p"),
        "command": st.lists(
            st.sampled_from(["${env}", "${interpreter}", "${program}", "${args}", "${args_json}", "${envvar:HOME}", 3]),
            min_size=1, max_size=4,
        ),
        "early_terminate": some(
            {"type": st.just("hyperband"), "min_iter": st.integers(1, 9), "eta": st.integers(2, 4)}, "type", "min_iter"
        ),
    },
    "program", "method", "metric", "parameters", "run_cap",
)  # fmt: skip

_SEARCHED = st.one_of(
    some({"type": st.just("choice"), "values": VALUES}, "type", "values"),
    some({"type": st.sampled_from(["uniform", "loguniform", "int", "loguniform_int"]), "min": NUMBERS, "max": NUMBERS},
         "type", "min", "max"),
)  # fmt: skip
HPO_FILES = some(
    {
        "command": st.sampled_from(["python train.py ${args}", ["python", "train.py", "--lr", "${lr}"]]),
        "search_space": st.dictionaries(st.sampled_from(["lr", "batch", "a.b"]), _SEARCHED, min_size=1, max_size=3),
        "sampling": some(
            {"algorithm": st.sampled_from(["random", "bayesian", "grid", "sobol", "cmaes"]), "max_trials": st.just(9),
             "timeout_minutes": NUMBERS, "random_seed": st.integers(0, 9)},
            "max_trials",
        ),
        "objective": st.just({"metric": "macro-f1", "goal": "maximize"}),
        "early_termination": some(
            {"policy": st.sampled_from(["bandit", "median", "none"]), "evaluation_interval": st.integers(1, 3),
             "slack_factor": NUMBERS, "delay_evaluation": st.integers(0, 3)},
            "policy",
        ),
        "k_fold": some(
            {"enabled": st.booleans(), "n_splits": st.integers(2, 5), "random_seed": st.integers(0, 9),
             "shuffle": st.booleans(), "stratified": st.booleans()}
        ),
        "checkpoint": some(
            {"enabled": st.booleans(), "storage_path": st.just("{lr}/study.db"), "auto_resume": st.booleans()}
        ),
        "trial": st.just({"retries": 1}),
    },
    "command", "search_space", "sampling", "objective",
)  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_or_refused(document: dict[str, Any]) -> bool:
    """Whether the file was read; a refusal has to say where it is, and what is read has to read back."""
    with open("file.yaml", "w") as file:
        file.write(json.dumps(document).replace("Infinity", ".inf"))
    try:
        one = load_study_file("file.yaml")
    except StudyFileError as error:
        assert error.exit_code == 2 and error.fact
        assert error.file == "file.yaml" and error.line == 1
        return False
    for data in (one.resolved, json.loads(json.dumps(one.resolved)), yaml.parse(to_yaml(one), "study.yaml").data):
        again = settings_from_resolved(data, os.getcwd())
        assert again.resolved == one.resolved
        assert replace(read_record(data, os.getcwd()), notes=again.notes) == again
    return True


_HOW = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@_HOW
@given(document=spoilt(SWEEPS))
def test_any_wandb_sweep_is_read_or_refused(here, document):
    assume(any(key in document for key in wandb.ONLY_KEYS))
    read_or_refused(document)


@_HOW
@given(document=spoilt(HPO_FILES))
def test_any_file_of_the_other_dialect_is_read_or_refused(here, document):
    assume(any(key in document for key in reference.ONLY_KEYS))
    read_or_refused(document)


@pytest.mark.parametrize("files", [SWEEPS, HPO_FILES], ids=["wandb", "reference"])
def test_a_good_share_of_these_files_is_read(files, here):
    read = []

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(document=files)
    def collect(document):
        read.append(read_or_refused(document))

    collect()
    assert sum(read) > len(read) / 8, (sum(read), len(read))
