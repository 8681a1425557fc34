"""Which trials of a table are wanted, and in which order: ``--where`` and ``--sort``. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.core.nearest import nearest
from outlast.errors import UsageError
from outlast.space.expressions import Constraint, ExpressionError

Columns = Mapping[str, Sequence[Any]]


def chosen_rows(columns: Columns, where: str | None, *, also: Mapping[str, str] | None = None) -> list[int]:
    """The rows for which an expression holds, such as ``lr < 0.01 and model == 'mlp' and state == 'complete'``.

    A row in which it cannot be calculated (a parameter that a trial does not have is ``None``) is left out.

    Args:
        columns: Name → one value per row.
        where: The expression; ``None`` chooses all.
        also: Further names of columns.

    Raises:
        UsageError: No expression, or a name that is no column.
    """
    count = len(next(iter(columns.values()), ()))
    if where is None:
        return list(range(count))
    try:
        wanted = Constraint(where)
    except ExpressionError as error:
        raise UsageError(
            f"--where {where!r}: {error}", cure="such as --where \"lr < 0.01 and state == 'complete'\""
        ) from None
    named = {name: columns[_column(columns, name, also, "--where")] for name in wanted.names}
    found = []
    for at in range(count):
        try:
            if wanted.evaluate({name: values[at] for name, values in named.items()}):
                found.append(at)
        except (TypeError, ArithmeticError):
            pass  # None < 0.01
    return found


def sorted_rows(
    columns: Columns, rows: Sequence[int], keys: str | None, *, also: Mapping[str, str] | None = None
) -> list[int]:
    """The rows in the order of some columns: ``value:desc,seconds`` or ``-value,seconds``.

    Numbers come before texts; what a trial does not have, and NaN, comes last in either direction.

    Args:
        columns: Name → one value per row.
        rows: Those to be sorted.
        keys: Names with commas between them; ``None`` leaves the order.
        also: Further names of columns.

    Raises:
        UsageError: A name that is no column.
    """
    found = list(rows)
    for key in reversed([word.strip() for word in (keys or "").split(",") if word.strip()]):
        down = (key.startswith("-") and key not in columns) or key.endswith(":desc")
        name = key.removesuffix(":desc").removesuffix(":asc")
        name = name[1:] if down and not key.endswith(":desc") else name
        values = columns[_column(columns, name, also, "--sort")]
        known = [at for at in found if not _is_missing(values[at])]
        missing = [at for at in found if _is_missing(values[at])]
        places = {at: _order(values[at]) for at in known}
        found = sorted(known, key=places.__getitem__, reverse=down) + missing
    return found


def _column(columns: Columns, name: str, also: Mapping[str, str] | None, option: str) -> str:
    """The column that a name means; of a dotted name its last part is enough where no other has it.

    Raises:
        UsageError: There is none.
    """
    if name in columns:
        return name
    if also and name in also:
        return also[name]
    nested = [column for column in columns if column.endswith(f".{name}")]
    if len(nested) == 1:
        return nested[0]
    known = [*columns, *(also or ())]
    near = nearest(name, known)
    raise UsageError(f"{option}: there is no column {name!r}", cure=near or f"there are: {', '.join(known)}")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (bool, int, float)):
        return 0, value, ""  # compared as it is: a whole number may be larger than any float
    return 1, 0.0, value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
