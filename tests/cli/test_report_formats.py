"""``report --format`` and ``--paper``, as they are typed."""

from __future__ import annotations

import random

import pandas
import pytest

from lab.recorded import record_study
from outlast.core.states import Cause, TrialState
from outlast.testing.studies import StudyBuilder

FILE = {
    "name": "made",
    "command": ["true", "${args}"],
    "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": {"min": 0.0, "max": 1.0}, "model": {"values": ["mlp", "a|b_$"]}},
    "budget": {"trials": 40},
    "sampler": "random",
}


@pytest.fixture(autouse=True)
def made(here):
    build, draw = StudyBuilder(), random.Random(5)
    for number in range(40):
        params = {"lr": draw.random(), "model": draw.choice(["mlp", "a|b_$"])}
        if number % 8 == 7:
            build.trial(
                params, TrialState.FAILED, at=60 * number, cause=Cause.CRASH, reason="ValueError: no 50% of <x>"
            )
        else:
            build.trial(params, values=params["lr"], at=60 * number)
    record_study(here.folder / "studies" / "made", FILE, build)


def test_the_status_report(here):
    said = here("report", "made", "--format", "md")
    assert said.code == 0 and said.out.startswith("# made: done, ")
    for heading in ("## What was searched", "### What won", "### What matters", "## What failed", "## What happened"):
        assert heading in said.out
    assert "lr: " in said.out and "upper end of its range, 1" in said.out and "a\\|b_$" in said.out


@pytest.mark.parametrize(
    ("kind", "begins"), [("md", "# The hyperparameter search made"), ("latex", "\\section{The hyper")]
)
def test_the_paper(here, kind, begins):
    said = here("report", "--paper", "--format", kind)
    assert said.code == 0 and said.out.startswith(begins) and "35 complete, 5 failed" in said.out


def test_the_paper_is_markdown_unless_latex_is_asked_for(here):
    assert here("report", "--paper").out == here("report", "--paper", "--format", "md").out


def test_the_table_for_a_paper_and_the_tables_for_a_program(here):
    table = here("report", "--format", "latex").out
    assert table.startswith("\\begin{table}") and r"a\ensuremath{|}b\_\$" in table
    assert here("report", "--format", "csv", "--output", "all.csv").out == "all.csv\n"
    assert here("report", "--format", "parquet", "--output", "all.parquet").code == 0
    rows, columns = pandas.read_csv("all.csv"), pandas.read_parquet("all.parquet")
    assert list(rows.columns) == list(columns.columns) and rows["lr"].tolist() == columns["lr"].tolist()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--paper", "--format", "csv"], "--paper is a text"),
        (["--format", "docx"], "docx"),
        (["made", "made", "--format", "md"], "of one study"),
    ],
)
def test_what_makes_no_report_is_said(here, words, says):
    said = here("report", *words)
    assert said.code == 2 and says in said.err and not said.out
