"""Lines at the end of a terminal's text that are drawn again in place: only what changed is written, in one piece.

There is no alternate screen, and the cursor rests below the last line: whatever kills the process leaves a terminal that can
be used, with everything on it that was said. Codes are those of ECMA-48 that xterm, tmux and the consoles have: cursor up (A),
down (B) and to a column (G), erase (J, K), insert lines (L), and no wrapping (?7) while we write.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment, Segments
from rich.style import Style

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_JOINERS = "\u200d\ufe0e\ufe0f"
_Line = list[Segment]
_Cell = tuple[str, Style | None]


class InPlace:
    """Draws such a block on a console. One line of the window and one column stay free, so that nothing scrolls or wraps."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drawn: list[_Line] = []
        self._size = (0, 0)

    def draw(self, parts: Sequence[RenderableType], above: Sequence[RenderableType] = ()) -> None:
        """Show these parts, one below the other, cut to the window; `above` is said above them and stays."""
        size = self._console.width, self._console.height
        lines = [_trimmed([*line.segments], size[0] - 1) for line in self.lines(parts)][: max(1, size[1] - 1)]
        said = self._text(above)
        rows = said.count("\n")
        if not self._drawn or size != self._size or rows + len(self._drawn) >= size[1]:
            data = self._gone() + said + "".join(f"{self._ansi(line)}\n" for line in lines)
        else:
            data = (self._inserted(said, rows) if rows else "") + self._patches(lines)
        self._drawn, self._size = lines, size
        self._write(f"\x1b[?7l{data}\x1b[?7h" if data else "")

    def close(self, above: Sequence[RenderableType] = ()) -> None:
        """Take the block away; what was said above it stays."""
        self._write(self._gone() + self._text(above))

    def forget(self) -> None:
        """What was drawn is not there any more: somebody else wrote over it."""
        self._drawn = []

    def lines(self, parts: Sequence[RenderableType]) -> list[Segments]:
        """What these parts are, line by line, none wider than there is room for."""
        options = self._console.options.update(width=max(1, self._console.width - 1))
        return [Segments(line) for part in parts for line in self._console.render_lines(part, options, pad=False)]

    def _text(self, parts: Sequence[RenderableType]) -> str:
        if not parts:
            return ""
        with self._console.capture() as capture:
            for part in parts:
                self._console.print(part)
        return capture.get()

    def _ansi(self, line: Sequence[Segment]) -> str:
        with self._console.capture() as capture:
            self._console.print(Segments(line), end="")
        return capture.get()

    def _inserted(self, said: str, rows: int) -> str:
        """Make room below, go up to the block's first line, push the block down, and say it there."""
        height = len(self._drawn)
        return "\n" * rows + f"\x1b[{rows + height}A\x1b[{rows}L{said}\x1b[{height}B"

    def _patches(self, lines: Sequence[_Line]) -> str:
        """From the line below the block, through the lines that are others now, to the line below the new one."""
        data, at = "", len(self._drawn)
        for row, (old, new) in enumerate(zip(self._drawn, lines, strict=False)):
            if old != new:
                data += _rows(row - at) + self._patch(old, new)
                at = row
        common = min(len(self._drawn), len(lines))
        data += f"{_rows(common - at)}\r" if data or common < len(self._drawn) else ""
        if len(lines) < len(self._drawn):
            data += "\x1b[J"
        return data + "".join(f"{self._ansi(line)}\n" for line in lines[common:])

    def _patch(self, old: _Line, new: _Line) -> str:
        before, after = _cells(old), _cells(new)
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False))))
        while same and any(same < len(cells) and not cell_len(cells[same][0]) for cells in (before, after)):
            same -= 1  # a sign that belongs to the letter before it is written with that
        narrower = _width(before) - _width(after)
        end = len(after)
        shift = len(before) - end
        if not narrower:  # what is the same at the end stays where it is
            while end > same and shift + end > same and before[shift + end - 1] == after[end - 1]:
                end -= 1
            while end < len(after) and not cell_len(after[end][0]):
                end += 1  # as above
        rest = self._ansi(_segments(after[same:end]))
        return f"\x1b[{_width(after[:same]) + 1}G{rest}" + ("\x1b[K" if narrower > 0 else "")

    def _gone(self) -> str:
        """Back to the first line of the block, however the terminal wrapped it when it was made narrower."""
        width = max(1, self._console.width)
        rows = sum(max(1, -(-sum(map(_segment_width, line)) // width)) for line in self._drawn)
        self._drawn = []
        return f"\x1b[{rows}A\r\x1b[J" if rows else ""

    def _write(self, data: str) -> None:
        if data:
            self._console.file.write(data)
            self._console.file.flush()


def _rows(by: int) -> str:
    return "" if by == 0 else f"\x1b[{by}B" if by > 0 else f"\x1b[{-by}A"


def _segment_width(segment: Segment) -> int:
    return cell_len(segment.text)


def _cells(line: _Line) -> list[_Cell]:
    return [(letter, segment.style) for segment in line for letter in segment.text]


def _width(cells: Sequence[_Cell]) -> int:
    return sum(cell_len(letter) for letter, _ in cells)


def _segments(cells: Sequence[_Cell]) -> _Line:
    line: _Line = []
    for letter, style in cells:
        if line and line[-1].style == style:
            line[-1] = Segment(line[-1].text + letter, style)
        else:
            line.append(Segment(letter, style))
    return line


def _trimmed(line: _Line, width: int) -> _Line:
    """Without what is not seen: control codes, blanks at its end; and without what joins letters to one sign, whose width each
    terminal has a mind of its own about."""
    cells = [cell for cell in _cells([segment for segment in line if not segment.control]) if cell[0] not in _JOINERS]
    while cells and (_width(cells) > width or not cells[-1][0].strip()):
        cells.pop()
    return _segments(cells)
