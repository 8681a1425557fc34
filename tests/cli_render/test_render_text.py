from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from outlast.cli.render.text import Facts, Rows, bar, clean, make_console, one_line, param, sparkline
from outlast.monitor.speed_words import clock_time


def drawn(renderable: object, width: int = 60) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(renderable, crop=False)
    return capture.get().splitlines()


def test_escape_sequences_and_control_characters_are_taken_out() -> None:
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07\x08") == "red bell"
    assert clean("\x1b[2J\x1b[Hx\x9b31m") == "x31m"
    assert clean("a\tb\u202egnp.exe") == "a    bgnp.exe"


def test_a_progress_bar_shows_its_last_state() -> None:
    assert clean("10%|#\r50%|##\r99%|###\r\ndone") == "99%|###\ndone"


@given(st.text())
def test_no_text_moves_the_cursor(text: str) -> None:
    assert all(char == "\n" or (char >= " " and not "\x7f" <= char <= "\x9f") for char in clean(text))


def test_one_line_is_cut_where_it_is_too_long() -> None:
    assert one_line("a\n b   c") == "a b c" and one_line("abcdefghij", 8) == "abcde..."


def test_parameters_are_short_in_lines_and_exact_where_asked() -> None:
    assert param(0.123456789) == "0.1235" and param(0.123456789, exact=True) == "0.123456789"
    assert [param(value) for value in (True, None, 3, "relu", [1, 2])] == ["true", "null", "3", "relu", "[1, 2]"]
    assert len(param("x" * 100)) == 40 and len(param("x" * 100, exact=True)) == 100


def test_facts_are_aligned_and_wrapped_under_themselves() -> None:
    lines = drawn(Facts([("a", "short"), ("empty", ""), ("label", "word " * 20)]), 40)
    assert lines[0] == "  a      short"
    assert lines[1].startswith("  label  word") and lines[2].startswith("         word")
    assert all(len(line) <= 40 and line == line.rstrip() for line in lines)
    assert len(lines) > 2 and not any("empty" in line for line in lines)


def test_a_word_longer_than_the_line_stays_whole() -> None:
    path = "/a" * 60
    assert drawn(Facts([("path", path)]), 50) == [f"  path  {path}"]
    assert drawn(Facts([("file", f"in {path} lies")]), 50) == ["  file  in", f"        {path}", "        lies"]


def test_rows_that_do_not_fit_tell_the_rest_by_name_and_leave_nothing_out() -> None:
    header = ["trial", "state", "value", "alpha", "beta", "gamma"]
    table = Rows(header, [["1", "ok", "0.5", "x" * 20, "", "y" * 20], ["22", "ok", "", "z", "1", ""]], frozenset({0}))
    wide, narrow, slim = drawn(table, 90), drawn(table, 60), drawn(table, 40)
    assert wide[1].split() == ["1", "ok", "0.5", "x" * 20, "y" * 20] and len(wide) == 3
    assert wide[1].startswith("      1  ok")
    assert narrow == [
        "  trial  state  value  parameters",
        "      1  ok     0.5    alpha=" + "x" * 20,
        "                       gamma=" + "y" * 20,
        "     22  ok            alpha=z beta=1",
    ]
    assert slim == [
        "  trial  state  value  parameters",
        "      1  ok     0.5",
        "         alpha=" + "x" * 20,
        "         gamma=" + "y" * 20,
        "     22  ok",
        "         alpha=z beta=1",
    ]


@pytest.mark.parametrize("width", [20, 30])
def test_rows_never_exceed_a_very_narrow_terminal(width: int) -> None:
    table = Rows(["trial", "state", "value"], [["1", "interrupted", "0.123456"]])
    assert max(map(len, drawn(table, width))) <= width


def test_the_bar_is_as_full_as_the_share() -> None:
    assert bar(0.5, 10, unicode=False).plain == "#####....."
    assert bar(0, 4, unicode=True).plain == "────" and bar(1, 4, unicode=True).plain == "━━━━"


def test_a_curve_is_drawn_between_its_extremes() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20, unicode=True) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1, 1], 20, unicode=True) == "▁▁▁"
    assert sparkline([0, float("nan"), float("inf"), 1], 20, unicode=False) == "_  @"
    assert sparkline([float("nan")], 20, unicode=True) == "" == sparkline([], 20, unicode=True)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    line = sparkline(list(range(1000)), 40, unicode=True)
    assert len(line) == 40 and line[0] == "▁" and line[-1] == "█"


def test_moments_are_told_on_the_readers_clock() -> None:
    now = datetime(2026, 1, 7, 12, 0).astimezone()
    assert clock_time(now + timedelta(hours=2), now) == "14:00"
    assert clock_time(now + timedelta(days=1), now) == (now + timedelta(days=1)).strftime("%a 12:00")
    assert clock_time(now + timedelta(days=30), now) == "2026-02-06 12:00"
    assert clock_time((now + timedelta(hours=2)).astimezone(timezone.utc), now) == "14:00"


def test_a_piped_console_has_no_colour_and_no_line_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    out = io.StringIO()
    console = make_console(file=out)
    console.print("[bold]x[/bold] :smile: " + "y" * 500, style="red")
    assert out.getvalue() == "[bold]x[/bold] :smile: " + "y" * 500 + "\n"


def test_a_terminal_without_unicode_gets_a_question_mark_and_no_traceback() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    make_console(file=stream).print("café")
    stream.flush()
    assert raw.getvalue() == b"caf?\n"
