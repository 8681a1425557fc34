from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.lab.terminal import Screen

from outlast.cli.live.live_view import LiveView
from outlast.cli.live.onlooker import watch
from outlast.cli.live.plain import progress_line
from outlast.cli.live.watching import Watching
from outlast.cli.render.text import _console_class
from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.evidence import Report
from outlast.core.states import StudyState, TrialState
from outlast.engine.attempts.running import Pulse, Running
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview, Sight, overview_of
from outlast.monitor.snapshot import LiveFacts, RunningTrial, snapshot
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(
    name="digits", command=("true",), metrics=(MetricSettings(name="acc"),), budget=BudgetSettings(trials=20)
)


class Terminal:
    def __init__(self, *, tty: bool = True, width: int = 80, height: int = 30) -> None:
        self.out = io.StringIO()
        self.now = 0.0
        self.console = _console_class()(
            file=self.out, width=width, height=height, force_terminal=tty, markup=False, highlight=False, emoji=False,
            color_system="standard" if tty else None,
        )  # fmt: skip
        self.view = LiveView(self.console, clock=lambda: self.now)

    def screen(self) -> str:
        screen = Screen(self.console.width, self.console.height)
        screen.feed(self.out.getvalue())
        assert not screen.wrapped
        return screen.text


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


def look(finished: int, at_work: int = 2, **changed: Any) -> Overview:
    build = StudyBuilder()
    build.run(0)
    for i in range(finished):
        build.trial({"lr": 0.1}, at=i * 60, values=i / 100)
    for _ in range(at_work):
        build.trial(state=TrialState.RUNNING, at=finished * 60)
    live = LiveFacts("box", 1, build.at(0), 2)
    now = build.moment(finished * 60 + 5)
    found = replace(snapshot(build.study, SETTINGS, now=now, live=live, folder="studies/digits"), **changed)
    return overview_of(Sight("digits", "studies/digits", found, study=build.study, settings=SETTINGS), now)


def test_the_block_stands_under_the_finished_trials() -> None:
    terminal = Terminal()
    terminal.view.event("trial 0 complete acc=0.1 3.2s")
    terminal.view.update(look(1))
    terminal.now = 1
    terminal.view.event("trial 1 complete acc=0.2 (best) 3.2s")
    terminal.view.update(look(2))
    lines = terminal.screen().split("\n")
    assert lines[:2] == ["trial 0 complete acc=0.1 3.2s", "trial 1 complete acc=0.2 (best) 3.2s"]
    assert "2/20  10%" in lines[3] and "1/20" not in terminal.screen()
    assert any("acc 0.01000 in trial 1" in line for line in lines)


def test_closing_takes_the_block_away_and_keeps_what_was_said() -> None:
    terminal = Terminal()
    terminal.view.update(look(1))
    terminal.view.event("trial 1 complete")
    terminal.view.close()
    terminal.view.close()
    assert terminal.screen() == "trial 1 complete\n"


def test_a_line_longer_than_the_window_is_broken_between_words() -> None:
    terminal = Terminal(width=40)
    terminal.view.event(
        "stopping: running trials have 2m 00s to save a checkpoint and leave; once more to end them now"
    )
    terminal.view.close()
    said = terminal.screen().rstrip("\n").split("\n")
    assert len(said) > 1 and max(map(len, said)) <= 40
    assert " ".join(map(str.strip, said)).endswith("leave; once more to end them now")


def test_it_redraws_at_most_four_times_a_second() -> None:
    terminal, made = Terminal(), []

    def make() -> Overview:
        made.append(terminal.now)
        return look(1)

    for tick in range(101):
        terminal.now = tick / 100
        terminal.view.update(make)
    assert len(made) <= 5


def test_a_study_that_is_slow_to_look_at_is_looked_at_less_often() -> None:
    terminal, made = Terminal(), []

    def slow() -> Overview:
        made.append(terminal.now)
        terminal.now += 0.5
        return look(1)

    while terminal.now < 30:
        terminal.view.update(slow)
        terminal.now += 0.05
    assert len(made) * 0.5 <= 0.07 * 30


def test_only_so_many_running_trials_are_listed() -> None:
    terminal = Terminal()
    terminal.view.update(look(1, 40))
    assert terminal.screen().count("\n  trial ") == 5 and "and 35 more" in terminal.screen()


def test_the_block_is_never_higher_than_the_window() -> None:
    terminal = Terminal(height=6)
    terminal.view.update(look(5, 10))
    assert len(terminal.screen().split("\n")) <= 6


def test_a_terminal_made_narrower_is_cleaned_as_it_wrapped() -> None:
    terminal = Terminal(width=80)
    terminal.view.update(look(1))
    before = len(terminal.out.getvalue())
    widest = max(len(line) for line in terminal.screen().split("\n"))
    height = len(terminal.screen().split("\n")) - 1
    terminal.console.width = widest // 2 + 1
    terminal.view.close()
    rows = int(terminal.out.getvalue()[before:].split("A")[0].removeprefix("\x1b["))
    assert rows > height


def test_the_cursor_is_never_hidden() -> None:
    terminal = Terminal()
    terminal.view.update(look(1))
    terminal.view.close()
    assert "\x1b[?25l" not in terminal.out.getvalue()


def test_thousands_of_events_between_two_redraws_are_cut_and_counted() -> None:
    terminal = Terminal()
    terminal.view.update(look(1))
    for i in range(1000):
        terminal.view.event(f"trial {i} complete")
    terminal.view.close()
    lines = terminal.screen().split("\n")
    assert lines[0] == "and 800 trials before these: see trials.csv" and lines[1] == "trial 800 complete"


@pytest.mark.parametrize("given", [{"tty": False}])
def test_on_a_pipe_there_are_plain_lines_and_seldom_a_progress_line(given: dict[str, Any]) -> None:
    terminal = Terminal(**given)
    for second in range(0, 95, 5):
        terminal.now = float(second)
        terminal.view.update(look(1 + second // 5))
    terminal.view.event("trial 1 complete acc=0.2 3.2s")
    terminal.view.close()
    said = terminal.out.getvalue()
    assert "\x1b" not in said and "\r" not in said
    lines = said.splitlines()
    assert [line.split()[0] for line in lines] == ["7/20", "13/20", "19/20", "trial"]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    terminal.view.update(look(1))
    terminal.view.event("trial 1 complete")
    assert terminal.out.getvalue() == "trial 1 complete\n"


def test_a_state_that_has_not_changed_is_not_said_again_on_a_pipe() -> None:
    terminal = Terminal(tty=False)
    for second in (30, 60, 90):
        terminal.now = float(second)
        terminal.view.update(look(3))
    assert len(terminal.out.getvalue().splitlines()) == 1


def test_the_progress_line_has_everything_in_one_line() -> None:
    line = progress_line(look(3).snapshots[0])
    assert line.startswith(
        "3/20 trials; 3 complete, 2 running, 17 remaining; best acc=0.02000 (trial 2); 1.0 per minute"
    )
    assert ", done in " in line


def test_an_event_cannot_write_control_codes() -> None:
    terminal = Terminal(tty=False)
    terminal.view.event("trial 1 failed (crash): \x1b[2Jboom\nnext")
    assert terminal.out.getvalue() == "trial 1 failed (crash): boom next\n"


@pytest.mark.parametrize(
    ("width", "says"),
    [
        (200, "step 3 0.5000 lr=0.0123 model=a_long_name_of_a_model batch=64"),
        (64, "step 3 0.5000 lr=0.0123 …"),
        (44, "step 3 0.5000"),
    ],
)
def test_running_trials_show_as_many_of_their_parameters_as_there_is_room_for(width: int, says: str) -> None:
    terminal = Terminal(width=width)
    params = {"lr": 0.0123, "model": "a_long_name_of_a_model", "batch": 64}
    running = [RunningTrial(0, 1, "", 5.0, step=3, value=0.5, params=params)]
    terminal.view.update(look(1, running=running))
    line = next(line for line in terminal.screen().split("\n") if "step 3" in line)
    assert says == " ".join(line.partition("5.0s")[2].split())
    assert len(line) <= width
    assert terminal.view.is_wide is (width >= 120)


def test_the_block_has_one_row_a_line_however_long_a_command_in_it_is() -> None:
    terminal = Terminal(width=60)
    warning = HealthWarning("disk", "the disk is nearly full", f"outlast clean {'studies/' * 20}")
    terminal.view.update(look(1, warnings=(warning,)))
    assert max(map(len, terminal.screen().split("\n"))) <= 60


def test_the_next_attempt_does_not_begin_where_the_last_one_was(tmp_path: Path) -> None:
    terminal, paths = Terminal(tty=False), StudyPaths.at(tmp_path)
    watching = Watching(SETTINGS, LiveFacts(), str(tmp_path), lambda: terminal.console)
    for number, reports in (1, [Report(9, {"acc": 0.5})]), (2, []):
        attempt = Running(
            0, number, paths.attempt(0, number), paths.trial(0), "local:0", (), Pulse(0.0), reports=reports
        )
        watching.looked(StudyBuilder().study, [attempt])
        assert watching._seen._reports == ({0: (9, 0.5)} if reports else {})


@pytest.mark.parametrize("several", [False, True])
def test_who_looks_at_what_is_at_rest_is_told_how_it_stands(several: bool, capsys: pytest.CaptureFixture[str]) -> None:
    watch(lambda: look(3, live=None, state=StudyState.DONE), several=several)
    assert "digits" in capsys.readouterr().out
