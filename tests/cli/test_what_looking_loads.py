"""Looking never loads deciding: which parts of the house, and which packages of others, each command that looks imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from tests.lab.waiting import until

from outlast._system.clock import utc_now
from outlast.core.records import AttemptOpened, RunStarted, TrialCreated
from outlast.study import requests
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger

LISTED = """\
import atexit, json, sys
before = set(sys.modules)
atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr))
from outlast.cli.main import main
sys.argv[1:] = {words!r}
main()
"""
HEAVY = {"numpy", "optuna", "pydantic", "scipy", "sqlalchemy", "plotly", "asyncio", "psutil", "cloudpickle", "typer"}
LEDGER = {"_system", "core", "engine.record", "study"}
READING = LEDGER | {"config", "space"}
#: The command, the rooms of ours that it loads beside `cli` and `errors`, the packages of others, and how many modules of ours
#: at most.
COMMANDS = [
    (["--help"], {"_system", "core", "study"}, {"click"}, 33),
    (["--version"], {"_system"}, {"click"}, 10),
    (["status"], READING | {"monitor"}, {"click", "msgspec", "rich"}, 103),
    (["show"], READING | {"engine.attempts", "monitor", "results"}, {"click", "msgspec", "rich"}, 122),
    (["show", "0"], READING | {"engine.attempts", "monitor", "results"}, {"click", "msgspec", "rich"}, 112),
    (["logs", "small", "0"], LEDGER, {"click", "msgspec"}, 55),
    (["stop"], LEDGER | {"engine.campaign", "engine.care"}, {"click", "msgspec"}, 60),
    (["clean", "--dry-run"], READING | {"engine.care", "engine.derived", "results"}, {"click", "msgspec"}, 84),
]


def start(*words: str) -> subprocess.Popen[str]:
    """A command, which says on its error stream what it has loaded when it ends."""
    program = LISTED.format(words=list(words))
    unlimited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    pipes: dict[str, Any] = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", program], env=unlimited, **pipes)


def loaded(process: subprocess.Popen[str]) -> tuple[set[str], set[str], int]:
    """Our rooms, the packages of others, and how many modules are ours."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    modules = json.loads(err.splitlines()[-1])
    ours = {
        ".".join(name.split(".")[1 : 3 if ".engine." in name else 2]) for name in modules if name.startswith("outlast.")
    }
    others = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"outlast"}
    others |= {"rich.console"} & set(modules)  # what a terminal needs, which none of these has
    others -= {"typing_extensions"}  # which msgspec takes, where it is installed
    count = sum(name.partition(".")[0] == "outlast" for name in modules)
    return (
        ours - {"__main__", "_version", "cli", "engine", "errors"},
        {name for name in others if name[0] != "_"},
        count,
    )


@pytest.fixture
def searched(here):
    assert here("run").code == 0
    return StudyPaths.at(here.folder / "studies" / "small")


@pytest.mark.slow
@pytest.mark.usefixtures("searched")
def test_each_command_loads_what_it_needs_and_nothing_that_decides():
    running = {tuple(words): start(*words) for words, *_ in COMMANDS}
    found = {words: loaded(process) for words, process in running.items()}
    rooms = {words: (ours, others) for words, (ours, others, _) in found.items()}
    assert rooms == {tuple(words): (ours, others) for words, ours, others, _ in COMMANDS}
    assert all(not others & HEAVY for _, others in rooms.values())
    counts = {" ".join(words): (found[tuple(words)][2], most) for words, *_, most in COMMANDS}
    assert {words: (count, most) for words, (count, most) in counts.items() if count > most} == {}


@pytest.mark.slow
def test_of_a_study_that_runs_nothing_more_is_loaded_than_its_evidence(searched):
    lease = Lease(searched.lease)
    lease.acquire()
    ledger, _ = Ledger.claim(searched.ledger)
    try:
        at = utc_now()
        ledger.append([RunStarted(at, "box", 1), TrialCreated(2, at, {"x": 0.5, "kind": "a"}), AttemptOpened(2, 1, at)])
        status, stop = start("status"), start("stop")
        asked = until(lambda: requests.pending(searched), "stop asks")
        requests.answer(searched, asked[0])
        ours, others, _ = loaded(status)
        assert (ours, others & HEAVY) == (
            READING | {"engine.attempts", "monitor", "runner"},
            set(),
        )
        ours, others, _ = loaded(stop)
        assert (ours, others & HEAVY) == (LEDGER | {"engine.campaign", "engine.care"}, set())
    finally:
        ledger.close()
        lease.release()
