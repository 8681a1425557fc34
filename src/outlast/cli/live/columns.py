"""Rows under each other that fit: columns that matter less are left out, names are cut, and what does not fit is counted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from rich.cells import cell_len

from outlast.cli.render.styled import Text

_GAP = 2
_LEAST_NAME = 8  # cells that are left of what is cut


class Column(Struct, frozen=True):
    """How a column gives way.

    Attributes:
        drop: Left out the earlier the larger; 0: never.
        right: Aligned to the right.
        shrinks: Cut where the others leave no room.
        fills: Takes what room is left, by whole words, and asks for none.
    """

    drop: int = 0
    right: bool = False
    shrinks: bool = False
    fills: bool = False


def lines_of(
    cells: Sequence[Sequence[Text]],
    columns: Sequence[Column],
    width: int,
    *,
    marked: int | None,
    strong: bool,
    most: int,
    dots: str = "…",
) -> list[Text]:
    """The rows as lines of at most `width` cells.

    Args:
        cells: A row's; one with fewer cells than columns lets its last one run on.
        marked: The row at which the cursor stands, or whose trials are shown.
        strong: Whether the cursor stands there.
        most: Lines; the rows around the marked one are shown, and the others counted.
    """
    first, last = _around(len(cells), marked or 0, most)
    widths = _widths(cells, columns, width - 2)
    lines = []
    for at in range(first, last):
        mark = ("> " if strong else "· ") if at == marked else "  "
        line = Text.assemble((mark, "bold cyan"), _line(cells[at], columns, widths, width - 2, dots))
        line.truncate(width)
        line.rstrip()
        lines.append(line)
    if last - first < len(cells) and lines:
        more = f"  and {first} above, {len(cells) - last} below" if first else f"  and {len(cells) - last} more"
        lines.append(Text(more, style="dim"))
    return lines


def _around(rows: int, marked: int, most: int) -> tuple[int, int]:
    if rows <= most:
        return 0, rows
    shown = max(1, most - 1)
    first = max(0, min(marked - shown // 2, rows - shown))
    return first, first + shown


def _widths(cells: Sequence[Sequence[Text]], columns: Sequence[Column], width: int) -> list[int]:
    """Of each column; 0: left out."""
    found = [0] * len(columns)
    for row in cells:
        for at, cell in enumerate(row if len(row) == len(columns) else row[:-1]):  # the last one of a short row runs on
            found[at] = max(found[at], cell.cell_len)
    found = [0 if column.fills else cells for cells, column in zip(found, columns, strict=True)]
    while sum(found) + _GAP * (sum(map(bool, found)) - 1) > width:
        over = sum(found) + _GAP * (sum(map(bool, found)) - 1) - width
        longest = max((at for at, column in enumerate(columns) if column.shrinks), key=found.__getitem__, default=None)
        droppable = [at for at, column in enumerate(columns) if column.drop and found[at]]
        if longest is not None and found[longest] > _LEAST_NAME and (found[longest] > 2 * _LEAST_NAME or not droppable):
            found[longest] = max(_LEAST_NAME, found[longest] - over)
        elif droppable:
            found[min(droppable, key=lambda at: columns[at].drop)] = 0
        else:
            break
    return found


def _line(row: Sequence[Text], columns: Sequence[Column], widths: Sequence[int], width: int, dots: str) -> Text:
    line = Text()
    for at, cell in enumerate(row):
        cell = cell.copy()
        last = at == len(row) - 1 < len(columns) - 1  # an error runs on
        if not (widths[at] or columns[at].fills or last):
            continue
        if line:
            line.append(" " * _GAP)
        if columns[at].fills or last:
            line.append_text(_words_of(cell, max(0, width - line.cell_len), dots))
            continue
        cell.truncate(widths[at])
        blank = " " * (widths[at] - cell.cell_len)
        line.append_text(Text.assemble(blank, cell) if columns[at].right else Text.assemble(cell, blank))
    return line


def _words_of(text: Text, width: int, dots: str) -> Text:
    """As many whole words as fit, and dots for the others; nothing where not one fits."""
    if text.cell_len <= width:
        return text
    plain, used = text.plain, 0
    for word in re.finditer(r"\S+", plain):
        if cell_len(plain[: word.end()]) + 1 + cell_len(dots) > width:
            break
        used = word.end()
    return Text.assemble(text.divide([used])[0], (f" {dots}", text.style)) if used else Text()


def shares_of(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Lines for each part: all that it wants where there is room; else at least so many, and what is left in order."""
    given = [min(want, few) for want, few in zip(wanted, least, strict=True)]
    while sum(given) > max(0, room) and any(given):
        last = max(at for at, lines in enumerate(given) if lines)
        given[last] -= 1
    for at, want in enumerate(wanted):
        given[at] += max(0, min(want - given[at], room - sum(given)))
    return given
