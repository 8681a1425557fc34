"""Whether a process that has imported a module may be forked, said by a real one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast._system.tokens import VARIABLE, processes_with, token_room
from outlast.executors.fork_request import WarmStart, WarmWorkers
from outlast.runner.environment import worker_environment
from outlast.runner.hooks import hooks_path

pytestmark = pytest.mark.slow

GOOD = "def run(x):\n    return x\n"


@pytest.fixture
def reason(tmp_path: Path) -> Callable[..., str]:
    """Why a module may not be forked; empty if it may."""

    def look(source: str, **env: str) -> str:
        (tmp_path / "work.py").write_text(textwrap.dedent(source) + GOOD)
        environment = worker_environment(env, os.environ, hooks_path())
        workers = WarmWorkers(WarmStart(("outlast.objective.function", "work:run"), str(tmp_path), environment, 10))
        try:
            deadline = time.monotonic() + 60
            while not workers.renew() and not workers.note:
                assert time.monotonic() < deadline
                select.select([], [], [], 0.01)
            return workers.note
        finally:
            workers.close()

    return look


@pytest.mark.parametrize(
    "source",
    [
        "",
        "import logging\nlogging.basicConfig(filename='work.log')\n",
        "import os\nos.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')\n",
        "import outlast, logging, multiprocessing, concurrent.futures\n",
        "import os, sys\nprint('hello')\nsys.path.append('/nowhere')\nos.chdir('/')\n",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''], check=True)\n",
    ],
    ids=["nothing", "log file", "environment", "imports", "chdir", "a process that has ended"],
)
def test_an_ordinary_module_may_be_forked(reason: Callable[..., str], source: str) -> None:
    assert reason(source) == ""


def test_threads_of_a_library_that_survives_forks_do_no_harm(reason: Callable[..., str]) -> None:
    assert reason("import numpy\nnumpy.ones((300, 300)) @ numpy.ones((300, 300))\n", OMP_NUM_THREADS="2") == ""


@pytest.mark.foreign
def test_what_computed_with_openmp_on_import_computes_in_a_fork_as_well() -> None:
    """With the libraries' threads left as they are, the fork's first parallel region never ends."""
    program = """
import os, signal, sys
from outlast.runner.fork_safety import Watch
watch = Watch()
watch.begin()
import lightgbm, numpy
from sklearn.cluster import KMeans
data = numpy.random.default_rng(0).random((3000, 8))
goal = data[:, 0] > 0.5
def work():
    KMeans(3, n_init=1).fit(data)
    lightgbm.train({"verbose": -1, "objective": "binary", "num_threads": 2}, lightgbm.Dataset(data, goal), 2)
work()
print(watch.end() or "fit", flush=True)
if os.fork() == 0:
    signal.alarm(120)
    work()
    os._exit(0)
print(os.wait()[1])
"""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OUTLAST_")}
    environment = {**ours, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["fit", "0"], done


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True, name='pump').start()\n", "pump"),
        ("import os\nSEED = os.environ.get('OUTLAST_SEED')\n", "OUTLAST_SEED"),
        ("import outlast\nTRIAL = outlast.current_trial()\n", "OUTLAST_TRIAL_DIR"),
        ("DATA = open(__file__)\n", "work.py open"),
        ("import socket\nCONNECTION = socket.socketpair()\n", "socket"),
        ("import subprocess\nSERVER = subprocess.Popen(['sleep', '60'])\n", "starts a process"),
        ("import time\ntime.sleep = lambda seconds: None\n", "standard library"),
        ("import not_there\n", "ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("import os\nos._exit(3)\n", "ends the process"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "ends the process"),
    ],
)  # fmt: skip
def test_a_module_that_a_fork_would_not_do_justice_is_named(reason: Callable[..., str], source: str, said: str) -> None:
    assert said in reason(source)


def test_native_threads_that_do_not_survive_a_fork_are_found(reason: Callable[..., str]) -> None:
    source = """
    import ctypes
    thread, libc = ctypes.c_ulong(), ctypes.CDLL(None)
    START = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    assert libc.pthread_create(ctypes.byref(thread), None, ctypes.cast(libc.pause, ctypes.c_void_p), None) == 0
    """
    assert "threads that do not survive" in reason(source)


def test_a_fork_wears_its_token_where_others_look_for_it() -> None:
    program = """
import os, sys
from outlast._system.tokens import wear_token
if os.fork() == 0:
    print(wear_token("outlast:feed:7.1;"), os.getpid(), flush=True)
    sys.stdin.read()
else:
    os.wait()
"""
    environment = {**os.environ, VARIABLE: token_room()}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worn, pid = process.stdout.readline().split()
        assert worn == "True"
        assert processes_with("outlast:feed:7.1;") == [int(pid)]


def test_without_room_no_token_is_worn() -> None:
    program = "from outlast._system.tokens import wear_token; print(wear_token('outlast:feed:7.1;'))"
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
