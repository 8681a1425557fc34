"""Text with styles, as Rich has it, and without Rich until a terminal is to show it: a look through a pipe loads none of it.

The methods are those of `rich.text.Text` that are needed here, and mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    import rich.console
    import rich.text

#: What Rich drops from a text: bell, backspace, vertical tab, form feed, carriage return.
_DROPPED = dict.fromkeys((7, 8, 11, 12, 13))
_Span: TypeAlias = tuple[int, int, str]


class Text:
    """A text, the style of all of it, and spans with styles of their own.

    Args:
        plain: The text.
        style: Of all of it, and of what is appended to it.
        no_wrap, overflow: As for `rich.text.Text`.
    """

    def __init__(self, plain: str = "", style: str = "", *, no_wrap: bool | None = None, overflow: Any = None) -> None:
        self.plain, self.style = plain.translate(_DROPPED), style
        self.no_wrap, self.overflow = no_wrap, overflow
        self.spans: list[_Span] = []

    @classmethod
    def assemble(cls, *parts: str | Text | tuple[str, str], no_wrap: bool | None = None, overflow: Any = None) -> Text:
        """Put together of texts, and pairs of a text and its style."""
        text = cls(no_wrap=no_wrap, overflow=overflow)
        for part in parts:
            text.append(*part) if isinstance(part, tuple) else text.append(part)
        return text

    def __bool__(self) -> bool:
        return bool(self.plain)

    def __len__(self) -> int:
        return len(self.plain)

    @property
    def cell_len(self) -> int:
        """How many cells of a terminal it takes."""
        return cell_len(self.plain)

    def append(self, text: str | Text, style: str = "") -> Text:
        """Add to its end. Returns itself."""
        if isinstance(text, str):
            text = Text(text, style)
        at = len(self.plain)
        if text.style:
            self.spans.append((at, at + len(text), text.style))
        self.spans += [(at + begin, at + end, of) for begin, end, of in text.spans]
        self.plain += text.plain
        return self

    append_text = append

    def stylize(self, style: str) -> None:
        """Give all of it a style, above what it has."""
        if style:
            self.spans.append((0, len(self.plain), style))

    def highlight_words(self, words: Iterable[str], style: str) -> None:
        """Give every occurrence of some words a style."""
        for found in re.finditer("|".join(re.escape(word) for word in words), self.plain):
            self.spans.append((found.start(), found.end(), style))

    def copy(self) -> Text:
        """One that may be changed without changing this."""
        return self._part(0, len(self.plain))

    def split(self, *, allow_blank: bool = True) -> list[Text]:
        """Its lines; with an empty one behind a break at its end where blank ones are allowed."""
        lines = [self._part(found.start(), found.end()) for found in re.finditer(r"(?m)^.*$", self.plain)]
        return lines if allow_blank or not self.plain.endswith("\n") else lines[:-1]

    def divide(self, cuts: Sequence[int]) -> list[Text]:
        """Cut at some places."""
        edges = [0, *cuts, len(self.plain)]
        return [self._part(begin, end) for begin, end in pairwise(edges)]

    def rstrip(self) -> None:
        """Take blanks away at its end."""
        self._keep(self.plain.rstrip())

    def truncate(self, width: int) -> None:
        """Cut what is beyond so many cells."""
        if self.overflow != "ignore" and self.cell_len > width:
            self._keep(set_cell_size(self.plain, width))

    def _keep(self, plain: str) -> None:
        self.plain, end = plain, len(plain)
        self.spans = [(begin, min(to, end), style) for begin, to, style in self.spans if begin < end]

    def _part(self, begin: int, end: int) -> Text:
        part = Text(self.plain[begin:end], self.style, no_wrap=self.no_wrap, overflow=self.overflow)
        cut = ((max(at, begin) - begin, min(to, end) - begin, style) for at, to, style in self.spans)
        part.spans = [(at, to, style) for at, to, style in cut if at < to]
        return part

    def __rich__(self) -> rich.text.Text:
        """For a terminal."""
        from rich.text import Span, Text

        spans = [Span(*span) for span in self.spans]
        return Text(self.plain, self.style, no_wrap=self.no_wrap, overflow=self.overflow, spans=spans)


class Group:
    """Several things, one below the other."""

    def __init__(self, *parts: rich.console.RenderableType) -> None:
        self.parts = parts

    def __rich__(self) -> rich.console.RenderableType:
        """For a terminal."""
        from rich.console import Group

        return Group(*self.parts)


class Sheet:
    """What stands for a console where nobody's window ends a line, and nothing has a colour.

    Attributes:
        encoding: Of what is written.
        max_width: Columns.
    """

    def __init__(self, encoding: str, max_width: int) -> None:
        self.encoding, self.max_width = encoding, max_width

    def lines(self, part: Any) -> Iterator[str]:
        """What a part is, line by line, drawn as `rich.console.Console` would draw it here."""
        if isinstance(part, str):
            part = Text(part)
        if isinstance(part, Text):
            yield from map(_without_tabs, part.plain.split("\n"))
        elif isinstance(part, Group):
            for each in part.parts:
                yield from self.lines(each)
        else:
            for each in part.__rich_console__(self, self):
                yield from self.lines(each)


def _without_tabs(line: str) -> str:
    """With blanks up to every eighth cell instead."""
    *parts, last = line.split("\t")
    drawn = ""
    for part in parts:
        drawn += f"{part} "
        drawn += " " * (-cell_len(drawn) % 8)
    return drawn + last
