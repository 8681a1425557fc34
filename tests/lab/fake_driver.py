"""What the fake library answers from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from outlast._system.card_locks import DIRECTORY_VARIABLE
from outlast._system.nvml import LIBRARY_VARIABLE

GB = 2**30
#: A process that exists and is nobody's attempt.
STRANGER = os.getppid()


@dataclass
class Driver:
    """The lines of the fake driver's file; every change is seen by the next question."""

    folder: Path
    locks: Path
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "running").mkdir(parents=True)
        self.say()

    def environment(self, library: str) -> dict[str, str]:
        return {LIBRARY_VARIABLE: library, "FAKE_NVML": str(self.folder), DIRECTORY_VARIABLE: str(self.locks)}

    def say(self, *lines: str) -> None:
        """Replace the file."""
        self.lines = list(lines)
        beside = self.folder / "driver.new"
        beside.write_text("".join(f"{line}\n" for line in lines))
        beside.rename(self.folder / "driver")

    def cards(self, count: int, *more: str) -> list[str]:
        """So many free cards of 80 GB. Returns their UUIDs."""
        names = [f"GPU-{i}{i}{i}{i}" for i in range(count)]
        self.say(*(f"card {name} {80 * GB} 0" for name in names), *more)
        return names

    def used(self, count: int, by: dict[int, tuple[int, int]]) -> list[str]:
        """Free cards, but card → (pid, bytes) for those in `by`; pid 0: memory without a process."""
        names = [f"GPU-{i}{i}{i}{i}" for i in range(count)]
        lines = []
        for i, name in enumerate(names):
            pid, size = by.get(i, (0, 0))
            lines.append(f"card {name} {80 * GB} {0 if pid else size}")
            if pid:
                lines.append(f"process {pid} {size}")
        self.say(*lines)
        return names
