"""The table of trials for those who calculate with it: a pandas or polars data frame, a Parquet file."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import Any

from outlast.errors import MissingExtra, UsageError

_TIMES = ("started_at", "finished_at")
_LIBRARIES = ("pandas", "polars")


def frame_of(columns: Mapping[str, Sequence[Any]], library: str | None = None) -> Any:
    """The columns of `outlast.results.trial_table.TrialTable.columns` as a data frame, typed.

    Times are UTC timestamps, numbers numbers; what a trial does not have is missing. A column of lists or of several kinds of
    values holds them as JSON text in polars, as they are in pandas.

    Args:
        columns: Name → one value per trial.
        library: ``pandas`` or ``polars``; by default whichever is installed, pandas first.

    Raises:
        UsageError: Another word.
        MissingExtra: It is not installed.
    """
    if library is not None and library not in _LIBRARIES:
        raise UsageError(f"no data frame of {library!r}", cure="pandas or polars")
    found = library or next((name for name in _LIBRARIES if find_spec(name) is not None), None)
    if found is None:
        raise MissingExtra("a data frame needs pandas or polars", cure="pip install pandas")
    if find_spec(found) is None:
        raise MissingExtra(f"{found} is not installed", cure=f"pip install {found}")
    return _polars(columns) if found == "polars" else _pandas(columns)


def parquet_of(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """The same table as the content of a Parquet file (https://parquet.apache.org), by PyArrow or polars.

    Raises:
        MissingExtra: Neither is installed.
    """
    plain = {name: _one_kind(name, values) for name, values in columns.items()}
    out = io.BytesIO()
    if find_spec("pyarrow") is not None:
        import pyarrow
        import pyarrow.parquet

        times = pyarrow.timestamp("ms", tz="UTC")
        arrays = {name: pyarrow.array(values, type=times if name in _TIMES else None) for name, values in plain.items()}
        pyarrow.parquet.write_table(pyarrow.table(arrays), out)
    elif find_spec("polars") is not None:
        _polars(columns).write_parquet(out)
    else:
        raise MissingExtra("a Parquet file needs PyArrow or polars", cure="pip install pyarrow")
    return out.getvalue()


def _pandas(columns: Mapping[str, Sequence[Any]]) -> Any:
    import pandas

    frame = pandas.DataFrame({name: pandas.Series(list(values), dtype="object") for name, values in columns.items()})
    for name in columns:
        known = [value for value in columns[name] if value is not None]
        if name in _TIMES:
            frame[name] = pandas.to_datetime(frame[name], utc=True, format="ISO8601")
        elif known and all(isinstance(value, bool) for value in known):
            frame[name] = frame[name].astype("boolean")
        elif known and all(map(_is_whole, known)):
            frame[name] = frame[name].astype("Int64" if len(known) < len(frame) else "int64")
        elif known and all(_is_number(value) for value in known):
            frame[name] = frame[name].astype("float64")
        elif known and all(isinstance(value, str) for value in known):
            frame[name] = frame[name].astype("string")
    return frame


def _polars(columns: Mapping[str, Sequence[Any]]) -> Any:
    import polars

    times = polars.Datetime("ms", "UTC")
    return polars.DataFrame(
        [
            polars.Series(name, _one_kind(name, values), dtype=times if name in _TIMES else None)
            for name, values in columns.items()
        ]
    )


def _one_kind(name: str, values: Sequence[Any]) -> list[Any]:
    """A column whose values are all of one kind, as formats with typed columns need it."""
    known = [value for value in values if value is not None]
    if name in _TIMES:
        return [None if value is None else datetime.fromisoformat(value) for value in values]
    if all(isinstance(value, (bool, str)) for value in known) and len({type(value) for value in known}) < 2:
        return list(values)
    if all(_is_number(value) for value in known):
        whole = all(map(_is_whole, known))
        return [value if value is None or whole else float(value) for value in values]
    return [
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for value in values
    ]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_number(value: Any) -> bool:
    """Whether it is a number of 64 bits, whole or not."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1023)
