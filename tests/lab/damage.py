"""A small study that has seen a crash, a retry and several runs, and the command line beside it, in this process."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outlast.cli.main import run_cli

TRAIN = """\
import sys
x = float(sys.argv[1].partition("=")[2])
for step in range(2):
    print(f"step {step}: score={1 - (x - 0.3) ** 2 + step / 1000:.6f}", flush=True)
if 0.8 < x < 0.88:
    sys.exit("no such layer")
"""
STUDY = f"""\
name: small
command: {sys.executable} train.py ${{args}}
metric: {{name: score, goal: maximize}}
parameters:
  x: {{min: 0.0, max: 1.0}}
budget: {{trials: 3}}
sampler: {{name: random, seed: 1}}
parallel: 2
"""
FOLDER = Path("studies", "small")
TARGET = 4  # what `run` is asked for in the end


@dataclass
class Said:
    code: int
    text: str


class Here:
    """The command line in this process, in a folder with a study."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.study = folder / FOLDER

    def __call__(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = run_cli(words)
        said = self._capsys.readouterr()
        return Said(code, said.out + said.err)

    def clear(self, *words: str) -> Said:
        """A command that may refuse, but in words and with a code of its own."""
        said = self(*words)
        assert said.code in (0, 1, 2, 3, 4), words
        assert "Traceback" not in said.text, words
        assert "fault of Outlast's own" not in said.text, words
        assert said.code == 0 or said.text.strip(), words
        return said

    def trials(self) -> dict[int, Any]:
        """Trial → what is known of its end."""
        said = self("show", str(FOLDER), "--json")
        assert said.code == 0, said.text
        return {t["trial"]: (t["state"], t["values"], t["params"], t["attempts"]) for t in json.loads(said.text)}
