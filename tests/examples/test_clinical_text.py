"""The clinical text example: its script by hand, and the commands on its page, on a small scale and killed midway."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.waiting import until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "clinical_text"
STUDIES = ("criteria", "evidence", "share", "joint")
ENVIRONMENT = {
    **os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "HPO_EPOCHS": "2", "HPO_MAX_SAMPLES": "256",
}  # fmt: skip
#: What goes wrong in this space, tried first of all; that it stops nothing is the point.
REFUSED = """
budget: {trials: 2}
enqueue:
  - {backbone: xlnet, gradient-checkpointing: "true", optimizer: adamw, scheduler: linear, batch: 64, max-length: 24}
  - {backbone: bert, optimizer: adafactor, scheduler: onecycle, batch: 64}
  - {backbone: deberta, gradient-checkpointing: "false", tuning: full, optimizer: adamw, batch: 512, max-length: 64}
"""
pytestmark = [pytest.mark.slow, pytest.mark.foreign]


def ran(*words: str, at: Path) -> str:
    """What a program printed, which ended well."""
    done = subprocess.run(
        words,
        cwd=at,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small copy of the example and its newborn encoders."""
    root = tmp_path_factory.mktemp("clinical")
    copy = root / "examples" / "clinical_text"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "backbones"))
    text = (copy / "base.yaml").read_text()
    for usual, fewer in {
        "trials: 60": "trials: 1",
        "top: 3, seeds: 4": "top: 1, seeds: 2",
        "sampler: tpe": "sampler: tpe\nenqueue: [{optimizer: adamw, scheduler: linear, batch: 64, max-length: 24}]",
        "--memory 1.0": "--memory 0.6",
    }.items():
        assert usual in text
        text = text.replace(usual, fewer)
    (copy / "base.yaml").write_text(text)
    (copy / "criteria.yaml").write_text((copy / "criteria.yaml").read_text() + REFUSED)
    ran("python", str(copy / "backbones.py"), "--steps", "0", at=root)
    return root


#: Three trainings in one process, as importing takes longer than they do: whole, begun, resumed.
THREE = """
import sys
sys.path.append("examples/clinical_text")
from train import main
for more in (["--epochs=2"], ["--epochs=1", "--output=kept"], ["--epochs=2", "--output=kept", "--resume"]):
    sys.argv = ["train.py", *WORDS, *more]
    main()
    print("--")
"""


def test_a_resumed_training_prints_what_an_uninterrupted_one_prints(place: Path) -> None:
    words = ["--task=joint", "--average=ema", "--augment=mask", "--tuning=lora", "--scheduler=plateau", "--batch=64"]
    said = ran("python", "-c", THREE.replace("WORDS", repr(words)), at=place)
    whole, begun, resumed = (part.splitlines() for part in said.removesuffix("--\n").split("--\n"))
    assert resumed[0] == "resuming after epoch 1"
    assert [begun[0], *resumed[1:]] == whole
    assert {path.name for path in (place / "kept").iterdir()} == {"latest.pt", "best.pt", "final.pt"}


def test_no_script_knows_of_outlast() -> None:
    assert not [
        path.name for path in FOLDER.glob("*.py") if re.search(r"(import|from) outlast|OUTLAST_", path.read_text())
    ]


def typed() -> list[list[list[str]]]:
    """The words of each command on the page, block by block."""
    blocks = re.findall(r"```console\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    return [[shlex.split(line)[1:] for line in block.splitlines()] for block in blocks]


def supervisor(place: Path) -> dict[str, Any]:
    return json.loads((place / "studies" / "clinical" / "supervisor.json").read_text())


def numbers(place: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of each study's table."""
    found = {}
    for study in STUDIES:
        with (place / "studies" / "clinical" / study / "trials.csv").open(newline="") as file:
            found[study] = list(csv.DictReader(file))
    return found


def test_four_searches_are_killed_stopped_and_gone_on_with_and_end_as_models(place: Path) -> None:
    begin, follow, report, *_ = typed()
    _making, check, detached, status, logs, stop, again = begin
    assert "--detach" in detached and again == [word for word in detached if word != "--detach"]
    ran(*check, at=place)
    ran(*detached, at=place)
    first = place / "studies" / "clinical" / "criteria" / "trials" / "0000"
    until(lambda: any(path.stat().st_size for path in first.glob("attempts/1/output.log")), "a training has begun")
    before = supervisor(place)
    os.kill(before["process"]["pid"], signal.SIGKILL)
    os.kill(
        next(charge["process"]["pid"] for charge in before["charges"] if charge["study"] == "criteria"), signal.SIGKILL
    )
    assert all(study in ran(*status, at=place) for study in STUDIES)
    ran(*logs, at=place)
    ran(*stop, at=place)
    ran(*again, at=place)
    rows = numbers(place)
    assert {study: [row["number"] for row in found] for study, found in rows.items()} == {
        study: [str(number) for number in range(len(found))] for study, found in rows.items()
    }
    assert Counter(row["state"] for row in rows["criteria"]) == {"complete": 1, "failed": 1, "infeasible": 1}
    assert all([row["state"] for row in rows[study]] == ["complete"] for study in STUDIES[1:])
    noted = ran("outlast", "logs", "studies/clinical/criteria", "0", at=place)
    assert "note: no gradient checkpointing" in noted
    for words in follow:
        ran(*words, at=place)
    assert {"search", "confirm", "refit", "test"} <= set(
        json.loads((place / "models/criteria/metrics.json").read_text())
    )
    ran(*report[0], at=place)
