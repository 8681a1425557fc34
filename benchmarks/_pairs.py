"""Paired measurements: ours and theirs in turn, in one run, so that what the machine does hits both alike."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

Measurement = Callable[[int], float]  # the round's number in, one figure out


@dataclass(frozen=True)
class Pair:
    """One quantity, measured on both sides in the same rounds."""

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours over theirs, round by round."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured, and its medians."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "theirs": self.theirs,
            "median_ours": median(self.ours),
            "median_theirs": median(self.theirs),
            "median_ratio": median(self.ratios),
        }


def measure(name: str, unit: str, ours: Measurement, theirs: Measurement, *, rounds: int) -> Pair:
    """Measure A B A B …, and say each figure as it comes."""
    figures: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for side, measurement in enumerate((ours, theirs)):
            figure = measurement(number)
            figures[side].append(figure)
            print(
                f"  {name}, round {number + 1}, {('ours', 'theirs')[side]}: {figure:.3f} {unit}",
                file=sys.stderr,
                flush=True,
            )
    return Pair(name, unit, tuple(figures[0]), tuple(figures[1]))


def table(pairs: Sequence[Pair]) -> str:
    """Medians, their ratio, and the range of the ratios over the rounds."""
    rows = [("", "ours", "theirs", "", "ours / theirs", "range")]
    rows += [
        (
            pair.name,
            f"{median(pair.ours):.2f}",
            f"{median(pair.theirs):.2f}",
            pair.unit,
            f"{median(pair.ratios):.2f}",
            f"{min(pair.ratios):.2f}-{max(pair.ratios):.2f}",
        )
        for pair in pairs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def write_json(path: Path, pairs: Sequence[Pair], **about: Any) -> None:
    """Keep the figures with what they were measured on."""
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "optuna": version("optuna"),
        "outlast": version("outlast"),
    }
    content = {"machine": machine, **about, "pairs": [pair.to_json() for pair in pairs]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
