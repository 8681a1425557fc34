"""As much of a terminal as our words use: what stands on its lines after them, and whether anything wrapped.

Written from ECMA-48 and xterm's control sequences; the same words go through a real tmux in the tests that start one.
"""

from __future__ import annotations

import re

from rich.cells import cell_len

_PART = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|(.)", re.DOTALL)


class Screen:
    """A window of `width` × `height` cells with everything that has scrolled out above it.

    Attributes:
        lines: All lines, those above the window first.
        wrapped: How often something was written beyond the last column.
    """

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self.width, self.height = width, height
        self.lines: list[list[str]] = [[]]
        self.row = self.column = self.top = 0
        self.wraps, self.wrapped = True, 0

    @property
    def text(self) -> str:
        """What can be read; without blanks at the ends of lines."""
        return "\n".join("".join(line).rstrip() for line in self.lines)

    @property
    def window(self) -> list[str]:
        """The lines in the window."""
        return ["".join(line).rstrip() for line in self.lines[self.top : self.top + self.height]]

    def feed(self, data: str) -> None:
        """Take what a program writes."""
        for found in _PART.finditer(data):
            given, code, letter = found.groups()
            if letter is not None:
                self._put(letter)
            elif not given.startswith("?"):
                self._do(code, int(given) if given.isdigit() else None)
            elif given == "?7":
                self.wraps = code == "h"

    def _put(self, letter: str) -> None:
        if letter == "\n":
            self._down(1, scrolls=True)
            self.column = 0
        elif letter == "\r":
            self.column = 0
        else:
            assert letter.isprintable(), f"a control character: {letter!r}"
            cells = cell_len(letter)
            if self.column + cells > self.width:
                self.wrapped += 1
                if not self.wraps:
                    return
                self._down(1, scrolls=True)
                self.column = 0
            line = self.lines[self.row]
            line += [" "] * (self.column - len(line))
            if cells:
                line[self.column : self.column + cells] = [letter, *[""] * (cells - 1)]
            elif self.column:  # it belongs to the letter before the cursor
                at = self.column - 1
                line[at - (not line[at])] += letter
            self.column += cells

    def _down(self, by: int, *, scrolls: bool) -> None:
        for _ in range(by):
            if self.row + 1 == self.top + self.height:
                if not scrolls:
                    return
                self.top += 1
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append([])

    def _do(self, code: str, number: int | None) -> None:
        by = number or 1
        if code == "A":
            self.row = max(self.top, self.row - by)
        elif code == "B":
            self._down(by, scrolls=False)
        elif code == "G":
            self.column = by - 1
        elif code == "K":
            del self.lines[self.row][self.column :]
        elif code == "J":
            assert number in (None, 0), "the whole screen is never cleared"
            del self.lines[self.row][self.column :]
            del self.lines[self.row + 1 :]
        elif code == "L":
            self.lines[self.row : self.row] = [[] for _ in range(by)]
            del self.lines[self.top + self.height :]
        else:
            assert code == "m", f"an unknown code: {code}"
