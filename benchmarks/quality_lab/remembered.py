"""Every training that was ever run, by task, configuration and seed; whoever asks again gets the same curve."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quality_lab.environments import ENVIRONMENTS, python_of
from quality_lab.lines import Lines
from quality_lab.simulated_clock import word

#: Raise it when a training's code changes: what was remembered counts no more.
VERSION = 1


class Trainings:
    """The memory, and the process that trains what is not in it; the process begins with the first such training."""

    def __init__(self, file: Path, environments: Path, log: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._memory = sqlite3.connect(file, timeout=60, isolation_level=None)
        self._memory.execute("PRAGMA journal_mode=WAL")
        self._memory.execute("PRAGMA synchronous=OFF")
        self._memory.execute("CREATE TABLE IF NOT EXISTS trainings (what TEXT PRIMARY KEY, curve TEXT) WITHOUT ROWID")
        self._python, self._log = python_of("training", environments), log
        self._made_with = f"{VERSION}-{ENVIRONMENTS['training'].stamp}"
        self._process: Lines | None = None
        self.trained = 0

    def curve(self, task: str, params: dict[str, Any], seed: int) -> Sequence[float | None]:
        """The losses epoch by epoch, None for what is not finite; empty if it could not run."""
        what = f"{task} {self._made_with} {seed} {word(params)}"
        found = self._memory.execute("SELECT curve FROM trainings WHERE what = ?", (what,)).fetchone()
        if found is not None:
            return list(json.loads(found[0]))
        if self._process is None:
            self._process = Lines([str(self._python), "-m", "training.serving"], self._log)
        curve = self._process.call(task=task, params=params, seed=seed)["curve"]
        self.trained += 1
        self._memory.execute("INSERT OR IGNORE INTO trainings VALUES (?, ?)", (what, json.dumps(curve)))
        return list(curve)

    def close(self) -> None:
        """End the process."""
        self._memory.close()
        if self._process is not None:
            self._process.close()
