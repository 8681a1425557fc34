from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.records import TrialRetried
from outlast.core.states import Cause, TrialState
from outlast.results.trial_table import TrialTable, cell, row, study_summary
from outlast.space.distributions import Latent
from outlast.space.parameters import Parameter
from outlast.testing.studies import StudyBuilder

LR = Parameter("lr", "uniform", Latent("float"))
EPOCHS = Parameter("epochs", "constant", value=20)


def settings(*parameters: Parameter, **given: Any) -> Settings:
    given.setdefault("metrics", (MetricSettings(name="acc"),))
    return Settings(name="digits", command=("true",), parameters=parameters, **given)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_no_finished_trial_gives_the_header_alone() -> None:
    build = StudyBuilder()
    build.trial({"lr": 0.1}, TrialState.RUNNING)
    text = TrialTable(settings(LR, EPOCHS)).render(build.study)
    assert (
        text == "number,state,cause,value,lr,attempts,seconds,started_at,finished_at,seed,revision,code,source,reason\n"
    )


def test_one_row_per_finished_trial_by_number() -> None:
    build = StudyBuilder()
    build.trial({"lr": 0.1}, values=0.5, number=1, seconds=12.5, metrics={"acc": 0.5, "loss": 1.5})
    build.trial({"lr": 0.2}, TrialState.RUNNING, number=2)
    build.trial({"lr": 1e-05}, TrialState.FAILED, number=0, reason="ValueError: no", cause=Cause.CRASH)
    rows = read(TrialTable(settings(LR)).render(build.study))
    assert [r["number"] for r in rows] == ["0", "1"]
    assert rows[0]["value"] == "-inf" and rows[0]["lr"] == "1e-05" and rows[0]["cause"] == "crash"
    assert rows[0]["reason"] == "ValueError: no" and rows[0]["metric.loss"] == ""
    assert rows[1]["value"] == "0.5" and rows[1]["metric.loss"] == "1.5" and rows[1]["seconds"] == "12.5"
    assert rows[1]["seed"] == "101" and rows[1]["finished_at"] == build.at(12.5)


def test_several_objectives_have_a_column_each() -> None:
    metrics = (MetricSettings(name="f1"), MetricSettings(name="ece", goal="minimize"))
    build = StudyBuilder()
    build.trial(values=(0.9, 0.1))
    build.trial(state=TrialState.FAILED)
    rows = read(TrialTable(settings(metrics=metrics)).render(build.study))
    assert [(r["f1"], r["ece"]) for r in rows] == [("0.9", "0.1"), ("-inf", "inf")]


def test_parameters_that_collide_with_a_column_are_told_apart() -> None:
    build = StudyBuilder()
    build.trial({"state": "on", "value": 3}, values=0.5)
    rows = read(TrialTable(settings()).render(build.study))
    assert rows[0]["state"] == "complete" and rows[0]["param.state"] == "on" and rows[0]["param.value"] == "3"


def test_an_inactive_parameter_is_empty_and_a_none_is_null() -> None:
    build = StudyBuilder()
    build.trial({"lr": 0.1, "wd": None, "on": True, "sizes": [1, 2]}, values=0.5)
    build.trial({"lr": 0.1}, values=0.5)
    first, second = read(TrialTable(settings(LR)).render(build.study))
    assert (first["wd"], first["on"], first["sizes"]) == ("null", "true", "[1, 2]")
    assert (second["wd"], second["on"], second["sizes"]) == ("", "", "")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "\tx", "\n=1", "＝1"])
def test_a_text_cannot_become_a_formula(text: str) -> None:
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", ["-0.5", "+1e-3", "relu", "a=b", "", "1-2"])
def test_harmless_texts_and_numbers_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_a_column_name_cannot_become_a_formula_either() -> None:
    build = StudyBuilder()
    build.trial({"=x": 1}, values=0.5)
    assert ",'=x," in TrialTable(settings()).render(build.study).splitlines()[0]


@given(st.lists(st.text(st.characters(codec=None), max_size=12), min_size=1, max_size=4))
def test_any_text_survives_as_one_cell_of_one_row(texts: list[str]) -> None:
    cells = [cell(text) for text in texts]
    line = row(cells)
    line.encode("utf-8")
    assert list(csv.reader(io.StringIO(line, newline=""))) == [cells]
    assert not any(c[:1] in ("=", "@", "\t", "\r") for c in cells)


@given(st.floats(allow_nan=False))
def test_numbers_are_exact(value: float) -> None:
    assert float(cell(value)) == value


def test_a_table_that_grew_equals_one_made_at_once() -> None:
    build, grown = StudyBuilder(), TrialTable(settings(LR))
    for i in range(6):
        build.trial({"lr": i / 10, **({"extra": i} if i == 3 else {})}, TrialState.RUNNING)
        grown.render(build.study)
    for i in (4, 1, 5, 0, 3, 2):
        names = {f"m{i % 3}": 1.0, "acc": 0.5}
        build.finish(i, values=0.5 + i / 100, metrics=names)
        assert grown.render(build.study) == TrialTable(settings(LR)).render(build.study)
    build.study.apply(TrialRetried(3, build.at(500)))
    text = grown.render(build.study)
    assert text == TrialTable(settings(LR)).render(build.study)
    assert "extra" not in text, "the only trial that had it waits for a new attempt"


def test_finished_rows_are_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    build, table, rendered = StudyBuilder(), TrialTable(settings(LR)), []
    original = TrialTable._values
    monkeypatch.setattr(
        TrialTable, "_values", lambda self, trial, *rest: rendered.append(trial.number) or original(self, trial, *rest)
    )
    for i in range(5):
        build.trial({"lr": i / 10}, values=0.5)
        table.render(build.study)
    table.render(build.study)
    assert rendered == [0, 1, 2, 3, 4]


def test_a_script_that_prints_a_new_name_each_step_does_not_flood_the_table() -> None:
    build = StudyBuilder()
    build.trial(values=0.5, metrics={f"step_{i}": 1.0 for i in range(500)} | {"loss": 1.0})
    build.trial(values=0.5, metrics={"loss": 1.0})
    header = TrialTable(settings()).render(build.study).splitlines()[0].split(",")
    assert "metric.loss" in header and len(header) < 90


def test_the_summary_has_every_finished_trial_best_first_with_all_that_trials_csv_says() -> None:
    build = StudyBuilder()
    build.trial({"lr": 0.1}, values=0.5)
    build.trial({"lr": 0.2}, state=TrialState.FAILED)
    build.trial({"lr": 0.3}, values=0.9)
    build.trial({"lr": 0.4}, state=TrialState.INTERRUPTED)
    table = TrialTable(settings(LR))
    summary, trials = read(table.render_ranked(build.study)), read(table.render(build.study))
    assert [(line["rank"], line["number"]) for line in summary] == [("1", "2"), ("2", "0"), ("3", "1")]
    assert [{**line, "rank": None} for line in sorted(summary, key=lambda line: line["number"])] == [
        {"rank": None, **line} for line in trials
    ]
    assert read(TrialTable(settings(LR)).render_ranked(StudyBuilder().study)) == []


def facts(build: StudyBuilder, chosen: Settings) -> dict[str, Any]:
    return dict(study_summary(build.study, chosen))


def test_the_summary_survives_an_empty_study() -> None:
    found = facts(StudyBuilder(), settings(LR))
    assert found["complete"] == 0 and found["best_trial"] == "" and found["remaining"] == ""
    assert found["first_started_at"] == "" and found["metric"] == "acc" and found["goal"] == "maximize"


def test_the_summary_counts_times_and_gpu_hours() -> None:
    build = StudyBuilder(gpus=2)
    build.run(0)
    build.trial(values=0.5, seconds=3600)
    number = build.trial(state=TrialState.INTERRUPTED, seconds=1800)
    build.attempt(number, at=4000, seconds=1800, values=0.7)
    build.trial(state=TrialState.FAILED, seconds=0)
    build.end(8000, "stopped", elapsed=8000)
    found = facts(build, settings(LR, budget=BudgetSettings(trials=5)))
    assert (found["complete"], found["failed"], found["remaining"], found["attempts"]) == (2, 1, 3, 4)
    assert (found["training_seconds"], found["gpu_hours"], found["interruptions"]) == (7200.0, 4.0, 1)
    assert (found["best_trial"], found["best_value"], found["state"]) == (1, 0.7, "stopped")
    assert found["ended_runs_seconds"] == 8000


def test_the_summary_of_several_objectives_names_each_best_and_the_front() -> None:
    metrics = (MetricSettings(name="f1"), MetricSettings(name="ece", goal="minimize"))
    build = StudyBuilder()
    build.trial(values=(0.9, 0.2))
    build.trial(values=(0.8, 0.1))
    found = facts(build, settings(metrics=metrics))
    assert (found["best_f1"], found["best_ece"], found["pareto_front"]) == (0.9, 0.2, "0 1")


def test_infinite_values_are_readable() -> None:
    assert cell(-math.inf) == "-inf" and float(cell(math.inf)) == math.inf


def test_the_columns_are_those_of_the_file_with_their_values_as_they_are() -> None:
    build = StudyBuilder()
    build.trial({"lr": 0.1, "wd": None, "sizes": [1, 2]}, values=0.5, metrics={"loss": 1.5})
    build.trial({"lr": 0.2, "new": True}, TrialState.RUNNING)
    table = TrialTable(settings(LR))
    columns = table.columns(build.study)
    assert set(columns) == {*read(table.render(build.study))[0], "new"}
    assert columns["value"] == [0.5, None] and columns["sizes"] == [[1, 2], None] and columns["wd"] == [None, None]
    assert columns["state"] == ["complete", "running"] and columns["seconds"] == [60.0, 0]
    assert columns["metric.loss"] == [1.5, None] and columns["new"] == [None, True]
