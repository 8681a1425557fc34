"""Real studies with a pruner: written, run, killed, and looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from lab.study import TRAININGS, InBackground
from lab.waiting import until
from outlast.core.fold import Study
from outlast.core.records import Trial

#: Parameters that are tried first, in this order: some good ones, then poor ones and good ones in turn.
FIRST = (0.7, 0.6, 0.9, 0.2, 0.8, 0.1, 0.95, 0.3)


@dataclass
class Lab(InBackground):
    """One study in a folder of its own."""

    place: Path
    epochs: int = 12
    seconds: float = 0.04
    style: str = "prints"
    on_term: str = "dies"
    ahead: int | None = None
    site: bool = False  # without site packages an interpreter starts in a fraction of the time
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    environment: ClassVar[Mapping[str, str]] = {"WANDB_MODE": "offline"}

    @property
    def audit_path(self) -> Path:
        return self.place / "audit.jsonl"

    @property
    def command(self) -> list[str]:
        options: dict[str, Any] = {
            "epochs": self.epochs,
            "seconds": self.seconds,
            "audit": self.audit_path,
            "style": self.style,
        }
        options |= {"on-term": self.on_term} | ({} if self.ahead is None else {"ahead": self.ahead})
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return [sys.executable, *([] if self.site else ["-S"]), str(TRAININGS / "paced.py"), "${args}", *words]

    def write(self, pruner: Any = "none", *, first: Sequence[float] = FIRST, **more: Any) -> None:
        """The study file; `more` goes over it."""
        self.place.mkdir(parents=True, exist_ok=True)
        settings = {
            "name": "lab",
            "command": self.command,
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "enqueue": [{"x": x} for x in first],
            "budget": {"trials": len(first)},
            "parallel": 1,
            "sampler": {"name": "random", "seed": 1},
            "pruner": pruner,
            "trial": {"grace": "1s"},
            **more,
        }
        (self.place / "study.yaml").write_text(json.dumps(settings))

    def run(self, pruner: Any = "none", **more: Any) -> Study:
        """Write the study file and run it to its end."""
        self.write(pruner, **more)
        return self.finish(self.start())

    def epochs_of(self, trial: int) -> list[int]:
        """The epochs that a trial's script came to."""
        return [line["epoch"] for line in self.audit_of(trial) if "epoch" in line]

    def wait_for(self, trial: int, epoch: int) -> None:
        """Wait until a trial has come to an epoch, or further."""
        until(
            lambda: any((line["trial"], line.get("epoch", 0)) >= (trial, epoch) for line in self.audit),
            f"epoch {epoch} of trial {trial}",
        )


def pruned_at(trial: Trial) -> int | None:
    """The step at which a trial was given up."""
    return None if trial.last is None else trial.last.pruned_at


def decisions(study: Study) -> dict[int, tuple[float, str, int | None]]:
    """Trial → what was tried, how it ended, and at which step it was given up."""
    return {n: (t.params["x"], t.state.value, pruned_at(t)) for n, t in sorted(study.trials.items())}
