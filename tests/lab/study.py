"""A study in a folder of its own: its file, what its trainings put on record, and what its ledger adds up to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.waiting import until
from outlast.core.fold import Study, fold
from outlast.core.records import Trial
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

__all__ = ["TRAININGS", "InBackground", "StudyFolder", "lines_of"]

TRAININGS = Path(__file__).parent / "trainings"


class StudyFolder:
    """A study and whoever looks at it.

    Attributes:
        place: The folder of its user.
        settings: What the study file says.
        dir: The study's own folder, in that of the user.
    """

    place: Path
    settings: dict[str, Any]
    dir = "studies/lab"

    def write(self, **changes: Any) -> None:
        """Write the study file; a mapping is merged into the one that is there."""
        for key, value in changes.items():
            there = self.settings.get(key)
            self.settings[key] = {**there, **value} if isinstance(there, dict) and isinstance(value, dict) else value
        (self.place / "study.yaml").write_text(json.dumps(self.settings))

    @property
    def folder(self) -> Path:
        return self.place / self.dir

    @property
    def paths(self) -> StudyPaths:
        return StudyPaths.at(self.folder)

    def study(self) -> Study:
        """The fold of what the ledger has now."""
        return fold(read_ledger(self.paths.ledger).events)

    def trial(self, number: int) -> Trial:
        return self.study().trials[number]

    @property
    def audit(self) -> list[dict[str, Any]]:
        """Every epoch that any process began, in order."""
        return lines_of(self.place / "audit.jsonl")

    def audit_of(self, trial: int) -> list[dict[str, Any]]:
        return [line for line in self.audit if line["trial"] == trial]

    def wait_for_epoch(self, trial: int, epoch: int, attempt: int | None = None) -> dict[str, Any]:
        """Wait until a trial has begun an epoch; its line in the record."""
        wanted = {"trial": trial, "epoch": epoch} | ({} if attempt is None else {"attempt": attempt})
        return until(
            lambda: next((line for line in self.audit if wanted.items() <= line.items()), None), f"{wanted} is begun"
        )


class InBackground(StudyFolder):
    """A study whose runs are processes of their own, ended with the test."""

    dir = "study"
    environment: Mapping[str, str] = {}
    running: list[subprocess.Popen[bytes]]

    def start(self, *flags: str) -> subprocess.Popen[bytes]:
        """Begin ``outlast run study.yaml``."""
        with open(self.place / "run.out", "ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "outlast", "run", "study.yaml", "--dir", self.dir, *flags],
                cwd=self.place, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        self.running.append(process)
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> Study:
        """Wait for the end of a run that ends well."""
        code = process.wait(timeout=120)
        assert code == 0, (self.place / "run.out").read_text()
        return self.study()

    def status(self) -> dict[str, Any]:
        """``outlast status --json``."""
        argv = [sys.executable, "-m", "outlast", "status", self.dir, "--json"]
        said = subprocess.run(argv, cwd=self.place, capture_output=True, text=True, check=True).stdout
        return dict(json.loads(said))

    def end(self) -> None:
        """End what still runs."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()


def lines_of(record: Path) -> list[dict[str, Any]]:
    """The lines of JSON in a file that others write; the last one may be half there."""
    lines = record.read_text().rpartition("\n")[0].splitlines() if record.exists() else []
    return [json.loads(line) for line in lines]
