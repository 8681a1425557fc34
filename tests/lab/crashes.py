"""Crash points: which moments of a command are alike, and a command that is killed at one of them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from lab.survival import Lab

#: What is kept of a ledger of a quarter of a megabyte, and of a long one seldom, is kept of any, each time (`Lab.start`'s patch).
FOLDED_AT_ONCE = """
import outlast.study.folded as folded
folded._LEAST, folded._SHARE = 1, 10**9
"""


class Point(NamedTuple):
    """A moment of a process: right before an operation of a kind, or so many operations after that."""

    kind: str  # a regular expression for the operation and its file
    later: int = 0
    nth: int = 1  # of its kind in this process

    def __str__(self) -> str:
        return f"killed {'after' if self.later else 'before'} {self.kind}" + (f", the {self.nth}." * (self.nth > 1))


def operations(lab: Lab, *arguments: str, patch: str = "") -> list[dict[str, Any]]:
    """Run a command to its end and hand back its own file operations."""
    record = lab.place / "operations.jsonl"
    pid = lab.run(*arguments, faults={"record": str(record)}, patch=patch).pid
    return [operation for operation in read_operations(record) if operation["pid"] == pid]


def read_operations(record: Path) -> Iterator[dict[str, Any]]:
    with open(record) as lines:
        for line in lines:
            yield json.loads(line)


def kind_of(operation: Mapping[str, Any]) -> str:
    """A regular expression for the operation and its kind of file: what makes two crash points alike."""
    path = str(operation["target"] if operation["op"] in ("link", "rename") else operation["path"])
    if "/studies" not in path:
        return f"{operation['op']} .*"
    name = path.partition("/studies")[2]
    name = re.sub(r"\.\d+\.\d+\.tmp$", ".@.@.tmp", name)
    name = re.sub(r"\.\d+\.[0-9a-f]{8}\.new", ".@.&.new", name)
    name = re.sub(r"(?<=/requests/)(\.?[a-z]+-)[0-9a-f]{32}", r"\1&", name)
    name = re.sub(r"\.\d{8}[T_]\d{6}(\.\d+)?", ".@+", name)
    pattern = (
        re.escape(re.sub(r"[0-9]+", "@", name))
        .replace(r"@\+", r"[\dT_.]+")
        .replace("@", r"\d+")
        .replace(r"\&", "[0-9a-f]+")
    )
    return f"{operation['op']} .*/studies{pattern}"


def crash_points(recorded: Sequence[str]) -> list[Point]:
    """Right before the first operation of every kind, and right after it where that is another moment."""
    first: dict[str, int] = {}
    for at, kind in enumerate(recorded):
        first.setdefault(kind, at)
    after = [
        Point(kind, 1) for kind, at in first.items() if at + 1 < len(recorded) and first[recorded[at + 1]] != at + 1
    ]
    return sorted([Point(kind) for kind in first] + after)


def decision_points(recorded: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Right before every line of the ledger that decides something new, written but not durable, and durable."""
    counts: dict[str, int] = {}
    found: dict[tuple[str, ...], Point] = {}
    for operation in recorded:
        if operation["op"] == "append":
            kind = kind_of(operation)
            counts[kind] = counts.get(kind, 0) + 1
            events = json.loads(base64.b64decode(operation["data"])).get("events", ())
            found.setdefault(tuple(event["kind"] for event in events), Point(kind, nth=counts[kind]))
    return [point._replace(later=later) for point in found.values() if point.nth > 1 for later in range(3)]


def part_of(points: Iterable[Point], part: int, parts: int) -> list[Point]:
    """A share of the points, the same on every machine."""
    return [point for point in points if crc32(repr(point).encode()) % parts == part]


def crash(lab: Lab, role: str, point: Point, *arguments: str, patch: str = "") -> list[str] | None:
    """Run a command and kill -9 a process of it at a moment.

    Returns:
        What went wrong on the way; ``None`` if there is no such moment in this run.
    """
    once = lab.place / "struck"
    moment = {"match": point.kind, "nth": point.nth, "later": point.later}
    first = lab.start(*arguments, faults={"role": role, "kill_on": moment, "once": str(once)}, patch=patch)
    code = first.wait()
    if not once.exists():
        return None
    expected = (-9,) if role == "coordinator" else (0,)
    return [] if code in expected else [f"the command that was hit ended with {code}: {first.said}"]


def again(lab: Lab, *arguments: str, code: int = 0, patch: str = "") -> list[str]:
    """Run a command once more, unharmed."""
    command = lab.start(*arguments, patch=patch)
    ended = command.wait()
    return [] if ended == code else [f"{' '.join(arguments) or 'run'} ended with {ended}: {command.said}"]
