"""``show --trials`` and what ``show`` says of the trials as a whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from lab.recorded import record_study
from outlast.core.states import TrialState
from outlast.testing.studies import StudyBuilder

FILE = {
    "name": "made",
    "command": ["true", "${args}"],
    "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {
        "opt.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
        "model": {"values": ["mlp", "cnn"]},
    },
    "budget": {"trials": 60},
    "sampler": "random",
}


@pytest.fixture
def made(here):
    build, draw = StudyBuilder(), random.Random(3)
    for number in range(60):
        params = {"opt.lr": 10 ** draw.uniform(-5, -1), "model": draw.choice(["mlp", "cnn"])}
        state = TrialState.FAILED if number % 10 == 9 else TrialState.COMPLETE
        score = params["opt.lr"] * 5 + (params["model"] == "cnn")
        build.trial(params, state, at=60 * number, values=score if state is TrialState.COMPLETE else None)
    record_study(here.folder / "studies" / "made", FILE, build)
    return build


@pytest.mark.usefixtures("made")
def test_trials_are_filtered_and_sorted(here):
    said = here("show", "--trials", "--where", "lr < 0.01 and state == 'complete'", "--sort", "-acc")
    header, *rows = said.out.splitlines()
    assert said.code == 0 and header.split() == [
        "number",
        "state",
        "cause",
        "acc",
        "opt.lr",
        "model",
        "attempts",
        "seconds",
    ]
    values = [float(row.split()[3]) for row in rows]
    assert values == sorted(values, reverse=True) and all(float(row.split()[4]) < 0.01 for row in rows)


def test_the_json_has_every_column_of_every_trial(here, made):
    rows = json.loads(here("show", "made", "--trials", "--json").out)
    assert [row["number"] for row in rows] == list(range(60))
    assert rows[0]["opt.lr"] == made.study.trials[0].params["opt.lr"] and rows[9]["value"] == "-inf"
    assert rows[0]["seconds"] == 60.0 and rows[0]["seed"] == 100


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--where", "opt.l < 1"], 2, "opt.lr"),
        (["--sort", "speed"], 2, "there is no column 'speed'"),
        (["best", "--trials"], 2, "--trials is of all trials"),
        (["--where", "model == 'vit'"], 0, "no trial matches"),
    ],
)
def test_what_cannot_be_shown_is_said(words, code, says, here):
    said = here("show", "made", *words)
    assert said.code == code and says in said.everything


@pytest.mark.usefixtures("made")
def test_the_trials_say_in_a_few_lines_what_won_at_what_cost(here):
    said = here("show", "made")
    lines = {line.split()[0]: line for line in said.out.splitlines()[-7:] if line.strip()}
    assert "model = cnn has" in lines["won"] and "1 hour of training" in lines["cost"] and "new best" in lines["more"]
    whole = here("show", "analysis").out
    assert "What won" in whole and "Spearman" in whole and "no number beyond chance" not in whole
    assert json.loads(here("show", "made", "analysis", "--json").out)["objectives"][0]["name"] == "acc"


@pytest.mark.slow
@pytest.mark.usefixtures("made")
def test_what_they_say_is_said_without_a_numeric_library():
    program = (
        "import sys; from outlast.cli.main import run_cli; run_cli({words!r}); "
        "sys.exit(' '.join({{'numpy', 'scipy', 'optuna', 'pandas'}} & set(sys.modules)) or 0)"
    )
    for words in (["show", "made"], ["show", "made", "analysis"], ["show", "made", "--trials"]):
        done = subprocess.run(
            [sys.executable, "-c", program.format(words=words)], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
