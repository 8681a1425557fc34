"""Figures: what a benchmark measures, beside what, and what is wanted of it. Measured A B A B, kept as JSON, shown as a table."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

Measurement = Callable[[int], float]  # the round's number in, one figure out


@dataclass(frozen=True)
class Mark:
    """What is wanted: a bound of our own figure, of its ratio to the other side's, or of what it is beyond that."""

    bound: float
    of: str = "ours"  # or "ratio", or "difference"
    at_least: bool = False  # otherwise at most

    def reached(self, ours: Sequence[float], theirs: Sequence[float]) -> bool:
        """Whether the median keeps to it: of ours, or of the rounds' ratios or differences."""
        value = median(ours)
        if theirs and self.of != "ours":
            apart = self.of == "difference"
            value = median(a - b if apart else a / b for a, b in zip(ours, theirs, strict=True))
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        words = {"ours": "", "ratio": " ×", "difference": " beyond it"}
        return f"{'≥' if self.at_least else '≤'} {_number(self.bound)}{words[self.of]}"


@dataclass(frozen=True)
class Figure:
    """One quantity of ours, and the same of another side in the same rounds where there is one.

    Attributes:
        key: By which it is kept; one within its part.
        title: What is measured.
        unit: Of both sides.
        ours: Measures our side.
        theirs: Measures the other one.
        other: What that is.
        mark: What is wanted.
        quick: It is a count, or a ratio that the machine's load hardly changes, and soon measured: the quick form has it.
    """

    key: str
    title: str
    unit: str
    ours: Measurement
    theirs: Measurement | None = None
    other: str = ""
    mark: Mark | None = None
    quick: bool = False

    @property
    def more_is_better(self) -> bool:
        """Of the figure, or of its ratio."""
        return self.mark is not None and self.mark.at_least


@dataclass(frozen=True)
class Measured:
    """What was measured of a figure; its load is the machine's where that was another than its part's."""

    key: str
    title: str
    unit: str
    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    other: str = ""
    wanted: str = ""
    reached: bool | None = None
    load: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over theirs: the median of the rounds."""
        return median(a / b for a, b in zip(self.ours, self.theirs, strict=True)) if self.theirs else None

    def row(self) -> tuple[str, ...]:
        """Of the table."""
        ratio = self.ratio
        beside = f"{_spread(self.theirs)} ({self.other})" if self.theirs else "–"
        verdict = {None: "", True: "yes", False: "**no**"}[self.reached]
        shown = "–" if ratio is None else f"{_number(ratio)}"
        title = f"{self.title}, {self.unit}" + ("" if self.load is None else f" (load {self.load})")
        return (title, _spread(self.ours), beside, shown, self.wanted or "–", verdict)


def measure(figure: Figure, rounds: int) -> Measured:
    """Measure A B A B …, and say each figure as it comes."""
    sides = [("ours", figure.ours), *([(figure.other, figure.theirs)] if figure.theirs else [])]
    found: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        for at, (name, measurement) in enumerate(sides):
            assert measurement is not None
            found[at].append(value := measurement(number))
            print(
                f"  {figure.title}, round {number + 1}, {name}: {_number(value)} {figure.unit}",
                file=sys.stderr,
                flush=True,
            )
    theirs = found[1] if len(found) > 1 else []
    measured = Measured(figure.key, figure.title, figure.unit, found[0], theirs, figure.other, str(figure.mark or ""))
    reached = None if figure.mark is None else figure.mark.reached(found[0], theirs)
    return Measured(**{**vars(measured), "reached": reached})


def times_as_bad(now: Measured, recorded: Measured, *, more_is_better: bool) -> float:
    """How many times as bad as recorded: the ratio to the other side where there is one, else the figure itself."""
    ratios = (now.ratio, recorded.ratio)
    new, old = ratios if None not in ratios else (median(now.ours), median(recorded.ours))
    assert new is not None and old is not None
    if more_is_better:
        new, old = old, new
    return new / old if old else 1.0 + new  # of a count that was 0


def machine() -> dict[str, Any]:
    """What the figures are of. The load is that of the minute before: 0 where the machine was idle."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: _version(name) for name in ("outlast", "optuna")},
    }


def keep(path: Path, about: Mapping[str, Any], measured: Sequence[Measured]) -> None:
    """Write a part's figures; those that were not measured this time stay as they were, and say under what load."""
    was, before = load(path) if path.exists() else ({}, [])
    new = {each.key: each for each in measured}
    merged = [new.pop(each.key, None) or _of_then(each, was.get("load"), about.get("load")) for each in before]
    content = {"machine": about, "figures": [vars(each) for each in [*merged, *new.values()]]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _of_then(each: Measured, then: float | None, now: float | None) -> Measured:
    load = then if each.load is None else each.load
    return replace(each, load=None if load == now else load)


def load(path: Path) -> tuple[dict[str, Any], list[Measured]]:
    """What `keep` wrote."""
    content = json.loads(path.read_text())
    return content["machine"], [Measured(**each) for each in content["figures"]]


def markdown(measured: Sequence[Measured]) -> str:
    """The table."""
    head = ("", "ours", "beside it", "ours / that", "wanted", "reached")
    rows = [head, ("---", "--:", "--:", "--:", "--:", "---"), *(each.row() for each in measured)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _spread(values: Sequence[float]) -> str:
    low, middle, high = min(values), median(values), max(values)
    return _number(middle) if low == high else f"{_number(middle)} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    """Three figures."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
