"""What is written to the terminal: only what changed, nothing wider than the window, whatever the names are."""

from __future__ import annotations

import io
import random
from datetime import timedelta

import pytest
from msgspec.structs import replace
from rich.text import Text
from tests.cli_live.campaign import campaign
from tests.lab.terminal import Screen

from outlast.cli.live.in_place import InPlace
from outlast.cli.live.keys import Keyboard
from outlast.cli.live.live_view import LiveView
from outlast.cli.render.text import _console_class
from outlast.monitor.overview import Overview

HOSTILE = "\x1b[2J\x1b]0;title\x07[bold red]日本語の名前\u202e\r\n\t👩‍🔬 " + "x" * 90


class Typed(Keyboard):
    """A keyboard on which a test presses."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)

    @property
    def is_there(self) -> bool:
        return True

    def read(self) -> list[str]:
        keys, self.keys = self.keys, []
        return keys

    def close(self) -> None:
        pass


class Terminal:
    def __init__(
        self, width: int = 80, height: int = 24, color: str | None = "standard", encoding: str = "utf-8"
    ) -> None:
        raw = io.BytesIO()
        self.out = io.TextIOWrapper(raw, encoding=encoding, newline="")
        self.raw, self.read = raw, 0
        self.screen = Screen(width, height)
        self.now = 0.0
        self.console = _console_class()(
            file=self.out, width=width, height=height, force_terminal=True, markup=False, highlight=False, emoji=False,
            color_system=color, no_color=color is None,
        )  # fmt: skip
        self.keyboard = Typed()
        self.view = LiveView(self.console, clock=lambda: self.now, keyboard=self.keyboard)

    def written(self) -> str:
        """What came since the last call; it stands on the screen."""
        self.out.flush()
        data = self.raw.getvalue()[self.read :].decode(self.out.encoding)
        self.read += len(self.raw.getvalue()) - self.read
        self.screen.feed(data)
        return data

    def update(self, overview: Overview) -> str:
        self.now += 1
        self.view.update(overview)
        return self.written()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


def later(overview: Overview, seconds: float, value: float = 0.0) -> Overview:
    sights = []
    for sight in overview.sights:
        found = sight.snapshot
        if found is not None:
            running = tuple(
                replace(t, seconds=t.seconds + seconds, value=(t.value or 0) + value) for t in found.running
            )
            sight = replace(sight, snapshot=replace(found, running=running, now=found.now + timedelta(seconds=seconds)))
        sights.append(sight)
    return replace(overview, sights=tuple(sights), now=overview.now + timedelta(seconds=seconds))


def test_a_redraw_of_what_is_the_same_writes_nothing() -> None:
    terminal = Terminal()
    assert len(terminal.update(campaign())) > 1000
    assert terminal.update(campaign()) == ""


def test_a_second_later_only_the_seconds_are_written() -> None:
    terminal = Terminal()
    terminal.update(campaign())
    data = terminal.update(later(campaign(), 1))
    assert 0 < len(data) < 120 and "\x1b[J" not in data and "\x1b[2J" not in data
    assert sum("10m 01s" in line for line in terminal.screen.window) == 2


def test_a_line_that_is_said_pushes_the_block_down_and_leaves_it_as_it_is() -> None:
    terminal = Terminal(80, 40)
    terminal.update(campaign())
    before = [line for line in terminal.screen.text.split("\n") if line]
    terminal.view.event("criteria: trial 25 complete macro_f1=0.8123 9m 50s")
    data = terminal.update(campaign())
    assert len(data) < 150
    after = [line for line in terminal.screen.text.split("\n") if line]
    assert after == ["criteria: trial 25 complete macro_f1=0.8123 9m 50s", *before]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_changes_the_screen_is_what_a_full_drawing_shows(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    screen, out = Screen(30, 12), io.StringIO()
    console = _console_class()(file=out, width=30, height=12, force_terminal=True, color_system="standard")
    block, said, read = InPlace(console), [], 0
    for _ in range(60):
        lines = [
            Text(
                "".join(chance.choice("ab 日é\u0301👩x") for _ in range(chance.randrange(40))),
                chance.choice(["", "red", "bold"]),
            )
            for _ in range(chance.randrange(1, 14))
        ]
        above = [f"said {len(said) + at}" for at in range(chance.choice([0, 0, 0, 1, 3]))]
        said += above
        block.draw([Text(line.plain, line.style, no_wrap=True) for line in lines], [Text(each) for each in above])
        screen.feed(out.getvalue()[read:])
        read = len(out.getvalue())
        fresh, whole = Screen(30, 12), io.StringIO()
        console.file = whole
        InPlace(console).draw([Text(line.plain, line.style, no_wrap=True) for line in lines])
        console.file = out
        fresh.feed(whole.getvalue())
        want = [*said, *fresh.text.split("\n")]
        assert screen.text.rstrip("\n").split("\n") == "\n".join(want).rstrip("\n").split("\n")
        assert not screen.wrapped


def hostile() -> Overview:
    overview = campaign(name=HOSTILE)
    first = overview.sights[0]
    found = replace(
        first.snapshot,
        running=tuple(replace(t, params={HOSTILE: HOSTILE}) for t in first.snapshot.running),
        warnings=tuple(replace(w, text=HOSTILE, cure=HOSTILE) for w in first.snapshot.warnings),
    )
    return replace(overview, sights=(replace(first, name=HOSTILE, snapshot=found), *overview.sights[1:]))


@pytest.mark.parametrize("keys", [[], ["enter"], ["down", "down", "down", "down", "enter"], ["?"], ["end", "s"], ["l"]])
@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 12), (20, 5)])
def test_no_name_moves_the_cursor_and_no_line_wraps(size: tuple[int, int], keys: list[str]) -> None:
    terminal = Terminal(*size)
    terminal.update(hostile())
    terminal.keyboard.keys = keys
    terminal.update(later(hostile(), 5))
    terminal.update(later(hostile(), 9, 0.01))
    assert not terminal.screen.wrapped
    assert len(terminal.screen.text.split("\n")) <= size[1]


def test_without_colour_the_words_are_the_same() -> None:
    plain, coloured = Terminal(color=None), Terminal()
    data = plain.update(campaign())
    coloured.update(campaign())
    assert plain.screen.text == coloured.screen.text
    assert "[3" not in data  # no colour: bold and dim may stay


def test_a_terminal_without_unicode_gets_other_signs() -> None:
    terminal = Terminal(encoding="ascii")
    terminal.update(campaign())
    assert terminal.screen.text.isascii() and "Enter open" in terminal.screen.text


def test_a_key_is_answered_at_once_and_does_not_look() -> None:
    terminal, looks = Terminal(), []

    def look() -> Overview:
        looks.append(terminal.now)
        return campaign()

    terminal.view.update(look)
    terminal.written()
    terminal.keyboard.keys = ["down"]
    terminal.view.update(look)
    terminal.written()
    assert len(looks) == 1 and "\n> evidence" in terminal.screen.text


def test_several_studies_on_a_pipe_are_one_plain_line() -> None:
    out, now = io.StringIO(), [0.0]
    console = _console_class()(file=out, width=10_000, force_terminal=False)
    view = LiveView(console, clock=lambda: now[0])
    for now[0] in range(0, 95, 5):
        view.update(campaign())
    view.close()
    studies = "criteria 26/1200, evidence 22/800, share halted 0/600, joint not begun"
    assert out.getvalue() == f"48/3000 (1.6%): {studies}; something is wrong with criteria, share\n"


def test_what_was_typed_before_the_question_could_be_read_is_no_answer() -> None:
    terminal = Terminal()
    terminal.update(campaign())
    terminal.keyboard.keys = ["end", "s", "y"]  # as one paste
    terminal.update(campaign())
    assert "y: yes, any other key: no" in terminal.screen.text
