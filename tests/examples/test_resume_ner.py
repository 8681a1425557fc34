"""The résumé example: its page's commands on a small scale, everything killed in the third fold, and the call of a notebook."""

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
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.waiting import until
from outlast.api import reference_sweep

FOLDER = Path(__file__).parents[2] / "examples" / "resume_ner"
BACKBONES = ("distilbert", "bert", "deberta")
MARK = f"RESUME_NER_{uuid.uuid4().hex}"
ENVIRONMENT = {
    **os.environ, "OMP_NUM_THREADS": "1", "OUTLAST_PLOTS": "0", MARK: "1",
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
}  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.foreign]


def ran(*words: str, at: Path) -> str:
    """What a program printed, which ended well."""
    done = subprocess.run(
        words, cwd=at, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=280, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a copy of the example, its searches made small."""
    root = tmp_path_factory.mktemp("resume")
    copy = root / "examples" / "resume_ner"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__", "backbones", "dataset"))
    for name, usual, fewer in (
        ("smoke", "max_trials: 2", "max_trials: 1"),
        ("smoke", "values: [4]", "values: [2]"),
        ("smoke", "top: 2, seeds: 2", "top: 1, seeds: 1"),
        ("prod", "mlflow:", "#"),  # what is sent, and when, has tests of its own
    ):
        file = copy / "config" / "hpo" / f"{name}.yaml"
        assert usual in file.read_text()
        file.write_text(file.read_text().replace(usual, fewer))
    ran("python", str(copy / "resumes.py"), "--documents", "20", at=root)
    yield root
    kill_all()


def typed() -> list[list[str]]:
    """The words of each command on the page."""
    blocks = re.findall(r"```console\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    return [shlex.split(line.partition("  #")[0])[1:] for block in blocks for line in block.splitlines()]


def kill_all() -> None:
    """As a machine dies: whatever was begun here, at once."""
    ours = [each for each in psutil.process_iter() if is_ours(each)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for each in ours:
            try:
                each.send_signal(number)
            except psutil.NoSuchProcess:
                continue
    psutil.wait_procs(ours, timeout=20)


def is_ours(process: psutil.Process) -> bool:
    try:
        return process.pid != os.getpid() and MARK in process.environ()
    except psutil.Error:
        return False


def events(study: Path) -> list[dict[str, Any]]:
    """What the ledger says of a study, in order."""
    lines = [line for part in sorted((study / "ledger").glob("*.jsonl")) for line in part.read_text().splitlines()]
    return [event for line in lines for event in json.loads(line).get("events", [])]


def folds_done(study: Path) -> int:
    return sum(event["kind"] == "attempt_ended" and bool(event.get("curves")) for event in events(study))


def test_killed_in_the_third_fold_it_goes_on_there_and_no_finished_fold_runs_again(place: Path) -> None:
    check, run, status, *others = [
        words for words in typed() if words[0] == "outlast" and "prod.yaml" not in str(words)
    ]
    studies = {name: place / "studies" / "resume_ner_smoke" / f"hpo_{name}" for name in BACKBONES}
    first = studies["distilbert"]
    ran(*check, at=place)
    begun = subprocess.Popen(run, cwd=place, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    third = first / "trials" / "0000" / "attempts" / "3" / "output.log"
    until(lambda: (third.exists() and third.stat().st_size) or folds_done(first) > 2, "the third fold trains")
    kill_all()
    begun.wait()
    splits = {path: path.read_bytes() for study in studies.values() if (path := study / "splits.json").exists()}
    done = folds_done(first)
    assert 2 <= done < 5  # on a fast machine the third may have ended while it was being killed
    parts = [first / f"trials/0000/checkpoints/part-{fold}/benchmark.json" for fold in range(done)]
    measured = [part.read_bytes() for part in parts]
    assert "hpo_distilbert" in ran(*status, at=place)
    ran(*run, at=place)
    for name, path in studies.items():
        ended = [event for event in events(path) if event["kind"] == "attempt_ended" and event.get("curves")]
        assert [step for event in ended for curve in event["curves"] for step, _ in curve] == [0, 1, 2, 3, 4], name
        with (path / "trials.csv").open(newline="") as file:
            assert [(row["number"], row["state"]) for row in csv.DictReader(file)] == [("0", "complete")]
        speed = json.loads((path / "trials/0000/checkpoints/part-4/benchmark.json").read_text())
        assert 0 < speed["latency_p50_ms"] <= speed["latency_p95_ms"] and speed["backbone"] == name
    assert {path: path.read_bytes() for path in splits} == splits
    assert [part.read_bytes() for part in parts] == measured  # what is measured anew is never the same
    folds = json.loads((first / "splits.json").read_text())["folds"]
    assert sum(map(len, folds)) == len(set().union(*folds)) == 20  # documents, each once
    for words in others:
        ran(*words, at=place)


def test_the_cell_on_the_page_means_the_same_search(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md has one block of Python; that such a call runs and goes on is `tests/api/test_reference_sweep.py`'s."""
    (cell,) = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    seen: list[Any] = []

    def begun(of: reference_sweep._Sweep, folder: str, **_: object) -> None:
        seen.extend([of.settings(), folder])
        raise InterruptedError

    monkeypatch.chdir(place)
    monkeypatch.setattr(reference_sweep, "search", begun)
    with pytest.raises(InterruptedError):
        exec(cell, {})
    settings, folder = seen
    assert (settings.name, folder) == ("hpo_distilbert", "outputs/hpo/distilbert")
    assert settings.working_directory == str(place / "examples" / "resume_ner")
    assert (settings.function, settings.trial.folds["ids"]) == ("train:trial", "dataset/documents.csv")


def test_no_script_knows_of_outlast() -> None:
    assert not [path.name for path in FOLDER.glob("*.py") if re.search(r"(import|from) outlast", path.read_text())]
