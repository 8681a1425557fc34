from __future__ import annotations

import io
import math
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from outlast.cli.live.onlooker import _ended, _outcome
from outlast.cli.render import render_run
from outlast.cli.render.render_show import show_best, show_failures, show_trial, show_trials
from outlast.config.settings import (
    BudgetSettings,
    MetricSettings,
    SamplerSettings,
    Settings,
)
from outlast.core.records import AttributeSet
from outlast.core.states import BY_HAND, Cause, TrialState
from outlast.errors import OutlastError, StudyFileError, UsageError
from outlast.monitor.snapshot import LiveFacts, Snapshot, snapshot
from outlast.results.configuration import configuration
from outlast.results.failures import group_failures
from outlast.space.distributions import Latent
from outlast.space.parameters import Parameter
from outlast.testing.studies import StudyBuilder

FOLDER = "studies/digits"
PARAMETERS = (
    Parameter("lr", "log_uniform_values", Latent("float", 1e-5, 1e-1, log=True)),
    Parameter("model", "categorical", Latent("categorical", choices=("mlp", "cnn"))),
    Parameter("optimizer.dropout", "uniform", Latent("float")),
    Parameter("epochs", "constant", value=20),
)


def settings(metric: str = "val_accuracy", **given: Any) -> Settings:
    given.setdefault("budget", BudgetSettings(trials=50))
    given.setdefault("metrics", (MetricSettings(name=metric),))
    return Settings(name="digits", command=("true",), parameters=PARAMETERS, **given)


def build(scale: float = 1.0, *, gpus: float = 0.0) -> StudyBuilder:
    made = StudyBuilder(gpus=gpus)
    made.run(0, trials=50)
    for i in range(12):
        curve = tuple((step, scale * (0.5 + step / 50)) for step in range(20))
        made.trial({"lr": 10.0**-i, "model": "mlp"}, at=i * 60, values=scale * (0.8 + i / 100), curves=(curve,))
    made.trial({"lr": 0.1, "model": "cnn", "optimizer.dropout": 0.25}, TrialState.PRUNED, at=720, last_step=4)
    made.trial(
        {"lr": 0.1, "model": "cnn", "optimizer.dropout": 0.4},
        TrialState.FAILED,
        at=780,
        seconds=4,
        exit_code=1,
        reason="ValueError: shapes [red](3,) and (4,)[/red] do not fit",
        signature="abc",
    )
    made.trial({"lr": 0.01, "model": "mlp"}, TrialState.RUNNING, at=790)
    return made


def look(made: StudyBuilder, chosen: Settings | None = None, *, live: bool = True) -> Snapshot:
    facts = LiveFacts("box", 4242, made.at(0), 2) if live else None
    return snapshot(
        made.study,
        chosen or settings(),
        now=made.moment(900),
        live=facts,
        running_reports={14: (7, 0.93)},
        folder=FOLDER,
    )


def text(renderable: object, width: int = 80, *, crop: bool = True, **given: Any) -> str:
    out = io.StringIO()
    given.setdefault("color_system", None)
    Console(file=out, width=width, markup=False, highlight=False, emoji=False, **given).print(renderable, crop=crop)
    return out.getvalue()


def banner(made: StudyBuilder, chosen: Settings | None = None, **given: Any) -> str:
    chosen = chosen or settings()
    return text(render_run.start_banner(look(made, chosen), chosen, index=f"{FOLDER}/study.db", slots=2, **given))


def test_a_new_search_says_what_it_will_do() -> None:
    said = banner(StudyBuilder(), sampler="tpe (multivariate)")
    assert said.startswith("STARTING NEW SEARCH  digits\n")
    for fact in ("studies/digits/study.db", "val_accuracy (maximize)", "50 in total", "2 trials at once"):
        assert fact in said
    assert "complete, pruned and infeasible trials count" in said and "tpe (multivariate)" in said
    assert "Resumable: you can safely stop and restart" in said
    assert "best" not in said and "so far" not in said


def test_a_resumed_search_says_where_it_stands() -> None:
    said = banner(build())
    assert said.startswith("RESUMING  digits\n")
    flat = " ".join(said.split())
    assert "12 complete, 1 pruned, 1 failed, 0 interrupted, 1 running, 37 remaining" in flat
    assert "val_accuracy 0.9100 (91.00%) in trial 11" in flat


@pytest.mark.parametrize(("new", "title"), [(True, "STARTING NEW SEARCH"), (False, "RESUMING")])
def test_trials_that_only_wait_are_a_new_search_s_first_ones_or_those_of_a_run_that_was_killed(
    new: bool, title: str
) -> None:
    made = StudyBuilder()
    made.trial({"lr": 0.01}, TrialState.CREATED)
    assert banner(made, new=new).startswith(title)


def test_a_percentage_metric_has_two_decimals() -> None:
    made = StudyBuilder()
    made.trial(values=87.4512)
    assert "87.45% in trial 0" in banner(made, settings("Validation Macro Top-1 Accuracy"))


def test_there_is_no_best_line_before_a_trial_completes() -> None:
    made = StudyBuilder()
    made.trial({}, TrialState.FAILED)
    said = banner(made)
    assert said.startswith("RESUMING") and "0 complete" in said and "best" not in said


def test_the_banner_takes_further_notes() -> None:
    chosen = settings(sampler=SamplerSettings(name="gp"))
    said = banner(StudyBuilder(), chosen, notes=[("checkpoints", "kept of the best 3"), ("code", "changed\x1b[31m")])
    assert "  checkpoints  kept of the best 3\n" in said and "  code         changed\n" in said and "gp" in said


def test_the_status_shows_how_far_how_good_how_fast_and_what_next() -> None:
    said = text(render_run.status(look(build())))
    assert said.startswith("digits  running, 15m 00s so far\n")
    for fact in (
        "run by      pid 4242 on box\n",
        "13/50  26%",
        "val_accuracy 0.9100 in trial 11",
        "per minute, done in",
        "100% ",
        "step 7",
    ):
        assert fact in said
    assert said.rstrip().endswith(f"next        outlast status {FOLDER} -w")


@pytest.mark.parametrize(
    ("counted", "target", "shown"),
    [(2999, 3000, "99.9%"), (3000, 3000, "100%"), (13, 50, "26%"), (29, 100, "29%"), (1, 3, "33.3%"), (0, 9, "0%")],
)
def test_the_target_is_at_100_percent_only_when_it_is_reached(counted: int, target: int, shown: str) -> None:
    at = replace(look(build()), counted=counted, target=target)
    assert f"{counted}/{target}  {shown}" in text(render_run.status(at))


def test_the_status_of_a_study_that_nobody_runs_says_how_to_go_on() -> None:
    said = text(render_run.status(look(build(), live=False)))
    assert said.startswith("digits  stopped\n") and "ended without a word" in " ".join(said.split())
    assert "step 7" not in said and f"outlast run {FOLDER}" in said


def test_the_status_without_a_target_has_no_bar() -> None:
    assert "14 finished, no target" in text(render_run.status(look(build(), settings(budget=BudgetSettings()))))


def test_the_status_says_what_the_hours_went_into() -> None:
    made = build()
    number = made.trial(state=TrialState.INTERRUPTED, seconds=600, curves=(((0, 0.1), (1, 0.2)),))
    made.attempt(number, seconds=600, values=0.3, curves=(((1, 0.2), (2, 0.3)),))
    expected = "training 33m 04s: 27m 00s complete, 1m 00s pruned, 5m 04s wasted; 5m 00s not repeated thanks to resume"
    assert expected in " ".join(text(render_run.status(look(made))).split())


def test_the_end_has_statistics_the_best_configuration_and_the_next_command() -> None:
    made = build(gpus=1)
    made.end(900, "done", "all 50 trials are finished", elapsed=900)
    chosen = settings()
    best = configuration(made.study.trials[11], made.study, chosen)
    files = [("config", f"{FOLDER}/best_config.yaml")]
    said = text(render_run.end_summary(look(made, chosen, live=False), configuration=best, files=files))
    for fact in (
        "Study statistics digits",
        "done: all 50 trials",
        "13 of 50: 12 complete, 1 pruned; besides 1 failed, 1 running; 37 remaining",
        ", 15m 00s of running",
        "GPU hours 0.22: 0.2 complete, 0.017 pruned, 0.0011 wasted",
        "1e-11",
    ):
        assert fact in " ".join(said.split())
    assert f"{FOLDER}/best_config.yaml" in said and "epochs" in said
    assert said.rstrip().splitlines()[-2:] == [
        f"  next        outlast show {FOLDER} best",
        f"  then        outlast confirm {FOLDER}",
    ]


def test_the_end_of_a_study_without_a_completed_trial_is_no_trouble() -> None:
    said = text(render_run.end_summary(look(StudyBuilder(), live=False), configuration={}))
    assert "no trial has completed" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            UsageError("no such command", cure="did you mean 'run'?"),
            "error:  no such command\n        did you mean 'run'?\n",
        ),
        (
            StudyFileError("unknown key 'lrr'", file="s.yaml", line=4, key="parameters", cure="did you mean 'lr'?"),
            "error:  s.yaml:4: parameters: unknown key 'lrr'\n        did you mean 'lr'?\n",
        ),
        (OutlastError("the disk is full"), "error:  the disk is full\n"),
        (OutlastError("bad \x1b[31mname", cure="a\nb"), "error:  bad name\n        a\n        b\n"),
    ],
)
def test_an_error_is_its_fact_its_place_and_its_cure(error: OutlastError, said: str) -> None:
    assert text(render_run.render_error(error)) == said


def test_a_finished_trial_is_one_line() -> None:
    made, metrics = build(), settings().metrics
    trials = made.study.trials
    assert render_run.trial_line(trials[7], metrics, best=True) == "trial 7 complete val_accuracy=0.8700 (best) 1m 00s"
    assert render_run.trial_line(trials[12], metrics) == "trial 12 pruned at step 4 1m 00s"
    failed = "trial 13 failed (crash): ValueError: shapes [red](3,) and (4,)[/red] do not fit 4.0s"
    assert render_run.trial_line(trials[13], metrics) == failed
    trials[12].reason = BY_HAND
    assert render_run.trial_line(trials[12], metrics) == "trial 12 pruned by hand at step 4 1m 00s"


def test_the_table_of_trials_has_the_best_first_and_the_failed_last() -> None:
    made = build()
    lines = text(show_trials(made.study, settings(), folder=FOLDER)).splitlines()
    assert lines[0].split() == ["trial", "state", "val_accuracy", "time", "lr", "model", "optimizer.dropout"]
    assert lines[1].split()[:3] == ["11", "complete", "0.9100"]
    assert [line.split()[0] for line in lines[13:16]] == ["12", "13", "14"]
    assert "-inf" in lines[14] and "(crash)" in lines[14]


def test_a_long_table_is_cut_and_says_where_the_rest_is() -> None:
    said = text(show_trials(build().study, settings(), folder=FOLDER, limit=3))
    assert f"and 12 more: {FOLDER}/trials.csv" in said


def test_an_empty_study_has_a_table_too() -> None:
    assert "no trials yet" in text(show_trials(StudyBuilder().study, settings(), folder=FOLDER))
    assert "no trial has completed" in text(show_best([], folder=FOLDER))
    assert "no trial has failed" in text(show_failures([], folder=FOLDER))


def shown(made: StudyBuilder, number: int, **given: Any) -> str:
    trial = made.study.trials[number]
    return text(show_trial(trial, settings(), configuration=configuration(trial, made.study, settings()), **given))


def test_what_an_objective_noted_is_shown_with_the_trial() -> None:
    made = StudyBuilder()
    trial = made.study.trials[made.trial(values=0.9)]
    made.study.apply(AttributeSet(trial.number, "best epoch", '{"at": 7, "of": NaN}'))
    shown = text(show_trial(trial, settings(), configuration={}))
    assert "user attributes" in shown and '{"at": 7, "of": NaN}' in shown


def test_a_trial_shows_its_curve_parameters_and_paths() -> None:
    said = shown(build(), 3, paths=[("log", f"{FOLDER}/trials/0003/output.log")])
    assert "▁" in said and "█" in said and "steps 0 to 19, 0.5 to 0.88" in said
    assert "0.8300 (83.00%)" in said and "lr        0.001" in said and "output.log" in said


def test_a_trial_shows_each_attempt_with_its_reason() -> None:
    made = StudyBuilder()
    number = made.trial({}, TrialState.INTERRUPTED, reason="SIGTERM from outside", signal=15, seconds=30, last_step=3)
    made.attempt(number, at=100, seconds=20, values=0.5)
    said = shown(made, number)
    flat = " ".join(said.split())
    assert "1 interrupted (preempted): SIGTERM from outside 30s, step 3, signal 15, box" in flat
    assert "2         complete  20s, box, resumed" in said


def test_a_failed_trial_shows_its_last_lines_made_harmless() -> None:
    said = shown(build(), 13, tail=["Traceback:", "\x1b[31mValueError\x1b[0m"])
    assert "failed (crash)" in said and "    ValueError\n" in said and "\x1b" not in said


def test_the_best_is_shown_exactly() -> None:
    made = StudyBuilder()
    made.trial({"lr": 0.0123456789}, values=0.5)
    trial = made.study.trials[0]
    whole = show_trial(
        trial,
        settings(),
        configuration=configuration(trial, made.study, settings()),
        command="python train.py " + "x" * 99,
    )
    said = text(show_best([whole], folder=FOLDER, files=[("results", "best_results.json")]), crop=False)
    assert "0.0123456789" in said and "epochs" in said and "best_results.json" in said
    assert "started       20" in said and "attempts" in said, "all that show of the trial says"
    assert "  python train.py " + "x" * 99 + "\n" in said, "a command is not broken in two"


def test_failures_are_grouped_with_what_they_share() -> None:
    made = build()
    made.trial({"lr": 1.0, "model": "cnn"}, TrialState.FAILED, signature="abc", reason="same", cause=Cause.CRASH)
    said = text(show_failures(group_failures(made.study), folder=FOLDER, tails={13: ["last words"]}))
    assert said.startswith("2 trials  crash  first in trial 13\n")
    assert "shapes [red](3,) and (4,)[/red] do not fit" in said, "a text is not markup"
    assert "model=cnn" in said and "13, 15" in said and "last words" in said
    assert f"outlast show {FOLDER} 13" in said and f"outlast retry {FOLDER} --cause crash" in said


def everything(made: StudyBuilder) -> list[object]:
    chosen, seen = settings(), look(made)
    trial = made.study.trials[13]
    best = configuration(made.study.trials[11], made.study, chosen)
    return [
        render_run.start_banner(seen, chosen, index=f"{FOLDER}/study.db", slots=2, notes=[("note", "word " * 30)]),
        render_run.status(seen),
        render_run.status(look(made, live=False)),
        render_run.end_summary(seen, configuration=best, files=[("config", f"{FOLDER}/best_config.yaml")]),
        render_run.render_error(StudyFileError("x " * 80, file="s.yaml", cure="y " * 80)),
        show_trials(made.study, chosen, folder=FOLDER),
        show_trial(trial, chosen, configuration=best, paths=[("log", "a/b/c")]),
        show_failures(group_failures(made.study), folder=FOLDER),
    ]


@pytest.mark.parametrize("width", [60, 40])
def test_everything_fits_a_narrow_terminal(width: int) -> None:
    for screen in everything(build()):
        lines = text(screen, width, crop=False).splitlines()
        too_long = [line for line in lines if len(line) > width]
        words = [line for line in too_long if " " not in line.split("  ")[-1]]  # a path
        assert [line for line in too_long if "  outlast " not in line and line not in words] == []
        assert [line for line in lines if line != line.rstrip()] == []


def test_plain_output_has_no_control_codes() -> None:
    for screen in everything(build()):
        assert all(char == "\n" or char.isprintable() for char in text(screen))


def test_colour_changes_nothing_but_the_colour() -> None:
    from rich.text import Text

    for screen in everything(build()):
        coloured = text(screen, force_terminal=True, color_system="truecolor")
        assert "\x1b[" in coloured and Text.from_ansi(coloured).plain.rstrip() == text(screen).rstrip()


def test_infinite_values_do_not_break_a_screen() -> None:
    made = StudyBuilder()
    made.trial({"lr": 0.1}, TrialState.PRUNED, curves=(((0, math.inf), (1, math.nan)),))
    assert "no finite value" in shown(made, 0)
    text(show_trials(made.study, settings(), folder=FOLDER))


def test_in_a_wide_window_a_result_has_its_parameters_behind_it() -> None:
    made = build()
    trial = made.study.trials[11]
    line = render_run.ended_line(trial, made.study, settings(), params=True)
    assert line == "trial 11 complete val_accuracy=0.9100 (best) 1m 00s  lr=1e-11 model=mlp"
    assert render_run.ended_line(trial, made.study, settings(), params=False).endswith("1m 00s")


def test_who_watches_is_told_of_the_last_results_and_of_each_new_one_once() -> None:
    made = build()
    told = {_outcome(trial) for trial in _ended(made.study, ())[:-3]}
    assert [trial.number for trial in _ended(made.study, told)] == [11, 12, 13]
    last = {_outcome(made.study.trials[number]) for number in (11, 12, 13)}
    assert _ended(made.study, told | last) == []
    assert len(_ended(made.study, {(number, "before --fresh") for number, _ in told | last})) == len(told | last)
