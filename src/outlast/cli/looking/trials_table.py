"""``show --trials``: every trial as a row, filtered and sorted; coloured for a person, plain in a pipe."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.cells import cell_len

from outlast.cli.render.phrases import STATE_STYLES
from outlast.cli.render.styled import Text
from outlast.cli.render.text import Rows, one_line, param, print_out
from outlast.core.plain_json import plain_json
from outlast.engine.record.recorded import recorded_settings
from outlast.results.trial_query import chosen_rows, sorted_rows
from outlast.results.trial_table import TrialTable

_MOST_STYLED = 1000  # rows: laying out more in colour takes longer than reading them
_ASIDE = ("started_at", "finished_at", "seed", "revision", "code", "source", "reason")  # in JSON, and where asked for


def show_table(folder: str, *, where: str | None, sort: str | None, as_json: bool) -> None:
    """Print the table.

    Args:
        folder: The study folder.
        where: An expression over columns.
        sort: Columns with commas between them.
        as_json: One list of objects with every column.

    Raises:
        UsageError: An expression or a column that makes no sense.
    """
    settings, study = recorded_settings(folder)
    columns = TrialTable(settings).columns(study)
    also = {"trial": "number"}
    if len(settings.metrics) == 1:
        also[settings.metrics[0].name] = "value"
    rows = sorted_rows(columns, chosen_rows(columns, where, also=also), sort, also=also)
    if as_json:
        whole = [{name: values[at] for name, values in columns.items()} for at in rows]
        click.echo(json.dumps(plain_json(whole), default=str, allow_nan=False))
        return
    if not rows:
        click.echo("no trials yet" if not study.trials else "no trial matches", err=True)
        return
    asked = f"{where or ''} {sort or ''}"
    shown = [name for name in columns if _is_shown(name, columns[name], asked)]
    header = [one_line(settings.metrics[0].name) if name == "value" else one_line(name) for name in shown]
    cells = [[_cell(name, columns[name][at]) for name in shown] for at in rows]
    right = frozenset(at for at, name in enumerate(shown) if _is_numeric(columns[name]))
    if sys.stdout.isatty() and len(rows) <= _MOST_STYLED:
        state = shown.index("state")
        styled = [[Text(c, STATE_STYLES[c]) if at == state else c for at, c in enumerate(row)] for row in cells]
        print_out(Rows(header, styled, right=right, keep=3, packed="", indent=0))
    else:
        click.echo("\n".join(_lines(header, cells, right)))


def _is_shown(name: str, values: Sequence[Any], asked: str) -> bool:
    """Whether a person wants to see the column: what is empty, and what is not asked for, stays in the JSON."""
    if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", asked):
        return True
    return (
        name not in _ASIDE and not name.startswith(("attr.", "metric.")) and any(value is not None for value in values)
    )


def _cell(name: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isinf(value)):  # the worst there is: it has no value
        return ""
    return f"{value:.1f}" if name == "seconds" else param(value)


def _is_numeric(values: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values)


def _lines(header: Sequence[str], cells: Sequence[Sequence[str]], right: frozenset[int]) -> list[str]:
    rows = [header, *cells]
    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(header))]
    found = []
    for row in rows:
        padded = (
            " " * (width - cell_len(cell)) + cell if at in right else cell + " " * (width - cell_len(cell))
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        found.append("  ".join(padded).rstrip())
    return found
