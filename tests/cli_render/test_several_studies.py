"""What `status` of several studies looks like: at 80 and at 200 columns, and through a pipe."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from outlast.cli.live.lines import Window
from outlast.cli.live.troubles import warning_lines
from outlast.cli.render.render_many import several
from outlast.cli.render.render_run import status
from outlast.cli.render.styled import Sheet
from outlast.cli.running.campaign_screen import on_one_line
from outlast.config.settings import BudgetSettings, MetricSettings, Settings
from outlast.core.states import Cause, TrialState
from outlast.monitor.health import HealthWarning
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import LiveFacts, SupervisorFacts, snapshot
from outlast.testing.studies import StudyBuilder

NOW = datetime(2026, 1, 5, 10, 40, tzinfo=timezone.utc)


def sight(name: str, done: int, target: int | None = 800, *, failed: int = 0, state: str = "", **given: Any) -> Sight:
    build = StudyBuilder(name)
    build.run(0, trials=target)
    for at in range(done):
        build.trial({"lr": 0.1}, at=100 * at, seconds=100, values=0.8 + at / 1000)
    for at in range(failed):
        build.trial({}, TrialState.FAILED, at=30 * at, seconds=30, reason="ValueError: a shape", signature="x",
                    cause=Cause.CRASH)  # fmt: skip
    if state:
        build.end(2000, state, "the same failure again and again" if state == "halted" else "")
    settings = Settings(
        name=name, command=("true",), metrics=(MetricSettings(name="macro_f1"),), budget=BudgetSettings(trials=target)
    )
    live = None if state else LiveFacts("box", 4242, build.at(0), 2)
    folder = f"studies/maximal/{name}"
    return Sight(name, folder, snapshot(build.study, settings, now=NOW, live=live, folder=folder), **given)


def campaign() -> Overview:
    return Overview(
        "maximal", "studies/maximal",
        (
            sight("criteria", 12), sight("evidence", 20, failed=1), sight("share", 0, failed=3, state="halted"),
            Sight("joint", "studies/maximal/joint", error="not begun yet", begun=False, target=800),
            Sight("broken", "studies/maximal/broken", error="the ledger is damaged: line 3 is unreadable",
                  cure="outlast repair studies/maximal/broken", target=800),
        ),
        NOW, 4, SupervisorFacts("box", 17, "2026-01-05T10:00:00.000+00:00", {"evidence": 2, "criteria": 0}), True,
    )  # fmt: skip


def shown(overview: Overview, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False, emoji=False).print(several(overview), crop=False)
    return out.getvalue().splitlines()


def piped(overview: Overview, encoding: str = "utf-8") -> list[str]:
    return list(Sheet(encoding, 10_000).lines(several(overview)))


def line_of(lines: list[str], word: str) -> list[str]:
    return next(line for line in lines if line.split()[:1] == [word]).split()


def test_one_study_in_the_background_is_told_with_who_looks_after_it() -> None:
    found = sight("criteria", 12).snapshot
    assert found is not None
    out = io.StringIO()
    by = SupervisorFacts("box", 17, restarts={"criteria": 2})
    Console(file=out, width=100, markup=False, highlight=False).print(status(replace(found, supervisor=by)))
    assert "looked after by pid 17 on box; begun again: criteria 2" in out.getvalue()


def test_a_line_each_and_the_total() -> None:
    lines = shown(campaign(), 80)
    assert lines[0] == "maximal  5 studies: 2 running, 1 halted, 1 unreadable, 1 not begun"
    assert lines[1].endswith("32/4000  0.8%")
    assert line_of(lines, "criteria")[1:6] == ["running", "12/800", "1.5%", "0", "0"]
    assert line_of(lines, "evidence")[6:8] == ["0.8190", "36.0/hour"]
    assert line_of(lines, "joint") == ["joint", "not", "begun"]
    text = " ".join("\n".join(lines).split())
    assert "run by pid 17 on box since" in text and "; begun again: evidence 2" in text
    assert "share: the same failure 3 times, first in trial 0: ValueError: a shape" in text
    assert "broken cannot be run: the ledger is damaged: line 3 is unreadable" in text
    assert "outlast repair studies/maximal/broken" in text
    assert lines[-1] == "  next        outlast status studies/maximal -w"


def test_where_nobody_knows_what_one_is_to_reach_there_is_no_share_of_all() -> None:
    told = campaign()
    wrong = Sight("broken", "studies/maximal/broken", error="camp.yaml:4: budget.trails: unknown key", refused=True,
                  cure="did you mean `trials`?")  # fmt: skip
    lines = shown(replace(told, sights=(*told.sights[:-1], wrong)), 80)
    assert lines[0] == "maximal  5 studies: 2 running, 1 halted, 1 cannot start, 1 not begun"
    assert lines[1] == "  32/3200 without broken"
    assert line_of(lines, "broken") == ["broken", "cannot", "start"]
    text = " ".join("\n".join(lines).split())
    assert "broken cannot start: camp.yaml:4: budget.trails: unknown key did you mean `trials`?" in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("b: cannot start: a.yaml:4: no key\n  did you mean `b`?", "b: cannot start: a.yaml:4: no key; did you mean `b`?"),
        ("changed:\n  lr  0.1 → 0.2\n\n  x", "changed: lr 0.1 → 0.2; x"),
        ("begun (pid 7)", "begun (pid 7)"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_has_lines_is_one_line_of_the_log(text: str, line: str) -> None:
    assert on_one_line(text) == line


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_of_the_table_is_wider_than_the_window(width: int) -> None:
    long = replace(sight("x", 3), name="a-very-long-name-of-a-study-that-somebody-gave-it-日本語の名前" * 2)
    lines = shown(replace(campaign(), sights=(*campaign().sights, long)), width)
    begin = next(at for at, line in enumerate(lines) if line.split()[:1] == ["study"])
    table = lines[begin : lines.index("", begin)]
    assert len(table) == 7
    assert max(map(cell_len, table)) <= width
    assert all(line.split()[0] for line in table)


def test_more_room_tells_more_and_a_pipe_tells_all() -> None:
    def heads(lines: list[str]) -> set[str]:
        return set(line_of(lines, "study"))

    narrow, wide = heads(shown(campaign(), 80)), heads(shown(campaign(), 200))
    assert {"study", "state", "trials", "%", "pruned", "failed", "best", "rate", "left"} <= narrow < wide
    assert {"pid", "since", "complete", "now", "done"} <= wide == heads(piped(campaign()))


def test_a_pipe_gets_what_a_terminal_without_colour_gets() -> None:
    assert piped(campaign()) == shown(campaign(), 10_000)


def test_what_a_name_contains_moves_no_cursor_and_is_no_markup() -> None:
    evil = replace(sight("x", 3), name="\x1b[2J[red]a[/red]\r\nb")
    text = "\n".join(shown(replace(campaign(), sights=(evil,)), 80))
    assert "\x1b" not in text
    assert "  [red]a[/red] b  running" in text


def test_a_terminal_without_unicode() -> None:
    lines = piped(replace(campaign(), sights=(sight("a", 3),)), "ascii")
    assert "".join(lines).isascii()


def test_many_alike_are_told_once() -> None:
    halted = [replace(sight("x", 0, failed=3, state="halted"), name=f"s{at}") for at in range(40)]
    text = "\n".join(shown(replace(campaign(), sights=tuple(halted)), 80))
    assert text.count("the same failure 3 times") == 2
    assert "likewise in s2, s3, s4, s5, s6, and 33 more" in text


def test_what_is_worst_is_said_first() -> None:
    notes = [HealthWarning(f"note-{at}", f"a note, {at}", level="note") for at in range(9)]
    worst = HealthWarning("worst", "it stands still", level="error")
    sights = [
        replace(sight(name, 3), snapshot=replace(sight(name, 3).snapshot, warnings=tuple(warnings)))
        for name, warnings in {"a": notes, "b": notes, "c": notes, "d": [worst]}.items()
    ]
    overview = replace(campaign(), sights=tuple(sights))
    said = [line for line in shown(overview, 80) if "note" in line or "stands" in line or "likewise" in line]
    assert said[0].endswith("d: it stands still")
    assert not any("warning" in line for line in said if "likewise" in line), "a note stays one"
    assert "d: it stands still" in "\n".join(line.plain for line in warning_lines(overview, Window(80, 24, True)))


def test_no_study_at_all_and_none_with_a_target() -> None:
    assert shown(replace(campaign(), sights=()), 80)[0] == "maximal  0 studies"
    lines = shown(replace(campaign(), sights=(sight("a", 3, None), sight("b", 2, 10))), 80)
    assert "  5 finished, no target" in lines
    assert line_of(lines, "a")[2] == "3/?"
