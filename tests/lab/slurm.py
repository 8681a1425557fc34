"""A study in a real cluster's queue, and what its trainings put on record."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab.study import TRAININGS, StudyFolder
from lab.waiting import until
from outlast.core.states import TrialState

__all__ = ["SlurmLab"]


@dataclass
class SlurmLab(StudyFolder):
    """A study folder on a filesystem that all nodes share, and the commands of its user."""

    place: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls, place: Path, *, trials: int, epochs: int = 2, seconds: float = 0.2, hold: int = -1, **more: Any
    ) -> SlurmLab:
        """A study file in `place`; `more` goes over it. In the epoch `hold` trainings wait for `let_go`."""
        place.mkdir(parents=True, exist_ok=True)
        lab = cls(place)
        lab.settings = {
            "name": "lab",
            "command": [
                sys.executable, "-S", "-E", str(TRAININGS / "slurm.py"), "${args}", "--epochs", str(epochs),
                "--seconds", str(seconds),
                "--audit", str(place / "audit.jsonl"), "--checkpoint-dir", "${checkpoint_dir}", "--hold", str(hold),
            ],
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": trials},
            "sampler": {"name": "random", "seed": 7},
            "trial": {"resume_args": ["--resume"], "grace": "2s"},
            "resources": {"gpus": 1},
        }  # fmt: skip
        lab.write(**more)
        return lab

    def let_go(self) -> None:
        """Trainings that are held go on, and later ones are not held."""
        (self.place / "go").touch()

    def outlast(self, *arguments: str, code: int = 0, env: dict[str, str] | None = None) -> str:
        """Run a command to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "outlast", *arguments],
            cwd=self.place,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"exit {done.returncode} instead of {code}:\n{said}"
        return said

    def state(self) -> str:
        """Of the study, as its ledger has it."""
        ended = self.study().ended
        return "going" if ended is None else ended.state

    def logs(self) -> str:
        """What the jobs said: for a failing test."""
        found = sorted(self.folder.glob("jobs/*.out")) + sorted(self.folder.glob("trials/*/attempts/*/runner.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in found)

    def wait_done(self, seconds: float = 180.0) -> None:
        """Wait until the ledger says that the study is done."""
        try:
            until(lambda: self.folder.exists() and self.state() == "done", "the study is done", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.study().counts()}\n{self.logs()}") from None

    def faults(self, *, trials: int, epochs: int, interruptions: int = 0) -> list[str]:
        """What is wrong with the study's end: budget, numbers, epochs, attempts side by side."""
        study, found = self.study(), []
        if sorted(study.trials) != list(range(trials)):
            found.append(f"trials {sorted(study.trials)} instead of {trials}")
        wrong = {
            t.number: (t.state.value, t.reason) for t in study.trials.values() if t.state is not TrialState.COMPLETE
        }
        if wrong:
            found.append(f"not complete: {wrong}")
        begun = Counter((line["trial"], line["epoch"]) for line in self.audit if line["epoch"] < epochs)
        missing = [(trial, epoch) for trial in range(trials) for epoch in range(epochs) if not begun[trial, epoch]]
        if missing:
            found.append(f"epochs never run: {missing}")
        repeated = sum(begun.values()) - len(begun)
        if repeated > interruptions:
            found.append(f"{repeated} epochs were run again, after {interruptions} interruptions")
        for trial in range(trials):
            order = [line["attempt"] for line in self.audit if line["trial"] == trial]
            if any(later < earlier for earlier, later in pairwise(order)):
                found.append(f"two attempts of trial {trial} trained side by side: {order}")
        if os.listdir(self.paths.open) if self.paths.open.exists() else []:
            found.append(f"markers are left: {os.listdir(self.paths.open)}")
        return found

    def spans(self) -> list[tuple[float, float, dict[str, Any]]]:
        """From when to when each attempt trained, with its last line in the audit."""
        lines: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for line in self.audit:
            lines.setdefault((line["trial"], line["attempt"]), []).append(line)
        return [(found[0]["at"], found[-1]["at"], found[-1]) for found in lines.values()]

    def most_at_once(self) -> int:
        """How many attempts trained at the same time at the most."""
        moments = sorted((at, step) for begin, end, _ in self.spans() for at, step in ((begin, 1), (end, -1)))
        now = most = 0
        for _, step in moments:
            now += step
            most = max(most, now)
        return most

    def shared_cards(self) -> list[tuple[str, str]]:
        """Cards on which two attempts trained at the same time."""
        spans = sorted(((begin, end, f"{line['node']}:{line['gpu']}") for begin, end, line in self.spans()))
        return [
            (card, f"{begin:.2f}") for at, (begin, _, card) in enumerate(spans)
            if any(card == other and end > begin for _, end, other in spans[:at])
        ]  # fmt: skip
