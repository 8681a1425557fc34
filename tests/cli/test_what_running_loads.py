"""A search waits for no package that its first trials do without: what `run` and `import` load, from their start to their end."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.cli.render.text import _TOLD_RICH

LISTED = """\
import atexit, json, sys
before = set(sys.modules)
atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr))
from outlast.cli.main import main
main()
"""
#: What Optuna 4.5 has written.
OLD = Path(__file__).parents[1] / "optimizer" / "storages" / "optuna-4.5.0.sql"
#: What Optuna brings along, and what else of the standard library takes long.
NEVER = {
    "optuna",
    "alembic",
    "asyncio",
    "colorlog",
    "http",
    "packaging",
    "pydantic",
    "scipy",
    "sqlalchemy",
    "ssl",
    "tqdm",
}
TPE = "{name: tpe, n_startup_trials: 1, seed: 1}"
NUMBERS = "{x: {min: 0.0, max: 1.0}, rate: {min: 1e-5, max: 1e-1, distribution: log_uniform_values}, layers: {min: 1, max: 4}}"


#: Nobody has said that a pipe is to be treated as a terminal.
_PIPED = {name: value for name, value in os.environ.items() if name not in _TOLD_RICH}


def loaded_by(*words: str, folder: Path) -> set[str]:
    command = [sys.executable, "-c", LISTED, *words]
    done = subprocess.run(command, cwd=folder, env=_PIPED, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("sampler, most", [(TPE, 670), ("gaussian", 670), ("random", 560)])
def test_suggestions_of_our_own_load_no_optuna_and_those_at_random_no_numpy(here, sampler, most):
    study = here.study(sampler=sampler, budget="{trials: 3}", parallel="1", parameters=NUMBERS, x="", kind="")
    assert study
    modules = loaded_by("run", "study.yaml", folder=here.folder)
    assert NEVER & {name.partition(".")[0] for name in modules} == set()
    assert ("numpy" in modules) == (sampler != "random")
    assert len(modules) <= most


@pytest.mark.slow
@pytest.mark.parametrize("waiting, most", [(False, 290), (True, 530)])
def test_an_import_of_a_database_loads_no_optuna_and_no_sampler_where_nothing_waits(tmp_path, waiting, most):
    with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.executescript(OLD.read_text())
        if not waiting:
            connection.executescript("DELETE FROM trials WHERE state = 'WAITING'")
    modules = loaded_by("import", "old.db", folder=tmp_path)
    assert NEVER & {name.partition(".")[0] for name in modules} == set()
    assert {"numpy", "outlast.optimizer.sampling"} & modules == (
        {"numpy", "outlast.optimizer.sampling"} if waiting else set()
    )
    assert len(modules) <= most


#: What `LISTED` lists, but up to the moment in which the first trial has been started.
LISTED_AT_THE_START = """\
import json, sys
from outlast.engine.coordinator import starting
start = starting.Starting.start
def listed(self):
    start(self)
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
    starting.Starting.start = start
starting.Starting.start = listed
from outlast.cli.main import main
main()
"""


@pytest.mark.slow
def test_no_first_trial_waits_for_what_shows_it(here):
    here.study(sampler="random", budget="{trials: 1}", parallel="1")
    done = subprocess.run(
        [sys.executable, "-c", LISTED_AT_THE_START, "run", "study.yaml"], cwd=here.folder, capture_output=True, text=True,
        env=_PIPED, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    modules = set(json.loads(done.stderr.splitlines()[0]))
    assert "outlast.cli.live.watching" in modules
    assert {"rich.console", "outlast.cli.live.live_view", "outlast.cli.live.picture"} & modules == set()
