"""The page is drawn again while a search runs: seldom, behind it, and whatever happens to it ends nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.engine.derived.derived_files import DerivedFiles
from outlast.engine.derived.report_behind import ReportBehind
from outlast.study.layout import StudyPaths


class Process(subprocess.Popen[bytes]):
    """One that has not ended, until it is told to."""

    def __init__(self) -> None:
        self.returncode: int | None = None  # nothing is started

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        self.returncode = -9

    def wait(self, timeout: float | None = None) -> int:
        assert self.returncode is not None
        return self.returncode

    def __del__(self, *_: object) -> None:
        """There is nothing to reap."""


class Watched:
    """What draws, under a clock."""

    def __init__(self, tmp_path: Path, *, can: bool = True) -> None:
        self.now, self.started, self.can = 0.0, list[Process](), can
        self.behind = ReportBehind(StudyPaths.at(tmp_path), start=self._start, clock=lambda: self.now)

    def _start(self, _paths: StudyPaths) -> Process | None:
        if not self.can:
            return None
        self.started.append(Process())
        return self.started[-1]

    def at(self, now: float, *, news: bool = True) -> int:
        """How many have been started by then."""
        self.now = now
        self.behind.looked(news=news)
        return len(self.started)


@pytest.fixture(autouse=True)
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "1")


def test_a_page_is_drawn_a_minute_after_news_and_one_at_a_time(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert [watched.at(59), watched.at(60), watched.at(200)] == [0, 1, 1]
    watched.started[0].returncode = 0
    assert watched.at(201, news=False) == 1, "what was new at 200 waits for a share of the time"
    assert watched.at(60 + 141 / 0.03 + 1, news=False) == 2


def test_a_short_drawing_is_repeated_every_minute_and_only_for_news(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.at(60) == 1
    watched.started[0].returncode = 1  # it failed: no matter
    assert [watched.at(61, news=False), watched.at(300, news=False), watched.at(301)] == [1, 1, 2]


def test_where_no_process_can_be_started_the_search_goes_on(tmp_path: Path) -> None:
    watched = Watched(tmp_path, can=False)
    assert [watched.at(60), watched.at(61), watched.at(500)] == [0, 0, 0]


def test_one_that_hangs_is_ended_and_so_is_one_that_runs_when_the_search_ends(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.at(60)
    watched.at(661)
    assert watched.started[0].returncode == -9
    watched.at(800)
    watched.behind.close()
    assert watched.started[1].returncode == -9


def test_it_is_left_out_with_the_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    assert Watched(tmp_path).at(1000) == 0


def test_a_search_that_gives_up_waits_for_the_page_only_once_nothing_else_writes() -> None:
    order: list[str] = []
    derived: Any = object.__new__(DerivedFiles)
    derived.index = SimpleNamespace(close=lambda timeout: order.append("index"))
    derived._home_sync = SimpleNamespace(abandon=lambda: order.append("home"))
    derived._report = SimpleNamespace(close=lambda: order.append("page"))
    derived.abandon()
    assert order == ["index", "home", "page"]
