"""What every page is made of: the window, labelled facts, the bar, the line of keys."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from outlast.cli.live.choice import Choice
from outlast.cli.render.styled import Text
from outlast.cli.render.text import LABELS, bar, one_line, percent, wrapped
from outlast.monitor.overview import Overview

KEYS = "↑↓ move  ⏎ open  l log  s stop a trial  ? help  q quit"


class Window(Struct, frozen=True):
    """What there is to write on: cells, lines, and whether more than ASCII can be shown."""

    width: int
    height: int
    unicode: bool = True


class Shown(Struct, frozen=True):
    """What a picture is of.

    Attributes:
        cards: GPU → what it does now, in words.
        keys: Whether something can be pressed.
    """

    overview: Overview
    cards: Mapping[str, str] = {}
    keys: bool = False


def fact_lines(label: str, value: str | Text, window: Window, *, most: int = 3, style: str = "dim") -> list[Text]:
    """A labelled fact, wrapped under itself; none where there is no value."""
    text = value if isinstance(value, Text) else Text(value)
    left = 2 + LABELS + 2
    lines = [
        Text.assemble("  ", (f"{label if at == 0 else '':<{LABELS}}", style), "  ", line)
        for at, line in enumerate(wrapped(text, window.width - left)[:most])
    ]
    return cut(lines, window) if text else []


def cut(lines: list[Text], window: Window) -> list[Text]:
    """No line is wider than the window."""
    for line in lines:
        line.overflow = None
        line.truncate(window.width)
        line.rstrip()
    return lines


def bar_line(share: float, counted: int, target: int | None, window: Window) -> Text:
    """The bar with its figures."""
    figures = f"  {counted}/{target}  {percent(share).removesuffix('.0')}%"
    width = max(8, min(48, window.width - 2 - len(figures)))
    return Text.assemble("  ", bar(share, width, unicode=window.unicode), (figures, "bold"))


def footer(shown: Shown, choice: Choice, window: Window) -> list[Text]:
    """What is asked, or what was said last; else the keys."""
    if choice.asks is not None:
        of = f" of {name_of(shown.overview, choice.asks.folder)}" if len(shown.overview.sights) > 1 else ""
        asked = f"stop trial {choice.asks.trial}{of}?"
        return cut([Text.assemble((asked, "bold yellow"), " it counts as pruned; y: yes, any other key: no")], window)
    if choice.note:
        return cut([Text(one_line(choice.note), style="yellow")], window)
    if not shown.keys:
        return []
    return cut([Text(KEYS if window.unicode else KEYS.replace("↑↓", "j k").replace("⏎", "Enter"), style="dim")], window)


def name_of(overview: Overview, folder: str) -> str:
    """The study's name."""
    return next((one_line(sight.name) for sight in overview.sights if sight.folder == folder), one_line(folder))
