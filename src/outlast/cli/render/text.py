"""The few shapes that everything on the terminal is made of: labelled facts, rows, a bar, a curve.

They know their width when they are drawn, wrap with a hanging indent, add no trailing blanks and never let a text from
a training script move the cursor.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct
from rich.cells import cell_len

from outlast.cli.render.styled import Group, Sheet, Text
from outlast.core.escapes import as_on_a_screen
from outlast.monitor.times import figure

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

LABELS = 10  # the width of the label column, so that sections line up with each other
_UNLIMITED = 10_000  # columns, where nobody's window ends a line
#: By what people tell Rich that a pipe is to be treated as a terminal, or how wide it is.
_TOLD_RICH = ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_PACKED = 24  # columns at least for parameters beside the others of a table
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def make_console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """The console that commands print to: no markup, no highlighting; piped, it has no colour and no line limit.

    ``NO_COLOR``, ``TERM=dumb`` and ``COLUMNS`` are obeyed. A character that the terminal's encoding lacks becomes
    ``?``.
    """
    stream = file if file is not None else (sys.stderr if stderr else sys.stdout)
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    piped = not stream.isatty()
    width = _UNLIMITED if piped and not os.environ.get("COLUMNS") else None
    return _console_class()(
        file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False, force_jupyter=False
    )


@lru_cache(maxsize=1)
def _console_class() -> type[Console]:
    from rich.console import Console

    class OurConsole(Console):
        """Lets the caller decide what a reader that has left means; Rich itself would end the process."""

        def print(self, *objects: Any, **options: Any) -> None:
            """See `rich.console.Console`; what is wider than the window is left whole, for the terminal to wrap."""
            super().print(*objects, **{"crop": False, **options})

        def on_broken_pipe(self) -> None:
            """See `rich.console.Console`; called while the error is handled."""
            raise

    return OurConsole


def print_out(part: RenderableType) -> None:
    """Print to the standard output, as `make_console` does; where that is no terminal, without loading what a terminal needs."""
    if sys.stdout.isatty() or any(os.environ.get(name) for name in _TOLD_RICH):
        make_console().print(part)
        return
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    sheet = Sheet(sys.stdout.encoding or "utf-8", _UNLIMITED)
    sys.stdout.write("".join(f"{line}\n" for line in sheet.lines(part)))
    sys.stdout.flush()


def clean(text: str) -> str:
    """A foreign text made safe to show: no escape sequences or control characters, a progress bar's last state."""
    return _CONTROL.sub("", as_on_a_screen(text)).replace("\t", "    ")


def one_line(text: str, width: int = 0) -> str:
    """A cleaned text on one line, cut with three dots where it is longer than `width` (0: never)."""
    line = " ".join(clean(text).split())
    return f"{line[: max(0, width - 3)]}..." if width and len(line) > width else line


def percent(share: float) -> str:
    """A share to a tenth, as ``31.4``: 100 is what is reached, not what is nearly."""
    return f"{int(1000 * share + 1e-6) / 10:.1f}"


def param(value: Any, *, exact: bool = False) -> str:
    """A parameter's value for people; floats with four significant digits unless `exact`."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return repr(value) if exact else figure(value)
    return one_line(str(value), 0 if exact else 40)


def params_text(params: Mapping[str, Any]) -> str:
    """``lr=0.0012 model=cnn``."""
    return " ".join(f"{one_line(name)}={param(value)}" for name, value in params.items())


def bar(share: float, width: int, *, unicode: bool) -> Text:
    """A progress bar of `width` cells."""
    full = min(width, int(share * width + 1e-9))
    done, rest = ("━", "─") if unicode else ("#", ".")
    return Text.assemble((done * full, "green" if share >= 1 else "cyan"), (rest * (width - full), "dim"))


def sparkline(values: Sequence[float], width: int, *, unicode: bool) -> str:
    """A curve on one line. More values than `width` are thinned out, the first and the last stay; gaps are blank."""
    if len(values) > width > 1:
        values = [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]
    levels = "▁▂▃▄▅▆▇█" if unicode else "_.-=+*#@"
    finite = [value for value in values if abs(value) < float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(levels) - 1) / (high - low) if high > low else 0.0
    return "".join(levels[round((v - low) * scale)] if abs(v) < float("inf") else " " for v in values)


def is_unicode(console: Console) -> bool:
    """Whether the console can show more than ASCII."""
    return console.encoding.lower().replace("-", "").startswith("utf")


def wrapped(text: Text, width: int) -> list[Text]:
    """A text as lines of at most `width` cells, cut between words. A word that is longer (a path) stays whole: a terminal breaks
    it where it ends, and what is copied from there is the word."""
    found: list[Text] = []
    for line in text.split(allow_blank=True):
        cuts, used = [], 0
        for word in re.finditer(r"\s*\S+\s*", line.plain):
            cells = cell_len(word[0].rstrip())
            if used and used + cells > width:
                cuts.append(word.start())
                used = 0
            used += cell_len(word[0])
        found += line.divide(cuts)
    for line in found:
        line.rstrip()
        line.no_wrap, line.overflow = True, "ignore"
    return found


class Facts(Struct):
    """Labelled facts, values aligned, long ones wrapped under themselves. Rows with an empty value are left out."""

    rows: Sequence[tuple[str, str | Text]]
    indent: int = 2
    label_width: int = 0  # at least
    label_style: str = "dim"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        rows = [(label, value if isinstance(value, Text) else Text(value)) for label, value in self.rows]
        rows = [(label, value) for label, value in rows if value.plain]
        column = max([self.label_width, *(cell_len(label) for label, _ in rows)]) if rows else 0
        column = min(column, max(8, options.max_width // 3))
        left = self.indent + column + 2
        for label, value in rows:
            label = label if cell_len(label) <= column else f"{label[: column - 1]}~"
            lines = wrapped(value, max(16, options.max_width - left))
            for at, line in enumerate(lines):
                head = (label + " " * (column - cell_len(label))) if at == 0 else " " * column
                yield Text.assemble(
                    " " * self.indent, (head, self.label_style), "  ", line, no_wrap=True, overflow="ignore"
                )


class Paragraph(Struct):
    """A text that wraps under its own beginning; `head` stands in the indent of its first line."""

    text: Text
    indent: int = 0
    head: Text | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        lines = wrapped(self.text, max(16, options.max_width - self.indent))
        for at, line in enumerate(lines):
            head = self.head if self.head is not None and at == 0 else " " * self.indent
            yield Text.assemble(head, line, no_wrap=True, overflow="ignore")


def _cut(line: Text, width: int) -> Text:
    line.truncate(width)
    line.rstrip()
    return line


class Rows(Struct):
    """An aligned table without lines. Where it does not fit, the columns behind the first ones are told as ``name=value``."""

    header: Sequence[str]  # one word per column
    rows: Sequence[Sequence[str | Text]]
    right: frozenset[int] = frozenset()  # columns that are aligned to the right
    keep: int = 3  # the columns at the left that always stay columns
    packed: str = "parameters"  # what the others are called together
    styles: Mapping[int, str] = {}  # by row
    indent: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in self.rows]
        widths = [
            max([cell_len(name), *(row[column].cell_len for row in cells)]) for column, name in enumerate(self.header)
        ]
        fits = self.indent + sum(widths) + 2 * (len(widths) - 1) <= options.max_width
        shown = len(widths) if fits else min(self.keep, len(widths))
        head = [*self.header[:shown], *([self.packed] if shown < len(widths) else [])]
        yield _cut(self._line([Text(name, style="dim") for name in head], [*widths[:shown], 0]), options.max_width)
        for at, row in enumerate(cells):
            lines = self._row(row, widths, shown, options.max_width)
            for line in lines:
                line.stylize(self.styles.get(at, ""))
                yield line

    def _row(self, row: Sequence[Text], widths: Sequence[int], shown: int, width: int) -> list[Text]:
        """The first columns, and behind them or, where that is too narrow, below them the others."""
        line = self._line(row[:shown], widths)
        if shown == len(widths):
            return [_cut(line, width)]
        pairs = " ".join(f"{self.header[at]}={row[at].plain}" for at in range(shown, len(widths)) if row[at].plain)
        left = self.indent + sum(widths[:shown]) + 2 * shown
        if width - left < _PACKED:
            left = self.indent + widths[0] + 2
            below = wrapped(Text(pairs), width - left) if pairs else []
            return [_cut(line, width), *(Text(" " * left).append_text(each) for each in below)]
        first, *others = wrapped(Text(pairs), width - left) or [Text()]
        line.append(" " * (left - line.cell_len) if first.plain else "").append_text(first)
        return [line, *(Text(" " * left).append_text(each) for each in others)]

    def _line(self, cells: Sequence[Text], widths: Sequence[int]) -> Text:
        line = Text(" " * self.indent)
        for column, cell in enumerate(cells):
            blank = " " * (widths[column] - cell.cell_len)
            line.append_text(Text.assemble(blank, cell) if column in self.right else Text.assemble(cell, blank))
            line.append("  ")
        line.rstrip()
        return line


class Command(Struct):
    """What may be copied into a shell: on one line, however long; the terminal wraps it without breaking it in two."""

    text: str
    indent: int = 2
    label: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        head = f"{self.label:<{LABELS}}  " if self.label else ""
        yield Text.assemble(
            " " * self.indent, (head, "dim"), (one_line(self.text), "bold"), no_wrap=True, overflow="ignore"
        )


def next_line(command: str) -> Group:
    """What to type next, set off by a blank line."""
    return Group(Text(), Command(command, label="next"))
