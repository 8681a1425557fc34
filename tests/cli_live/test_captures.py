"""The live view in a real terminal, through tmux: as it was looked at, at 80×24 and at 200×50."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from tests.cli_live.tmux import Tmux
from tests.lab.waiting import until

CAPTURES = Path(__file__).parent / "captures"
SIZES = {"80x24": (80, 24), "200x50": (200, 50)}
#: What is shown, and then for each capture what is pressed before it.
PAGES = {
    "several": {"campaign": [], "slot": ["G"], "stop": ["s"], "trials": ["n", "g", "Enter"], "help": ["?"]},
    "one": {"study": [], "trial": ["Enter"]},
}

pytestmark = pytest.mark.slow


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[int, int], Tmux]]:
    made: list[Tmux] = []

    def make(width: int, height: int) -> Tmux:
        made.append(Tmux(tmp_path, width, height))
        return made[-1]

    yield make
    for tmux in made:
        tmux.close()


@pytest.mark.parametrize("size", SIZES)
def test_every_page_looks_as_it_did_when_it_was_looked_at(terminal: Callable[[int, int], Tmux], size: str) -> None:
    tmux = terminal(*SIZES[size])
    for shown, captures in PAGES.items():
        tmux.show(shown)
        tmux.waits_for("q quit")
        for name, keys in captures.items():
            golden = (CAPTURES / f"{name}.{size}.txt").read_text().splitlines()
            tmux.type(*keys)
            try:
                until(lambda want=golden: tmux.lines() == want, name, 60.0)
            except AssertionError:
                assert tmux.lines() == golden, name
        tmux.type("q", "q")  # a page of help is left by any key
        tmux.waits_for("left")


def test_no_line_is_wider_than_its_window() -> None:
    for path in CAPTURES.glob("*.txt"):
        width, height = SIZES[path.suffixes[0][1:]]
        lines = path.read_text().splitlines()
        assert len(lines) <= height and all(cell_len(line) < width for line in lines), path.name


def test_a_window_that_is_made_smaller_and_larger_shows_the_view_once(terminal: Callable[[int, int], Tmux]) -> None:
    tmux = terminal(120, 40)
    tmux.show("several", "'a line that stays'")
    tmux.waits_for("q quit")
    for width, height in ((80, 30), (60, 20), (120, 40)):
        tmux.resize(width, height)
        until(lambda w=width: _is_whole(tmux, w), f"drawn at {width}×{height}", 60.0)
    tmux.type("q")
    lines = tmux.waits_for("left")
    assert not any("slots:" in line for line in lines)


def _is_whole(tmux: Tmux, width: int) -> bool:
    lines = tmux.lines()
    heads = sum(line.startswith("maximal  4") for line in lines)
    return (
        heads == 1 and sum("q quit" in line for line in lines) == 1 and all(cell_len(line) <= width for line in lines)
    )


@pytest.mark.parametrize("how", ["q", "C-c", "kill"])
def test_however_it_ends_the_terminal_is_as_it_was(terminal: Callable[[int, int], Tmux], how: str) -> None:
    tmux = terminal(80, 24)
    before = _modes(tmux)
    tmux.show("several")
    tmux.waits_for("q quit")
    if how == "kill":
        os.kill(_shown(tmux), signal.SIGKILL)
    else:
        tmux.type(how)
    until(lambda: "$" in tmux.lines(), "the prompt", 60.0)
    until(lambda: _modes(tmux) == before, "the terminal's modes", 60.0)


def _shown(tmux: Tmux) -> int:
    shell = tmux._tmux("display-message", "-p", "-t", "w", "#{pane_pid}").strip()
    return int(subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True, check=True).stdout.split()[0])


def _modes(tmux: Tmux) -> str:
    """Of the terminal, while a command runs there."""
    tmux.run(["stty -g | cksum | sed s/^/sum:/"])
    return until(lambda: next((line for line in tmux.lines() if line.startswith("sum:")), ""), "the modes", 60.0)
