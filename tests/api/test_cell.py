"""What a notebook's cell shows of a search: one output, kept up to date, in which names are text."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from outlast.api.cell import Page
from outlast.api.cell_page import page_of
from outlast.api.in_cell import InCell
from outlast.api.searching import drawn_to_the_end
from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.plan import Verdict
from outlast.core.states import StudyState, TrialState
from outlast.errors import StorageError
from outlast.monitor.best_so_far import so_far
from outlast.monitor.health.warning import HealthWarning
from outlast.monitor.overview import Overview, Sight, overview_of
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened
from outlast.testing.studies import StudyBuilder

EVIL = "<script>alert(1)</script>\x1b[31m"


def settings(name: str = "digits") -> Settings:
    return Settings(name=name, metrics=(MetricSettings(name="acc"),), budget=BudgetSettings(trials=40))


def overview(finished: int = 12, at_work: int = 2, *, name: str = "digits", live: bool = True, **more: Any) -> Overview:
    build = StudyBuilder(name)
    build.run(0)
    for i in range(finished):
        build.trial({"lr": 0.1 / (i + 1), "kind": more.get("kind", "adam")}, at=i * 60, values=1 - 1 / (i + 2))
    for _ in range(at_work):
        build.trial({"lr": 0.01, "kind": "sgd"}, state=TrialState.RUNNING, at=finished * 60)
    held = settings(name)
    found = snapshot(
        build.study, held, now=build.moment(finished * 60 + 30), live=LiveFacts("box", 7, build.at(0), 2) if live else None,
        running_reports={finished: (3, 0.75)}, folder=f"studies/{name}",
    )  # fmt: skip
    return overview_of(Sight(name, f"studies/{name}", found, study=build.study, settings=held), found.now)


def words_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_the_page_says_how_far_it_is_what_is_best_and_what_runs() -> None:
    page = page_of(overview(), ["new study studies/digits: 40 trials"], ["trial 11 complete acc=0.923"])
    for said in (words_of(page.html), " ".join(page.plain.split())):
        assert "12 of 40: 12 complete, 2 running" in said and "done in" in said
        assert "acc 0.9231 in trial 11" in said and "kind=adam" in said
        assert "trial 12" in said and "step 3" in said and "acc 0.7500" in said
        assert "new study studies/digits: 40 trials" in said and "trial 11 complete acc=0.923" in said
    assert "<polyline" in page.html and "width:30.0%" in page.html


def test_whatever_a_name_a_value_or_a_line_holds_is_text() -> None:
    page = page_of(overview(name=EVIL, kind=EVIL), [EVIL], [EVIL])
    assert "<script" not in page.html and "\x1b" not in page.html


def test_nothing_in_it_needs_a_style_sheet_a_script_or_the_network() -> None:
    assert re.findall(r"<(style|script|link|img)|https?:|url\(", page_of(overview()).html) == []


@pytest.mark.parametrize("finished", [0, 1, 5000])
def test_it_stays_small_however_many_trials_there_are(finished: int) -> None:
    page = page_of(overview(finished, at_work=64))
    assert len(page.html) < 16_000 and len(page.plain.splitlines()) < 20 and "56 more run" in page.html


def test_a_warning_says_what_to_do() -> None:
    from msgspec.structs import replace

    of = overview()
    sight = of.sights[0]
    assert sight.snapshot is not None
    warned = replace(sight.snapshot, warnings=(HealthWarning("disk", "the disk is nearly full", "outlast clean"),))
    page = page_of(replace(of, sights=(replace(sight, snapshot=warned),)))
    assert "the disk is nearly full" in page.html and "warning: the disk is nearly full (outlast clean)" in page.plain


def test_a_trial_that_does_not_keep_to_its_constraints_is_no_best_so_far() -> None:
    of = overview()
    study = of.sights[0].study
    assert study is not None
    study.trials[11].optuna_attrs = {"constraints": [1.0]}
    assert len(so_far(of.sights[0])) == 11


class Outputs:
    def __init__(self) -> None:
        self.pages: list[Page] = []

    def show(self, page: Page) -> None:
        self.pages.append(page)


@pytest.fixture
def output() -> Outputs:
    return Outputs()


@pytest.fixture
def shown(tmp_path: Path, output: Outputs) -> InCell:
    return InCell(settings(), "studies/digits", StudyPaths.at(tmp_path), output=output)  # type: ignore[arg-type]


def opened() -> Opened:
    build = StudyBuilder("digits")
    build.run(0)
    return Opened(None, build.study, True, False, False)  # type: ignore[arg-type]


def test_all_that_is_said_until_it_has_begun_stays_and_is_shown_at_once(shown: InCell, output: Outputs) -> None:
    for i in range(20):
        shown.said(f"{EVIL} {i} is found")
    assert "19 is found" in output.pages[-1].plain and "<script" not in output.pages[-1].html
    shown.begun(opened(), 2, "not the objective of the trials")
    last = output.pages[-1].plain
    assert all(f" {i} is found" in last for i in range(20)) and "not the objective of the trials: fresh=True" in last


def test_what_is_said_after_the_end_is_shown(shown: InCell, output: Outputs) -> None:
    of = opened()
    shown.begun(of, 2, "")
    shown.ended(Verdict(StudyState.STOPPED, ""), of.study)
    shown.said("it cannot be brought home")
    assert "it cannot be brought home" in output.pages[-1].plain and "new study" in output.pages[-1].plain


def test_a_search_that_an_error_ends_does_not_look_as_if_it_ran(shown: InCell, output: Outputs) -> None:
    shown.begun(opened(), 2, "")
    assert "digits  running" in output.pages[-1].plain
    with pytest.raises(StorageError), drawn_to_the_end(shown):
        raise StorageError("the lease is lost")
    assert "digits  running" not in output.pages[-1].plain


def test_a_picture_that_cannot_be_drawn_ends_no_search_and_is_told_once(
    shown: InCell, output: Outputs, capsys: pytest.CaptureFixture[str]
) -> None:
    output.show = lambda page: 1 // 0  # type: ignore[method-assign]
    of = opened()
    shown.begun(of, 2, "")
    shown.ended(Verdict(StudyState.STOPPED, ""), of.study)
    assert capsys.readouterr().out.count("ZeroDivisionError") == 1


def test_it_is_drawn_less_and_less_often_and_keeps_the_latest_lines_only(tmp_path: Path) -> None:
    build, output, now = StudyBuilder("digits"), Outputs(), [0.0]
    build.run(0)
    shown = InCell(settings(), "studies/digits", StudyPaths.at(tmp_path), output=output, clock=lambda: now[0])  # type: ignore[arg-type]
    shown.begun(Opened(None, build.study, True, False, False), 2, "")  # type: ignore[arg-type]
    for _ in range(36_000):  # an hour, looked at ten times a second
        now[0] += 0.1
        shown.said(f"at {now[0]:.1f}")
        shown.looked(build.study, ())
    assert 60 + 270 <= len(output.pages) <= 60 + 270 + 600 + 5
    shown.ended(Verdict(StudyState.STOPPED, ""), build.study)
    last = output.pages[-1].plain
    assert "at 3600.0" in last and "at 3599.0" not in last and "stopped: 0 trials" in last and "new study" in last
