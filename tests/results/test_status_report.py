"""The status report and the answers to the checklists: what is in a study is in the text, whatever its names look like."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest

from outlast.config.load import settings_from_resolved
from outlast.core.fold import Study
from outlast.core.records import RevisionMade
from outlast.core.states import Cause, TrialState
from outlast.optimizer.importances import Importance
from outlast.results.checklist import paper
from outlast.results.page_data import FromFiles, page_data
from outlast.results.prose import Paragraph, as_latex, as_markdown
from outlast.results.report_facts import report_facts
from outlast.results.status_report import status_report
from outlast.testing.studies import StudyBuilder

NASTY = "a|b_<i>&%$#{~^\\x}*`"
STATUS: dict[str, Any] = {"state": "done", "reason": "", "hours": {}, "warnings": []}


def searched(trials: int, goals: int = 1) -> Study:
    build, draw = StudyBuilder(NASTY), random.Random(2)
    for number in range(trials):
        params = {"opt.lr": 10 ** draw.uniform(-5, -1), "model": draw.choice(["mlp", NASTY])}
        if number % 10 == 9:
            build.trial(params, TrialState.FAILED, at=60 * number, cause=Cause.CRASH, reason=NASTY, host="n1")
        else:
            values = (params["opt.lr"] * 5 + (params["model"] == NASTY), draw.random())[:goals]
            build.trial(params, values=values, at=60 * number, seconds=30)
    build.study.apply(RevisionMade(2, build.at(5), {}, ("budget.trials: 10 -> 60",)))
    return build.study


def data_of(study: Study, goals: int = 1, **follow_ups: Any) -> dict[str, Any]:
    settings = settings_from_resolved(
        {
            "name": "s",
            "command": ["python", "train.py", "${args}"],
            "metric": [{"name": "acc_%", "goal": "maximize"}, {"name": "loss", "goal": "minimize"}][:goals],
            "parameters": {
                "opt.lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
                "model": {"values": ["mlp", NASTY]},
                "depth": {"min": 1, "max": 4, "when": {"model": "mlp"}},
            },
            "budget": {"trials": 60},
            "sampler": "random",
        },
        ".",
    )
    facts = report_facts(study, settings, importances=[Importance("opt.lr", 0.9, 0.8, 1.0)])
    files = FromFiles("studies/s", packages=["torch==2.9"], follow_ups=follow_ups)
    return page_data(study, settings, files, status=STATUS, facts=facts, made_at="2026-01-06T10:00:00+00:00")


@pytest.mark.parametrize("write", [as_markdown, as_latex])
@pytest.mark.parametrize("make", [status_report, paper])
@pytest.mark.parametrize(("trials", "goals"), [(0, 1), (1, 1), (60, 1), (60, 2)])
def test_every_study_has_both_texts(write, make, trials, goals):
    text = write(make(data_of(searched(trials, goals), goals)))
    assert "None" not in text and "nan" not in text and "  \n" not in text
    if write is as_latex:
        outside = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.DOTALL)
        bare = re.sub(r"\\[\\{}$&#%_]", "", outside)
        assert not re.search(r"[#%$_^~|<>]", re.sub(r"\\label\{.*?\}", "", re.sub(r"\\ensuremath\{.*?\}", "", bare)))
        assert bare.count("{") == bare.count("}") and text.count(r"\begin{") == text.count(r"\end{")


def test_the_status_report_says_what_is_known():
    text = as_markdown(status_report(data_of(searched(60))))
    for said in (
        "done, 2026-01-06", "54 complete, 6 failed", "metric: acc_%",
        "1e-05 to 0.1, on a logarithmic scale",
        "model is mlp", "What won", "| opt.lr | 0.9 | 0.8 to 1 |", "the study file was changed: budget.trials: 10 -\\> 60",
        "trial 9 crash on n1: ", "5 more like it, until 2026-01-05 11:00", "| 6 | crash |",
    ):  # fmt: skip
        assert said in text, said
    assert NASTY not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)  # whatever a name says, it is text
    tables = [block.splitlines() for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)]
    assert all(len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1 for rows in tables)


def test_of_several_objectives_the_pareto_front_is_named():
    text = as_markdown(status_report(data_of(searched(60, 2), 2)))
    assert "On the Pareto front: trials" in text and "### What won by loss" in text
    assert "On the Pareto front" not in as_markdown(status_report(data_of(searched(60))))


def test_the_checklists_are_answered_and_what_is_missing_is_asked():
    text = as_markdown(paper(data_of(searched(60))))
    for said in (
        "independently and at random", "54 complete, 6 failed", "Expected validation performance",
        "| 54 |", "minutes of training",
        "Each configuration was run once", "torch==2.9", "seed of the search: 1", "For the authors to say", "outlast evaluate",
    ):  # fmt: skip
        assert said in text, said


@pytest.mark.parametrize(("text", "written"), [
    ("__proto__ _lr_ val_acc", "\\_\\_proto_\\_ \\_lr_ val_acc"), ("&lt; a & b", "\\&lt; a & b"), ("# no", "\\# no"),
    ("1. no", "1\\. no"), ("+ no", "\\+ no"), ("---", "\\---"), ("-0.5 #3 1.5", "-0.5 #3 1.5"),
])  # fmt: skip
def test_what_markdown_would_read_as_its_own_is_text(text, written):
    assert as_markdown([Paragraph(text)]) == f"{written}\n"


def test_what_came_after_the_search_is_told():
    row = {"trial": 7, "n": 5, "mean": 0.9, "low": 0.88, "high": 0.92, "std": 0.016}
    once = {**row, "trial": 8, "n": 1, "low": None, "high": None, "std": None}
    after = {
        "confirm": {
            "verdict": "trial 7 is beyond noise",
            "error_level": 0.05,
            "ranking": [row, once],
        },
        "refit": {
            "trial": 7,
            "why": "confirmed",
            "epochs": 12,
            "trainings": [{"state": "complete"}, {"state": "failed"}],
        },
        "evaluate": {"looked": 2, "looks": [{}, {"scores": {"test": 0.89}, "models": [{}, {}]}]},
    }
    data = data_of(searched(60), **after)
    for text in (as_markdown(paper(data)), as_markdown(status_report(data))):
        assert "trial 7 is beyond noise" in text and "| 7 | 5 | 0.9 | 0.88 to 0.92 | 0.016 |" in text
        assert "| 8 | 1 | 0.9 |  |  |" in text
    assert "was run once" not in as_markdown(paper(data)) and "outlast evaluate" not in as_markdown(paper(data))
    text = as_markdown(status_report(data))
    assert "trial 7 (confirmed) for 12 epochs, 1 of 2 trainings done" in text
    assert "looked at twice: test 0.89, the mean of 2 models" in text
