"""The table of docs/architecture.md that says who writes which file, beside a study that was really run."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from outlast._system import observed
from outlast._system.processes import my_identity
from outlast.cli.main import run_cli
from outlast.core import file_names as layout
from outlast.study.attempts import Life, inspect, open_attempt, void_start
from outlast.study.layout import StudyPaths

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


@dataclass(frozen=True)
class Row:
    """One row of the table: paths in the study folder (a folder ends with a slash), and who writes them."""

    names: tuple[str, ...]
    writers: str

    def names_path(self, path: str) -> bool:
        return any(re.fullmatch(pattern_of(name), path) for name in self.names)


def pattern_of(name: str) -> str:
    pattern = re.sub(r"\d+", r"\\d+", re.escape(name).replace(r"\*", ".*"))
    return f"{pattern}.*" if name.endswith("/") else pattern


def rows() -> Iterator[Row]:
    """The table, its shortened names written out."""
    lines = [line for line in section("Who writes which file").splitlines() if line.startswith("|")]
    for line in lines[2:]:
        cell, writers, _ = (part.strip() for part in line.strip("|").split("|", 2))
        names = [name.replace("…/", "trials/0007/attempts/2/") for name in re.findall(r"`([^`]+)`", cell)] or [cell]
        first = names[0] if names[0].startswith("trials/") else ""
        yield Row(tuple(_whole(name, first) for name in names if name not in ("checkpoints.dir", "attempts/")), writers)


def _whole(name: str, first: str) -> str:
    """Names beside the first one lie in its folder."""
    return first.rpartition("/")[0] + "/" + name if first and "/" not in name else name


ROWS = list(rows())

_STUDY = {
    "name": "lab",
    "command": ["python", "-S", "-E", "train.py", "${config}"],
    "config": "base.yaml",
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "budget": {"trials": 1, "max_failures": 1},
    "parallel": 1,
    "trial": {"folds": {"n": 2}},
    "pruner": "median",
}
#: Lasts longer than SETTLES_AFTER: what a shorter one leaves is written only where the ledger does not have it soon.
_TRAINING = """
import os, time
time.sleep(0.15)
with open(os.path.join(os.environ["OUTLAST_CHECKPOINT_DIR"], "last.ckpt"), "w") as file:
    file.write("weights")
for epoch in range(2):
    print(f"epoch {epoch}: score=0.5", flush=True)
if os.path.exists("broken"):
    raise ValueError("broken")
"""
#: Rows of what one small search on one machine does not write, and the tests in which it is written.
WRITTEN_ELSEWHERE = {
    "objective.pkl": "api", "job.sh": "slurm", "NAME": "clean", "code": "code", "home.json": "scratch", "live": "scratch",
    "everything in the home folder": "scratch", "snapshots": "places", "unfinished": "places",
    "requests": "study", "jobs": "slurm", "run.log": "cli", "plots": "optimizer", "runner.log": "executors",
    "report.html": "cli", "supervisor.json": "cli", "told.json": "telling", "telling": "telling", "tracking": "sending",
    "judged": "pruning", "lease.": "study", "ledger.new": "damage", "*.damaged.*": "damage", "study.db": "damage",
    "splits.1.json": "parts", "stop.json": "survival", "confirm": "followup", "evaluation": "followup", "export": "followup",
    "refit": "followup", "evaluate": "followup", "tensorboard": "tracking", "asked.json": "network", "folded": "study",
    "behind": "engine", "output/": "warm", "imported.jsonl": "engine",
}  # fmt: skip


def unnamed(paths: Iterable[str]) -> list[str]:
    """Paths that no row of the table names; hidden ones are said to be unfinished or on their way out."""
    visible = (path for path in paths if not any(part.startswith(".") for part in path.split("/")))
    return sorted({re.sub(r"\d+", "#", path) for path in visible if not any(row.names_path(path) for row in ROWS)})


class Seen(threading.Thread):
    """Looks at a folder again and again, and remembers every file that it saw.

    Args:
        folder: What is looked at.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.paths, self._over = folder, set[str](), threading.Event()

    def look(self) -> None:
        for place, _, names in os.walk(self.folder):
            self.paths |= {os.path.relpath(os.path.join(place, name), self.folder) for name in names}

    def run(self) -> None:
        while not self._over.wait(0.005):
            self.look()

    def close(self) -> None:
        self._over.set()
        self.join()
        self.look()


@dataclass(frozen=True)
class Lived:
    """A study that was run: its folder, every file that was seen in it, and (operation, path, who) of each that changed one."""

    folder: Path
    seen: set[str]
    operations: list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A study that failed, was retried under changed ranges, and is done."""
    place = tmp_path_factory.mktemp("study")
    folder, record = place / "studies" / "lab", place / "operations.jsonl"
    (place / "train.py").write_text(_TRAINING)
    (place / "base.yaml").write_text("x: 1\n")
    (place / "study.yaml").write_text(json.dumps(_STUDY))
    (place / "broken").touch()
    seen = Seen(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        patch.setenv("OUTLAST_FAULTS", json.dumps({"record": str(record)}))
        patch.setenv("OUTLAST_OBSERVER", "outlast.testing.fault_injection:install_from_environment")
        patch.setattr(observed, "observer", None)
        seen.start()
        assert run_cli(["run", "study.yaml"]) == 3
        (place / "broken").unlink()
        assert run_cli(["retry", "studies/lab"]) == 0
        changed = {**_STUDY, "budget": {"trials": 2}, "parameters": {"x": {"min": 0.0, "max": 2.0}}}
        (place / "study.yaml").write_text(json.dumps(changed))
        assert run_cli(["run", "study.yaml", "--accept-changes"]) == 0
        seen.close()
    told = map(json.loads, record.read_text().splitlines())
    operations = [
        (each["op"], os.path.relpath(each.get("target") or each["path"], folder), _who(each["pid"]))
        for each in told if each["op"] in ("link", "rename", "append", "write")
    ]  # fmt: skip
    return Lived(folder, seen.paths | {path for _, path, _ in operations}, operations)


def _who(pid: int) -> str:
    return "coordinator" if pid == os.getpid() else "runner"


def test_whatever_a_study_writes_is_in_the_table(lived: Lived) -> None:
    assert unnamed(lived.seen) == []


def test_whatever_is_in_the_table_is_written_there_or_in_tests_of_its_own(lived: Lived) -> None:
    for name in (name for row in ROWS for name in row.names):
        elsewhere = next((folder for word, folder in WRITTEN_ELSEWHERE.items() if word in name), None)
        there = any(re.fullmatch(pattern_of(name), path) for path in lived.seen)
        assert there or (elsewhere is not None and (ROOT / "tests" / elsewhere).is_dir()), name


def test_who_writes_is_who_is_said_to(lived: Lived) -> None:
    assert {who for *_, who in lived.operations} == {"coordinator", "runner"}
    for _, path, who in lived.operations:
        writers = [row.writers for row in ROWS if row.names_path(path)]
        assert not writers or any(who in writer for writer in writers), (path, who, writers)


def test_what_must_exist_once_is_linked_and_what_is_replaced_is_renamed(lived: Lived) -> None:
    ways: dict[str, set[str]] = {}
    for operation, path, _ in lived.operations:
        if not any(part.startswith(".") for part in path.split("/")):
            ways.setdefault(re.sub(r"\d+", "#", path), set()).add(operation)
    once = {"ledger/#.jsonl", "revisions/#.yaml", "splits.json"}
    once |= {f"trials/#/attempts/#/{name}.json" for name in ("started", "exit")}
    assert {path for path, how in ways.items() if "link" in how} == once
    assert [path for path in once if "rename" in ways[path]] == []
    replaced = {"study.yaml", "trials.csv", "best_results.json", "open/#.#", "trials/#/trial.json", "best_checkpoint"}
    assert all(ways[path] == {"rename"} for path in replaced)


def test_every_name_that_the_layout_knows_is_in_the_table() -> None:
    study = StudyPaths.at("/study")
    owners = ((layout.StudyNames, study.root), (layout.TrialPaths, study.trial(7).folder),
              (layout.AttemptPaths, study.attempt(7, 2).folder))  # fmt: skip
    known = {
        str((folder / name.name).relative_to(study.root)) for kind, folder in owners for name in layout.names_of(kind)
    }
    assert len(known) > 30
    named = {f"{name}/" for row in ROWS for name in row.names}
    assert [path for path in known if unnamed([path]) and not any(name.startswith(f"{path}/") for name in named)] == []


def test_what_stays_names_no_place(lived: Lived) -> None:
    printed = {"output.log", "error.log", "trial.json"}  # a traceback names the script
    holding = {
        path.name for path in lived.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and str(lived.folder).encode() in path.read_bytes()
    }  # fmt: skip
    assert holding - printed == set()


def test_a_file_that_the_table_does_not_name_is_noticed() -> None:
    assert unnamed(["trials/0003/attempts/1/mine.json", "ledger/00000001.jsonl", ".hidden", "notes.txt"]) == [
        "notes.txt",
        "trials/#/attempts/#/mine.json",
    ]


# an attempt


def test_files_that_others_poll_are_there_from_the_start(tmp_path: Path) -> None:
    paths = StudyPaths.at(tmp_path)
    open_attempt(paths, 7, 2, "{}", {})
    there = {path.name for path in paths.attempt(7, 2).folder.iterdir()}
    assert there == {"alive", "reports.jsonl", "asked.json"}


def test_when_an_attempt_is_over(tmp_path: Path) -> None:
    paths = StudyPaths.at(tmp_path)
    for trial in (1, 2):
        open_attempt(paths, trial, 1, "{}", {})
    claimed, unclaimed = paths.attempt(1, 1), paths.attempt(2, 1)
    status = os.stat(claimed.alive)
    claimed.started.write_text(json.dumps({**my_identity().to_json(), "alive": [status.st_dev, status.st_ino]}))
    assert inspect(claimed).life is Life.RUNNING
    claimed.exit.write_text("{}")
    assert inspect(claimed).life is Life.OVER
    assert inspect(unclaimed).life is Life.UNCLAIMED
    assert void_start(unclaimed)
    assert inspect(unclaimed).life is Life.OVER and not unclaimed.exit.exists()


def test_the_life_of_an_attempt_is_drawn_in_its_order(lived: Lived) -> None:
    steps = (
        ("append", r"ledger/\d+\.jsonl"), ("write", r"trials/0000/attempts/1/params\.json"), ("rename", r"open/0000\.1"),
        ("link", r"trials/0000/attempts/1/started\.json"), ("link", r"trials/0000/attempts/1/exit\.json"),
        ("append", r"ledger/\d+\.jsonl"),
    )  # fmt: skip
    done = iter(lived.operations)
    for kind, pattern in steps:
        assert any(operation == kind and re.fullmatch(pattern, path) for operation, path, _ in done), pattern
    drawing = section("The life of an attempt").partition("```text\n")[2].partition("```")[0]
    at = 0
    for word in (
        "ledger line",
        "attempts/2/",
        "open/0007.2",
        "started.json",
        "exit.json",
        "ledger line",
        "trial.json",
        "gone",
    ):
        at = drawing.index(word, at + 1)
