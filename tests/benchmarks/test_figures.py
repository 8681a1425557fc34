"""The arithmetic of the benchmarks: marks, ratios, tables, and which system calls count as ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import _figures
import _shared
import pytest


@pytest.mark.parametrize(
    ("mark", "ours", "theirs", "reached", "shown"),
    [
        (_figures.Mark(0.4), 0.4, None, True, "≤ 0.4"),
        (_figures.Mark(0.4), 0.41, 0.01, False, "≤ 0.4"),
        (_figures.Mark(92, at_least=True), 91.0, 800.0, False, "≥ 92"),
        (_figures.Mark(10, of="ratio", at_least=True), 351.0, 35.0, True, "≥ 10 ×"),
        (_figures.Mark(0.15, of="ratio"), 1.0, 5.0, False, "≤ 0.15 ×"),
        (_figures.Mark(20, of="difference"), 22.0, 2.5, True, "≤ 20 beyond it"),
    ],
)
def test_a_mark_is_of_ours_of_the_ratio_or_of_what_is_beyond(
    mark: _figures.Mark, ours: float, theirs: float | None, reached: bool, shown: str
) -> None:
    assert mark.reached([ours], [] if theirs is None else [theirs]) is reached
    assert str(mark) == shown


def test_both_sides_are_measured_in_turn_and_the_ratio_is_the_rounds() -> None:
    order: list[tuple[str, int]] = []

    def side(name: str, values: list[float]) -> Any:
        return lambda number: order.append((name, number)) or values[number]

    figure = _figures.Figure(
        "k", "title", "s", side("a", [1.0, 4.0, 9.0]), side("b", [1.0, 2.0, 3.0]), "theirs", _figures.Mark(2)
    )
    measured = _figures.measure(figure, 3)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert measured.ratio == 2.0  # of 1, 2 and 3; the ratio of the medians would be 2 as well, that of the means not
    assert measured.reached is False
    assert measured.row() == ("title, s", "4 (1 to 9)", "2 (1 to 3) (theirs)", "2", "≤ 2", "**no**")


def test_figures_that_were_not_measured_this_time_stay_and_say_under_what_load(tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    one, two, again = (_figures.Measured(key, key, "s", [value]) for key, value in (("a", 1.0), ("b", 2.0), ("b", 3.0)))
    _figures.keep(path, {"cpus": 2, "load": 4.0}, [one, two])
    _figures.keep(path, {"cpus": 4, "load": 12.3}, [again])
    assert _figures.load(path) == ({"cpus": 4, "load": 12.3}, [replace(one, load=4.0), again])
    assert [each.row()[0] for each in _figures.load(path)[1]] == ["a, s (load 4.0)", "b, s"]
    _figures.keep(path, {"cpus": 4, "load": 4.0}, [again])
    assert _figures.load(path)[1] == [one, again]


def test_twice_as_bad_is_told_from_ratios_where_there_are_some() -> None:
    def measured(ours: float, theirs: list[float]) -> _figures.Measured:
        return _figures.Measured("k", "t", "s", [ours], theirs)

    assert _figures.times_as_bad(measured(2.0, [1.0]), measured(10.0, [10.0]), more_is_better=False) == 2.0
    assert _figures.times_as_bad(measured(2.0, [1.0]), measured(10.0, [2.5]), more_is_better=True) == 2.0
    assert _figures.times_as_bad(measured(300.0, []), measured(100.0, []), more_is_better=False) == 3.0


def test_calls_of_the_training_and_its_children_are_not_ours() -> None:
    lines = """\
10 openat(AT_FDCWD, "x", O_RDONLY) = 3
10 clone(child_stack=NULL, flags=SIGCHLD) = 11
11 close(3) = 0
11 execve("/usr/local/bin/sh", ["sh"], 0x0) = -1 ENOENT (No such file or directory)
11 execve("/usr/bin/sh", ["sh"], 0x0) = 0
11 brk(NULL) = 0x0
11 vfork( <unfinished ...>
12 execve("/usr/bin/date", ["date"], 0x0) = 0
11 <... vfork resumed>) = 12
12 exit_group(0) = ?
10 clone(child_stack=NULL, flags=SIGCHLD) = 13
13 execve("/usr/bin/sh", ["sh"], 0x0 <unfinished ...>
10 close(4) = 0
13 <... execve resumed>) = 0
13 brk(NULL) = 0x0
10 poll([{fd=3}], 1, 100 <unfinished ...>
10 <... poll resumed>) = 1
""".splitlines()
    counts = _shared.ours_in(lines, training=("/sh",))
    assert counts["all"] == 9
    assert counts["execve"] == 3
    assert counts["poll"] == 1
