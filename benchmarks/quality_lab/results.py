"""Results, a line of JSON each: those of this machine, and those that the repository keeps, so that no machine's are lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What tells one search from another: fields of its job; a search with a pruner has others than one without.
_IDENTITY = ("task", "method", "sampler", "pruner", "workers", "seed", "trials")


@dataclass(frozen=True)
class Results:
    """Two files of them.

    Args:
        here: Where each result is added as soon as it is there.
        recorded: What of them the repository keeps; a search that is in both counts as it was run here.
    """

    here: Path
    recorded: Path

    def lines(self, *, only_here: bool = False) -> list[dict[str, Any]]:
        """Every search that ended, once."""
        files = (self.here,) if only_here else (self.recorded, self.here)
        ended = (line for file in files for line in _read(file) if "error" not in line)
        return list({_identity(line): line for line in ended}.values())

    def add(self, line: Mapping[str, Any]) -> None:
        """Keep one, at once. It begins a line: one that an interruption tore costs no other."""
        with self.here.open("a") as file:
            file.write("\n" + json.dumps(line))

    def record(self) -> None:
        """Have the repository keep them all, without the configurations: the tables do not need these."""
        lines = sorted(self.lines(), key=lambda line: list(map(str, _identity(line))))
        self.recorded.write_text("".join(json.dumps(_shortened(line)) + "\n" for line in lines))


def _identity(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(line.get(name) for name in _IDENTITY)


def _shortened(line: Mapping[str, Any]) -> dict[str, Any]:
    points = {
        at: {name: value for name, value in point.items() if name != "params"}
        for at, point in line["checkpoints"].items()
    }
    return {**line, "checkpoints": points}


def _read(file: Path) -> Iterator[dict[str, Any]]:
    """Its lines; one that an interruption tore is none."""
    if file.is_file():
        for line in file.read_text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue
