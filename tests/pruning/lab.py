"""Real studies with a pruner: written, run, killed, and looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.study.layout import StudyPaths
from outlast.study.ledger import read_ledger

HERE = Path(__file__).parent
#: Parameters that are tried first, in this order: some good ones, then poor ones and good ones in turn.
FIRST = (0.7, 0.6, 0.9, 0.2, 0.8, 0.1, 0.95, 0.3)


@dataclass
class Lab:
    """One study in a folder of its own."""

    place: Path
    epochs: int = 12
    seconds: float = 0.04
    style: str = "prints"
    on_term: str = "dies"
    ahead: int | None = None
    site: bool = False  # without site packages an interpreter starts in a fraction of the time
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

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
        return [sys.executable, *([] if self.site else ["-S"]), str(HERE / "paced.py"), "${args}", *words]

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

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        """Begin ``outlast run study.yaml``."""
        with open(self.place / "run.out", "ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "outlast", "run", "study.yaml", "--dir", "study", *flags],
                cwd=self.place, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                env={**os.environ, "WANDB_MODE": "offline"},
            )  # fmt: skip
        self.running.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> Study:
        """Wait for the end of a run that ends well."""
        code = process.wait(timeout=120)
        assert code == 0, (self.place / "run.out").read_text()
        return self.study()

    def run(self, pruner: Any = "none", **more: Any) -> Study:
        """Write the study file and run it to its end."""
        self.write(pruner, **more)
        return self.finish(self.start())

    def end(self) -> None:
        """End what still runs."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def paths(self) -> StudyPaths:
        return StudyPaths.at(self.place / "study")

    def study(self) -> Study:
        study = Study()
        for event in read_ledger(self.paths.ledger).events:
            study.apply(event)
        return study

    def status(self) -> dict[str, Any]:
        """``outlast status --json``."""
        argv = [sys.executable, "-m", "outlast", "status", "study", "--json"]
        said = subprocess.run(argv, cwd=self.place, capture_output=True, text=True, check=True).stdout
        return dict(json.loads(said))

    def audit(self, trial: int | None = None) -> list[dict[str, Any]]:
        """What the scripts put on record, in order."""
        text = self.audit_path.read_text() if self.audit_path.exists() else ""
        lines = [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
        return [line for line in lines if trial in (None, line["trial"])]

    def epochs_of(self, trial: int) -> list[int]:
        """The epochs that a trial's script came to."""
        return [line["epoch"] for line in self.audit(trial) if "epoch" in line]

    def wait_for(self, trial: int, epoch: int) -> None:
        """Wait until a trial has come to an epoch, or further."""
        deadline = time.monotonic() + 60
        while not any(
            line["trial"] > trial or (line["trial"] == trial and line.get("epoch", 0) >= epoch) for line in self.audit()
        ):
            assert time.monotonic() < deadline, f"epoch {epoch} of trial {trial} never came"
            time.sleep(0.01)


def pruned_at(trial: Trial) -> int | None:
    """The step at which a trial was given up."""
    return None if trial.last is None else trial.last.pruned_at


def decisions(study: Study) -> dict[int, tuple[float, str, int | None]]:
    """Trial → what was tried, how it ended, and at which step it was given up."""
    return {n: (t.params["x"], t.state.value, pruned_at(t)) for n, t in sorted(study.trials.items())}
