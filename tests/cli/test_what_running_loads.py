"""A search waits for no package that its first trials do without: what `run` loads, from its start to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

LISTED = """\
import atexit, json, sys
before = set(sys.modules)
atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr))
from outlast.cli.main import main
sys.argv[1:] = ["run", "study.yaml"]
main()
"""
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


@pytest.mark.slow
@pytest.mark.parametrize("sampler, most", [(TPE, 670), ("gaussian", 670), ("random", 560)])
def test_suggestions_of_our_own_load_no_optuna_and_those_at_random_no_numpy(here, sampler, most):
    study = here.study(sampler=sampler, budget="{trials: 3}", parallel="1", parameters=NUMBERS, x="", kind="")
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-c", LISTED]
    done = subprocess.run(command, cwd=here.folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and study, done.stdout + done.stderr
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    assert NEVER & {name.partition(".")[0] for name in modules} == set()
    assert ("numpy" in modules) == (sampler != "random")
    assert len(modules) <= most
