"""What a worker costs while it waits for its answer: of an array's tasks, hundreds do at the same moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.lab.waiting import until

from outlast._system.processes import Identity, my_identity
from outlast.engine.hold.turn_taking import is_at_work
from outlast.study import requests
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

TASK = """\
import json, sys
from outlast.engine.cluster.task import main
code = main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
JOB = {"SLURM_JOB_ID": "7001", "SLURM_ARRAY_JOB_ID": "7000", "SLURM_ARRAY_TASK_ID": "1", "SLURMD_NODENAME": "n1"}


@pytest.mark.slow
def test_it_loads_nothing_that_decides_or_that_it_can_do_without_and_asks_once(tmp_path: Path) -> None:
    paths = StudyPaths.at(tmp_path / "study")
    with Lease(paths.lease):
        task = subprocess.Popen(
            [sys.executable, "-c", TASK, str(paths.root), "1", "1"], text=True, env={**os.environ, **JOB},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        until(lambda: requests.pending(paths), "it asks", seconds=60)
        (asked,) = requests.pending(paths)
        requests.answer(paths, asked, done=True)
        _, told = task.communicate(timeout=60)
    assert task.returncode == 0, told
    modules = set(json.loads(told.splitlines()[-1]))
    heavy = {"msgspec", "dataclasses", "inspect", "ctypes", "subprocess", "filelock", "datetime", "optuna", "numpy"}
    assert not heavy & modules, heavy & modules
    assert not [name for name in modules if name.startswith(("outlast.engine.coordinator", "outlast.optimizer"))]
    assert not list(paths.requests.iterdir()), "no second request"


def marker(of: Identity) -> bytes:
    """As filelock writes it."""
    return f"filelock/2\npid={of.pid}\nhost={of.host}\nmode=lease\n".encode()


def test_it_knows_a_holder_of_its_own_host_that_lives(tmp_path: Path) -> None:
    us = my_identity()
    with Lease(tmp_path / "lease"):
        assert is_at_work((tmp_path / "lease").read_bytes()), "as it really is written"
    assert is_at_work(marker(us))
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert not is_at_work(marker(us._replace(pid=ended.pid)))
    assert not is_at_work(marker(us._replace(host="elsewhere"))), "of another host nothing is known"
    assert not is_at_work(b"") and not is_at_work(b"\xff\xfe=="), "nor of what is just being written, or damaged"
