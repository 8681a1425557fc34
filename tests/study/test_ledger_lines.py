"""A ledger's line is read the same way whether it is decoded by its types or by the standard library."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any, get_args
from unittest.mock import ANY

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.core.records import Event, JobSubmitted, from_json, kind_of, to_json
from outlast.core.states import Cause, TrialState
from outlast.study import ledger_lines
from outlast.study.ledger_lines import events_of, from_line, kinds_of_later, seals_of, to_line

ODD = [
    math.nan,
    math.inf,
    -math.inf,
    -0.0,
    1e308,
    5e-324,
    0.1 + 0.2,
    1e16,
    1e-7,
    10**400,
    -(2**63) - 1,
    2**64,
    2**53 + 1,
]
numbers = st.integers() | st.floats() | st.sampled_from(ODD)
texts = st.text(st.characters(), max_size=6)  # lone surrogates, as in a path that is no UTF-8
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars, lambda of: st.lists(of, max_size=2) | st.dictionaries(texts, of, max_size=2), max_leaves=4
)
mappings = st.dictionaries(texts, anything, max_size=3)
BY_TYPE = {
    TrialState: st.sampled_from(TrialState), Cause: st.sampled_from(Cause), int: st.integers(), float: numbers,
    bool: st.booleans(), str: texts, Any: anything,
}  # fmt: skip


def values(of: Any) -> st.SearchStrategy[Any]:
    """Values of a field: mostly of its type."""
    if of in BY_TYPE:
        return BY_TYPE[of]
    if of is type(None):
        return st.none()
    parts = get_args(of)
    if getattr(of, "__origin__", None) is tuple:
        inner = [values(part) for part in parts if part is not ...]
        return st.lists(inner[0], max_size=3).map(tuple) if ... in parts else st.tuples(*inner)
    if isinstance(getattr(of, "__origin__", None), type) and issubclass(of.__origin__, Mapping):
        return st.dictionaries(texts, values(parts[1]), max_size=3)
    return st.one_of([values(part) for part in parts])


def records(cls: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Records of a class as a line has them, some with keys that lack, are new, or hold what they should not."""
    whole = st.builds(cls, **{field.name: values(field.type) for field in msgspec.structs.fields(cls)}).map(to_json)
    return st.builds(changed, whole, st.sets(st.sampled_from(cls.__struct_fields__), max_size=1), st.none() | mappings)


def changed(obj: dict[str, Any], lacking: set[str], more: dict[str, Any] | None) -> dict[str, Any]:
    return {**{key: value for key, value in obj.items() if key not in lacking}, **(more or {})}


events = st.one_of([records(cls) for cls in get_args(Event)]) | st.fixed_dictionaries({"kind": texts})
lines = st.fixed_dictionaries(
    {"v": st.just(1)},
    optional={
        "n": st.integers(1, 99), "at": texts, "events": st.lists(events, max_size=3), "segment": st.integers(1, 9),
        "seals": st.dictionaries(st.integers(1, 99).map(str), st.integers(0, 2**40), max_size=2), "base": st.integers(1, 9),
        "held": texts, "holder": mappings, "note": texts, "later": anything,
    },
)  # fmt: skip
NEEDED = {
    "trial": 1,
    "number": 1,
    "at": "",
    "name": "",
    "origin": "",
    "job": "",
    "role": "",
    "text": "",
    "state": "complete",
    "cause": "completed",
}
KNOWN = ("v", "n", "at", "segment", "base", "held", "holder", "note", "crc")


def sealed(obj: dict[str, Any]) -> bytes:
    """A line as `to_line` writes it, of objects that it would refuse as well: NaN as Python's JSON has it."""
    body = json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b'%b,"crc":%d}' % (body[:-1], zlib.crc32(body))


def told(raw: bytes) -> Any:
    """All that anybody takes from a line, comparable: NaN is itself, and 1 is not 1.0 where it is anything's value."""
    line = from_line(raw)
    if line is None:
        return None
    said = [seals_of(line), {key: line[key] for key in KNOWN if key in line}]
    try:
        return repr([*said, kinds_of_later(line), [(type(event), *fields_of(event)) for event in events_of(line)]])
    except Exception as error:
        return repr([*said, type(error)])


def fields_of(event: Event) -> list[Any]:
    """A record's values; of a number that has to be one with a fraction, its value."""
    found = []
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        found.append(float(value) if field.type is float and type(value) is int else value)
    return found


def by_the_standard_library(raw: bytes) -> Any:
    class Refusing:
        def decode(self, raw: bytes) -> Any:
            raise msgspec.DecodeError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_lines, "_TYPED", Refusing())
        patch.setattr(ledger_lines, "_PARTS", Refusing())
        return told(raw)


@given(lines)
def test_by_types_or_by_the_standard_library_a_line_says_the_same(obj: dict[str, Any]) -> None:
    raw = sealed(obj)
    assert told(raw) == by_the_standard_library(raw)


def test_what_is_written_every_day_is_decoded_by_its_types() -> None:
    every_day = [
        from_json({"kind": kind_of(cls), **NEEDED, "attempt": "0001.1" if cls is JobSubmitted else 1})
        for cls in get_args(Event)
    ]
    line = from_line(to_line({"v": 1, "n": 1, "at": "", "events": [to_json(event) for event in every_day]})[:-1])
    assert line is not None and line["events"] == every_day


def test_of_thousands_of_decisions_only_the_odd_ones_are_read_by_the_standard_library() -> None:
    plain = from_json({"kind": "trial_created", **NEEDED})
    odd = {**to_json(from_json({"kind": "attempt_ended", **NEEDED, "attempt": 1})), "values": ["Infinity"]}
    line = from_line(to_line({"v": 1, "n": 1, "events": [to_json(plain), odd]})[:-1])
    assert line == {"v": 1, "n": 1, "events": [plain, odd], "crc": ANY}
    assert events_of(line)[1] == from_json(odd)
