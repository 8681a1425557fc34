"""Tables that a training wrote as text: CSV in the world's dialects, and columns between blanks."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from outlast.runner.capture.numerals import as_number

_DELIMITERS = ",;\t|"
_COMMENT = ("#", "%", "//")
_POINT = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?%?")
#: No thousands: another number of digits behind the comma than three, or a zero or four digits before it.
_COMMA = re.compile(r"[-+]?(?:\d+,(?:\d{1,2}|\d{4,})|(?:0|\d{4,}),\d+)(?:[eE][-+]?\d+)?%?")
_WITH_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+(?:[eE][-+]?\d+)?%?")
_WITH_GROUPS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?%?")
_TORN = re.compile(r"(?:\.|[-+]|[eE][-+]?)$")


class Cell(NamedTuple):
    """A value under the name of its column."""

    name: str
    text: str
    value: float | None


class _Layout(NamedTuple):
    header: list[str]
    delimiter: str  # or a blank: any number of them
    start: int  # the line after the header


def read_table(text: str, *, torn: bool = False) -> Iterator[Cell]:
    """Every cell, row by row.

    What the decimal point is, the other values of the column say, or else those of the table. A row of too many cells (of
    a decimal comma between commas) gives its whole text for every column.
    `torn`: its writer was ended, and a last row without a line end is left out. Otherwise only a cell that is visibly torn.
    """
    lines = text.splitlines()
    layout = _layout(lines)
    if layout is None:
        return
    unended = bool(text) and not text.endswith(("\n", "\r"))
    if unended and torn:
        lines.pop()
    marks = _marks(layout, lines)
    overall = _agreed(mark for column in marks for mark in column)
    points = [_agreed(column) or overall for column in marks]
    last = len(lines) - 1
    for number, row in _rows(layout, lines):
        cells = row
        if unended and number == last and row and (_TORN.search(row[-1]) or len(row) < len(layout.header)):
            cells = row[:-1]
        if len(cells) > len(layout.header):
            whole = lines[number].strip()
            yield from (Cell(name, whole, None) for name in layout.header)
            continue
        for name, cell, point in zip(layout.header, cells, points, strict=False):
            yield Cell(name, cell, _value(cell, point))


def _layout(lines: list[str]) -> _Layout | None:
    """Where the header is and what divides its cells. ``numpy.savetxt`` writes it as a comment."""
    comment = ""
    for number, line in enumerate(lines):
        bare = line.strip()
        if not bare:
            continue
        if bare.startswith(_COMMENT):
            comment = bare.lstrip("#%/ ")
            continue
        delimiter = _delimiter(bare)
        header = _cells(bare, delimiter)
        if _numeric(header):
            delimiter = _delimiter(comment)
            header = _cells(comment, delimiter) if comment else []
            return None if not header or _numeric(header) else _Layout(header, delimiter, number)
        return _Layout(header, delimiter, number + 1)
    return None


def _numeric(cells: list[str]) -> bool:
    return any(as_number(cell) is not None for cell in cells)


def _delimiter(line: str) -> str:
    best = max(_DELIMITERS, key=line.count)
    return best if best in line else " "


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        line = re.sub(r"\s+", " ", line.strip())
    elif delimiter == "|":
        line = line.strip().strip("|")
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []  # a field beyond csv's limit


def _rows(layout: _Layout, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """(number of its last line, cells) of every row: a quoted cell may hold line ends."""
    at = layout.start

    def kept() -> Iterator[str]:
        nonlocal at
        for at in range(layout.start, len(lines)):
            line = lines[at].strip(" |" if layout.delimiter == "|" else " ")
            if line and not line.startswith(_COMMENT):
                yield re.sub(r"\s+", " ", line) if layout.delimiter == " " else line

    width = len(layout.header)
    try:
        for cells in csv.reader(kept(), delimiter=layout.delimiter, skipinitialspace=True):
            row = [cell.strip() for cell in cells]
            while len(row) > width and not row[-1]:
                row.pop()
            if len(row) == width + 1 and layout.delimiter in " \t":
                row = row[1:]  # R's write.table: the row's name, without one in the header
            yield at, row
    except csv.Error:
        return  # rows up to the one that is none


def _marks(layout: _Layout, lines: list[str]) -> list[set[str]]:
    """For each column, which signs are decimal points in it for certain."""
    marks: list[set[str]] = [set() for _ in layout.header]
    patterns: tuple[tuple[str, Callable[[str], object]], ...] = ((".", _POINT.fullmatch), (",", _COMMA.fullmatch))
    for _, row in _rows(layout, lines):
        if len(row) > len(marks):
            continue
        for column, cell in zip(marks, row, strict=False):
            if len(column) < 2:
                column.update(sign for sign, fits in patterns if sign in cell and fits(cell))
    return marks


def _agreed(marks: Iterable[str]) -> str:
    found = set(marks)
    return found.pop() if len(found) == 1 else ""


def _value(cell: str, point: str) -> float | None:
    if point == "," and _WITH_COMMA.fullmatch(cell):
        return as_number(cell.replace(".", "").replace(",", "."))
    if point == "," and "." in cell:
        return None
    if point == "." and _WITH_GROUPS.fullmatch(cell):
        return as_number(cell.replace(",", ""))
    return as_number(cell)
