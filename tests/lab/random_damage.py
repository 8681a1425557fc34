"""Damage without end: `python -m lab.random_damage [SECONDS] [SEED]` in `tests`. It prints its seed, and what went wrong with it.

A small study is made once. Each time one to three files of a copy are damaged, or some bytes in the middle of one; then every
command has to have an answer (a documented exit code, no traceback), and after a repair a run has to end with the exact budget.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from lab.damage import FOLDER, STUDY, TARGET, TRAIN
from lab.damages import FILE_DAMAGES, LINE_DAMAGES, harm_line
from outlast.cli.main import run_cli

_LOOKS = (["status"], ["show"], ["logs"], ["repair", "--check"], ["repair"])


def _said(*words: str) -> tuple[int, str]:
    words_said = io.StringIO()
    with contextlib.redirect_stdout(words_said), contextlib.redirect_stderr(words_said):
        code = run_cli(words)
    return code, words_said.getvalue()


def _some_bytes_changed(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 4)):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(bytes(data))


def _harm(study: Path, chance: random.Random) -> str:
    path = chance.choice(sorted(p for p in study.rglob("*") if p.is_file() and not p.is_symlink()))
    kind = chance.random()
    if kind < 0.4 and path.stat().st_size:
        _some_bytes_changed(path, chance)
        return f"{path.relative_to(study)}: bytes changed"
    lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" else []
    if kind < 0.7 and len(lines) > 1:
        at, damage = chance.randrange(len(lines)), chance.choice(LINE_DAMAGES[:4])
        harm_line(path, at, damage)
        return f"{path.relative_to(study)}: line {at + 1} {damage.__name__}"
    whole = chance.choice(FILE_DAMAGES)
    whole(path)
    return f"{path.relative_to(study)}: {whole.__name__}"


def _faults() -> list[str]:
    """What is wrong with the answers to a damaged study, which lies in the working directory."""
    found = []
    for words in (*([command, str(FOLDER), *rest] for command, *rest in _LOOKS), ["run", "study.yaml"]):
        more = ["--trials", str(TARGET)] if words[0] == "run" else []
        code, text = _said(*words, *more)
        if code not in (0, 1, 2, 3, 4) or "Traceback" in text or "fault of Outlast's own" in text:
            found.append(f"{' '.join(words)}: {code}: {text.strip()[-300:]}")
    code, text = _said("show", str(FOLDER), "--json")
    complete = sum(trial["state"] == "complete" for trial in json.loads(text)) if code == 0 else text
    return found if complete == TARGET else [*found, f"complete at the end: {complete}"]


def main(seconds: float, seed: int) -> int:
    """Damage for some time. Returns how often it went wrong."""
    print(f"seed {seed}")
    whole = Path(tempfile.mkdtemp(prefix="outlast-damage-"))
    (whole / "train.py").write_text(TRAIN)
    (whole / "study.yaml").write_text(STUDY)
    os.chdir(whole)
    for words in (["run", "study.yaml", "--trials", "2"], ["retry", str(FOLDER), "1"], ["run", "study.yaml"]):
        assert _said(*words)[0] == 0
    wrong, number, ends = 0, 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        number += 1
        chance, copy = random.Random(f"{seed} {number}"), whole / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole / FOLDER, copy / FOLDER, symlinks=True, ignore=shutil.ignore_patterns("plots"))
        for name in ("train.py", "study.yaml"):
            shutil.copy(whole / name, copy / name)
        os.chdir(copy)
        done = [_harm(copy / FOLDER, chance) for _ in range(chance.randrange(1, 4))]
        faults = _faults()
        wrong += bool(faults)
        if faults:
            print(f"{number}: {'; '.join(done)}", *faults, sep="\n    ", flush=True)
    print(f"{number} damaged studies, {wrong} of them went wrong")
    os.chdir(os.sep)
    shutil.rmtree(whole)
    return wrong


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(bool(main(float(given[0]) if given else 60.0, int(given[1]) if given[1:] else random.randrange(10**6))))
