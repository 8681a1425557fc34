"""What a run says last, and what follows it: statistics, the prompt, and the plots behind it."""

from __future__ import annotations

import errno
import os
import pkgutil
import signal
import time
from pathlib import Path

import pytest
from tests.cli.test_report_command import data_in
from tests.lab.waiting import until

from outlast._system import notebooks
from outlast.config.settings import MetricSettings, Settings
from outlast.core.fold import Study
from outlast.core.records import StudyEnded, TrialCreated
from outlast.core.states import TrialState
from outlast.engine import launch
from outlast.engine.derived import final_plots as plotting
from outlast.engine.derived.report import write_report
from outlast.engine.launch import settle
from outlast.optimizer.plot_names import PLOTS, mark_of
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(name="small", metrics=(MetricSettings(name="score"),))


@pytest.fixture(autouse=True)
def with_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "1")
    for job in ("SLURM_JOB_ID", "CI"):
        monkeypatch.delenv(job, raising=False)
    monkeypatch.setattr(plotting, "in_container", lambda: False)  # wherever the tests run


def drawn(folder: str) -> list[str]:
    return [name for name in PLOTS if mark_of(Path(folder, "plots", name)) is not None]


def test_a_halted_study_gets_its_plots_too(here) -> None:
    here.study(kind="{value: crash}", budget="{trials: 9}")
    said = here("run")
    assert said.code == 3, said.everything
    assert "plots (being drawn)" in said.out
    until(lambda: drawn("studies/small") == list(PLOTS), "the plots are drawn behind it", 60)


def test_a_study_that_is_gone_afterwards_gets_none(here, monkeypatch) -> None:
    settled: list[object] = []
    monkeypatch.setattr(launch, "settle", lambda *_: settled.append(_))
    here.study(budget="{trials: 1}", index="{in_memory: true}")
    assert here("run").code == 0
    assert not settled
    here.study(budget="{trials: 1}")
    assert here("run").code == 0
    assert len(settled) == 1


@pytest.mark.slow
def test_the_prompt_is_there_before_the_plots_which_find_a_folder_that_was_moved(here, monkeypatch) -> None:
    monkeypatch.setattr(plotting, "outlives_us", lambda: True)
    draws, started = plotting.drawing, []

    def held(paths, words):  # as if they were slower to begin than who moves it
        started.append(draws(paths, words))
        os.kill(started[-1].pid, signal.SIGSTOP)
        return started[-1]

    monkeypatch.setattr(plotting, "drawing", held)
    said = here("run")
    os.rename("studies/small", "studies/aside")
    for each in started:
        os.kill(each.pid, signal.SIGCONT)
    assert said.code == 0
    assert "plots (being drawn)" in said.out
    deadline = time.monotonic() + 60
    while drawn("studies/aside") != list(PLOTS):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not os.path.exists("studies/small")
    again = here("run", "studies/aside")
    assert again.code == 0
    assert "being drawn" not in again.out, "they show the study as it is"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("outlast.optimizer.plot_pages._page", ["show", ".", "plots"]),
        ("outlast.engine.derived.final_plots._are_current", ["show", ".", "plots"]),  # as while what draws is loaded
        ("outlast.engine.derived.report.facts_of", ["report", "."]),
    ],
)
def test_what_is_drawn_behind_goes_along_with_a_folder_that_is_moved_meanwhile(
    here, monkeypatch, module, words
) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    assert here("run").code == 0
    original, aside = pkgutil.resolve_name(module), here.folder / "studies" / "aside"

    def moved(*given, **named):
        if not aside.exists():
            os.rename(here.folder / "studies" / "small", aside)
        return original(*given, **named)

    monkeypatch.setattr(module, moved)
    monkeypatch.chdir("studies/small")
    said = here(*words, *["--behind"] * (words[0] == "report"))
    assert (said.code, said.err) == (0, ""), said.everything
    assert os.listdir(here.folder / "studies") == ["aside"]
    if words[0] == "show":
        assert drawn(str(aside)) == list(PLOTS)
    else:
        page = data_in(aside / "report.html")
        assert (page["study"]["folder"], sorted(page["logs"])) == ("studies/aside", ["0", "1"])


def test_what_nobody_reads_ends_nothing(monkeypatch, tmp_path: Path) -> None:
    def full(_text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("outlast.engine.launch.bring_home", lambda _paths: "the home is behind")
    settle(StudyPaths.at(tmp_path), Study(), SETTINGS, full)


def test_a_page_that_cannot_be_drawn_costs_neither_the_other_one_nor_what_comes_home(
    monkeypatch, tmp_path: Path
) -> None:
    did: list[str] = []

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def odd(*_: object) -> None:
        did.append("report")
        raise ValueError("what nobody thought of")

    monkeypatch.setattr(plotting, "are_wanted", lambda *_: True)
    monkeypatch.setattr(plotting, "draw_plots", full)
    monkeypatch.setattr("outlast.engine.derived.report.draw_report", odd)
    monkeypatch.setattr(plotting, "outlives_us", lambda: False)
    monkeypatch.setattr("outlast.engine.launch.bring_home", lambda _paths: did.append("home"))
    with pytest.raises(ValueError, match="nobody thought of"):
        settle(StudyPaths.at(tmp_path), Study(), SETTINGS, print)
    assert did == ["report", "home"]


@pytest.mark.parametrize(
    ("state", "wanted"), [("done", True), ("halted", True), ("stopped", False), ("paused", False), (None, False)]
)
def test_plots_are_drawn_at_a_studys_end(state: str | None, wanted: bool, tmp_path: Path) -> None:
    study, at = Study(), "2026-01-01T00:00:00.000+00:00"
    assert not plotting.are_wanted(StudyPaths.at(tmp_path), study)
    study.apply(TrialCreated(0, at, {"x": 0.5}))
    if state is not None:
        study.apply(StudyEnded(at, state))
    assert plotting.are_wanted(StudyPaths.at(tmp_path), study) is wanted


def test_of_a_long_study_whose_fold_was_kept_no_trial_is_asked_for(tmp_path: Path) -> None:
    build, paths = StudyBuilder("small"), StudyPaths.at(tmp_path)
    for number in range(40):
        state = TrialState.PRUNED if number % 3 == 2 else TrialState.COMPLETE
        build.trial({"x": number / 40}, state, at=60.0 * number, values=None if number % 3 == 2 else number / 40)
    build.end(9999.0, "done")
    plotting.draw_plots(paths, build.study, SETTINGS)
    assert not plotting.are_wanted(paths, build.study)
    kept = Study.resumed(*build.study.kept())
    assert not plotting.are_wanted(paths, kept)
    assert dict.__len__(kept.trials) == 0
    build.trial({"x": 0.5}, at=5000.0, values=0.5)
    assert plotting.are_wanted(paths, build.study), "one more"


def test_a_page_is_wanted_until_it_knows_how_the_study_came_to_rest(tmp_path: Path) -> None:
    study, paths = Study(), StudyPaths.at(tmp_path)
    study.apply(TrialCreated(0, "2026-01-01T00:00:00.000+00:00", {"x": 0.5}))
    assert not plotting.is_page_wanted(paths, study), "it runs"
    write_report(paths.report, {}, title="x", study=study)
    study.apply(StudyEnded("2026-01-01T00:00:01.000+00:00", "stopped"))
    assert plotting.is_page_wanted(paths, study)
    write_report(paths.report, {}, title="x", study=study)
    assert not plotting.is_page_wanted(paths, study)


@pytest.mark.parametrize(("parent", "job", "container", "terminal", "goes_on"), [
    (500, "", False, False, True), (1, "", False, True, False), (0, "", False, True, False),
    *((500, job, False, True, False) for job in ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "CI")),
    (500, "", True, False, False), (500, "", True, True, True),
])  # fmt: skip
def test_where_nothing_may_outlive_the_run_the_plots_are_drawn_at_once(
    parent: int, job: str, container: bool, terminal: bool, goes_on: bool, monkeypatch
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: parent)
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    monkeypatch.setattr(plotting, "in_container", lambda: container)
    if job:
        monkeypatch.setenv(job, "7")
    assert plotting.outlives_us() is goes_on


@pytest.mark.parametrize(("run_type", "goes_on"), [(None, True), ("Interactive", True), ("Batch", False)])
def test_at_a_notebook_that_lives_on_nobody_waits_for_plots(run_type: str | None, goes_on: bool, monkeypatch) -> None:
    """A version that Kaggle runs ends with its last cell, and takes what draws with it."""
    monkeypatch.setattr(notebooks, "is_notebook", lambda: True)
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", run_type or "")
    assert plotting.outlives_us() is goes_on


def test_plots_on_request(here, monkeypatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    here.study(kind="{value: crash}")
    here("run", "--trials", "1")
    assert not drawn("studies/small")
    said = here("show", "plots")
    assert said.code == 0
    assert said.out.split() == [f"studies/small/plots/{name}" for name in PLOTS]
    assert drawn("studies/small") == list(PLOTS)


def test_trials_that_do_not_count_are_told_apart_from_those_that_do(here, monkeypatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    here.study(kind="{values: [a, crash]}", budget="{trials: 3}", enqueue="[{x: 0.1, kind: a}, {x: 0.2, kind: crash}]")
    said = here("run", "--parallel", "1")
    assert said.code == 0, said.everything
    assert "done: the target of 3 trials is reached" in said.out
    assert "3 of 3: 3 complete; besides " in said.out


def test_stop_on_a_study_at_rest_says_how_it_rests(here, monkeypatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    here("run")
    assert "it is done (all 2 trials are finished); outlast show studies/small" in here("stop").out
    here.study(kind="{value: crash}")
    here("run", "--name", "other")
    assert "it halted (" in here("stop", "other").out
