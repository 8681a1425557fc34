"""The index while a search runs: other tools read it, people enqueue into it, hold it, delete it; the search never notices.

Each training waits in its middle until the test lets it through, so that the search lasts as long as the test needs it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from lab.ports import free_port
from lab.waiting import until
from outlast._system.files import write_atomic
from outlast.core.fold import fold
from outlast.core.states import TrialState
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

pytestmark = pytest.mark.slow

SCRIPT = """
import argparse, os, time
p = argparse.ArgumentParser(); p.add_argument("--x", type=float); p.add_argument("--kind"); a = p.parse_args()
for epoch in range(4):
    while epoch == 2 and int(os.environ["OUTLAST_TRIAL"]) >= int(open("let_through").read()):
        time.sleep(0.02)
    print(f"epoch {epoch}: loss={a.x + epoch * 0.01}", flush=True)
"""
STUDY = """
name: seen
command: ["%s", train.py, "${args}"]
metric: {name: loss, goal: minimize}
parameters: {x: {min: 0.0, max: 1.0}, kind: {values: [a, b]}}
budget: {trials: 14}
sampler: {name: random, seed: 1}
parallel: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "study.yaml").write_text(STUDY % sys.executable)
    let_through(tmp_path, 0)
    return tmp_path


def let_through(folder: Path, trials: int) -> None:
    """The trainings of trials below this number come to their end."""
    write_atomic(folder / "let_through", str(trials).encode())


@contextlib.contextmanager
def searching(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run in the background, ended by its process id if the test leaves it behind."""
    with open(folder / "out.txt", "wb") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "outlast", "run", "study.yaml"],
            cwd=folder,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield run
        let_through(folder, 14)
        assert run.wait(timeout=240) == 0, (folder / "out.txt").read_text()
    finally:
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            run.wait()


def load(folder: Path) -> optuna.Study | None:
    path = folder / "studies" / "seen" / "study.db"
    if not path.exists():
        return None
    try:
        return optuna.load_study(study_name="seen", storage=f"sqlite:///{path}")
    except Exception:  # it may just be appearing
        return None


def complete(folder: Path) -> int:
    """How many trials the ledger knows as complete."""
    ledger = StudyPaths.at(folder / "studies" / "seen").ledger
    return fold(read_ledger(ledger).events).counts()[TrialState.COMPLETE]


def status(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "outlast", "status", "--json"], cwd=folder, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_running_trials_and_their_curves_are_seen_by_optuna(folder: Path) -> None:
    with searching(folder):
        study = until(lambda: load(folder))
        running = until(lambda: [t for t in study.get_trials() if t.state.name == "RUNNING" and t.intermediate_values])
        assert 0 in running[0].intermediate_values
    study = load(folder)
    assert study is not None
    assert [t.number for t in study.get_trials()] == list(range(14))
    assert all(t.state.name == "COMPLETE" and len(t.intermediate_values) == 4 for t in study.get_trials())
    assert study.best_value == status(folder)["best"]["value"]


def test_a_trial_that_a_user_enqueued_is_taken_in(folder: Path) -> None:
    with searching(folder):
        study = until(lambda: load(folder))
        study.enqueue_trial({"x": 0.25, "kind": "b"})
        let_through(folder, 2)
        done = [optuna.trial.TrialState.COMPLETE]
        until(lambda: len(study.get_trials(states=done)) == 2)  # whoever writes that has seen the new row
    study = load(folder)
    assert study is not None
    wanted = [t for t in study.get_trials() if t.params == {"x": 0.25, "kind": "b"}]
    assert [t.state.name for t in wanted] == ["COMPLETE"]
    assert status(folder)["counts"]["complete"] == 14 and len(study.get_trials()) == 14


def test_a_reader_that_holds_a_transaction_delays_nothing(folder: Path) -> None:
    with searching(folder):
        until(lambda: load(folder))
        reader = sqlite3.connect(folder / "studies" / "seen" / "study.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM trials").fetchone()
        let_through(folder, 6)
        until(lambda: complete(folder) == 6)  # new trials were created meanwhile
        reader.execute("COMMIT")
        reader.close()
    study = load(folder)
    assert study is not None and len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == 14
    assert "built anew" not in (folder / "out.txt").read_text()
    assert [name for name in os.listdir(folder / "studies" / "seen") if name.startswith("study.db")] == ["study.db"]


def test_an_index_that_is_deleted_or_emptied_comes_back(folder: Path) -> None:
    path = folder / "studies" / "seen" / "study.db"
    with searching(folder):
        until(lambda: load(folder))
        path.unlink()
        let_through(folder, 2)
        until(path.exists)
        until(lambda: load(folder))
        with sqlite3.connect(path, timeout=20) as connection:
            connection.execute("DELETE FROM trials")
    study = load(folder)
    assert study is not None and len(study.get_trials()) == 14


def test_the_dashboard_shows_the_search_and_an_index_replaced_under_it_does_no_harm(folder: Path) -> None:
    path = folder / "studies" / "seen" / "study.db"
    port = free_port()
    with searching(folder):
        until(lambda: load(folder))
        words = ["dashboard", str(path.parent), "--port", str(port), "--no-browser"]
        dashboard = subprocess.Popen(
            [sys.executable, "-m", "outlast", *words], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        try:
            first = until(lambda: get(port))
            assert [study["study_name"] for study in first["study_summaries"]] == ["seen"]
            assert dashboard.stdout is not None
            address = dashboard.stdout.readline()  # its server may answer before it has said where
            path.unlink()
            let_through(folder, 2)
            until(path.exists)
            get(port)
        finally:
            dashboard.send_signal(signal.SIGINT)
            said, _ = dashboard.communicate(timeout=120)
        assert dashboard.returncode == 0
        assert f"http://127.0.0.1:{port}/dashboard" in address and "closed; a search that runs goes on" in said
        assert get(port) is None  # what it had started has ended with it
    study = load(folder)
    assert study is not None and len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == 14


def get(port: int) -> Any:
    """The dashboard's list of studies, ``None`` while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None
