"""Searches whose study is written to another store as well: the same search wherever it is, and its password nowhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from lab.postgres import PASSWORD, Postgres
from lab.waiting import until
from outlast.cli.main import run_cli
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.supervision import live_supervision

pytestmark = pytest.mark.slow

SCRIPT = """
import argparse, os, time
p = argparse.ArgumentParser(); p.add_argument("--x", type=float); a = p.parse_args()
open("environment", "a").write(repr(dict(os.environ)))
while os.path.exists("wait"):
    time.sleep(0.02)
print(f"loss={a.x}")
"""
STUDY = """
name: small
command: ["%s", -I, train.py, "${args}"]
metric: {name: loss, goal: minimize}
parameters: {x: {min: 0.0, max: 1.0}}
budget: {trials: 2}
sampler: {name: tpe, seed: 1}
parallel: 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "study.yaml").write_text(STUDY % sys.executable)
    return tmp_path


@pytest.fixture
def outlast(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command in the folder, which goes well; all that it says."""
    monkeypatch.chdir(folder)

    def call(*words: str) -> str:
        code = run_cli(words)
        said = capsys.readouterr()
        assert code == 0, said.out + said.err
        return said.out + said.err

    return call


def content(storage: optuna.storages.BaseStorage | str) -> list[Any]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="small", storage=storage)
    found = [
        (
            t.number,
            t.state,
            t.values,
            t.params,
            t.distributions,
            t.intermediate_values,
            t.datetime_start,
            t.datetime_complete,
        )
        for t in study.trials
    ]
    if not isinstance(study._storage, optuna.storages.JournalStorage):
        backend: Any = study._storage
        backend._backend.remove_session()
        backend._backend.engine.dispose()
    return found


def test_a_search_is_the_same_on_each_index(
    outlast: Callable[..., str], folder: Path, postgres: Postgres, database: str
) -> None:
    journal = str(folder / "store.log")
    server = postgres.url(database)
    stores: dict[str, Any] = {
        "": None,
        "store.db": f"sqlite:///{folder}/store.db",
        f"sqlite:///{folder}/url.db?timeout=60": f"sqlite:///{folder}/url.db",
        journal: None,
        server: server.replace("postgresql:", "postgresql+psycopg:"),
        "{in_memory: true}": None,
    }
    said = {}
    for number, (index, storage) in enumerate(stores.items()):
        out = outlast("run", "study.yaml", "--set", f"index={index or 'null'}", "--dir", f"study{number}")
        said[index] = re.findall(r"trial (\d) complete loss=(\S+)", out)
        if index == journal:
            storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
        if storage is not None:
            assert content(storage) == content(f"sqlite:///{folder}/study{number}/study.db")
    assert len(said[""]) == 2
    assert all(each == said[""] for each in said.values()), said
    assert not (folder / "study5").exists()


def test_a_password_is_in_no_file_no_output_and_no_command_line(
    outlast: Callable[..., str], folder: Path, postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_SECRET_OF_MINE", PASSWORD)
    (folder / "wait").touch()
    said = outlast("check", "study.yaml", "--index", postgres.url(database))
    words = ["run", "study.yaml", "--index", postgres.url(database), "--detach"]
    said += subprocess.run(
        [sys.executable, "-m", "outlast", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    leaking = [line for line in command_lines() if PASSWORD in line and f":{postgres.port}/" in line]
    (folder / "wait").unlink()  # the search goes on, and ends
    assert leaking == []
    paths = StudyPaths.at(folder / "studies" / "small")
    until(lambda: live_supervision(paths.supervisor) is None and holder_is_live(paths.ledger) is False)
    said += outlast("run", "study.yaml", "--index", postgres.url(database, "wrong-secret"), "--set", "budget.trials=3")
    assert "password authentication failed" in said
    said += outlast("run", "study.yaml", "--index", postgres.url(database, "${PG_SECRET_OF_MINE}"))
    said += outlast("show", "studies/small") + outlast("report", "studies/small")
    assert len(content(postgres.url(database).replace("postgresql:", "postgresql+psycopg:"))) == 3
    os.environ.pop("PG_SECRET_OF_MINE")
    (folder / "environment").write_text(
        (folder / "environment").read_text().replace(f"'PG_SECRET_OF_MINE': '{PASSWORD}'", "")
    )
    for secret in (PASSWORD, "wrong-secret"):
        assert secret not in said
        assert [
            str(file) for file in folder.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()
        ] == []


def command_lines() -> list[str]:
    """Of every process on this machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found
