"""A folder with a training script and a study file, and the command line in this process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from outlast.cli.main import run_cli

TRAIN = """\
import sys
given = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:] if "=" in word)
x = float(given["x"])
if "crash" in given.get("kind", ""):
    raise RuntimeError("no such layer")
for step in range(3):
    print(f"step {step}: score={1 - (x - 0.3) ** 2 + step / 1000:.6f}", flush=True)
"""

STUDY = f"""\
name: small
command: {sys.executable} train.py ${{args}}
metric: {{name: score, goal: maximize}}
parameters:
  x: {{min: 0.0, max: 1.0}}
  kind: {{values: [a, b]}}
budget: {{trials: 2}}
sampler: {{name: random, seed: 1}}
parallel: 2
"""


@dataclass
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err


class Here:
    """The folder that commands are typed in."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = run_cli(words)
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)

    def write(self, name: str, text: str | bytes) -> str:
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def study(self, **changes: str) -> str:
        """The study file with lines replaced: ``budget="{trials: 5}"``; an empty text leaves the line out."""
        lines = []
        for line in STUDY.splitlines():
            key = line.split(":")[0]
            change = changes.pop(key.strip(), None)
            if change is None:
                lines.append(line)
            elif change:
                lines.append(f"{key}: {change}")
        lines += [f"{key}: {change}" for key, change in changes.items() if change]
        return self.write("study.yaml", "\n".join(lines) + "\n")

    @property
    def entries(self) -> set[str]:
        return {entry.name for entry in self.folder.iterdir()}


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "study.yaml").write_text(STUDY)
    return Here(tmp_path, capsys)
