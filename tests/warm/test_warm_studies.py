"""Studies in warm workers end as those in a process for each trial do."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from lab.functions import Ran, Run
from outlast.core.states import Cause, TrialState

pytestmark = pytest.mark.slow

#: Whether a trial was forked from a worker, and from which.
ABOUT = """
import os, sys
WORKER = os.getpid()

def about(loss):
    return {"loss": loss, "warm": float("outlast.runner.forked" in sys.modules), "worker": float(WORKER)}
"""


def test_trials_are_forked_from_one_worker(run: Run) -> None:
    ran = run(ABOUT + "def run(x):\n    return about(x)\n", trials=4)
    assert ran.metric("warm") == [1.0] * 4
    assert len(set(ran.metric("worker"))) == 1


ENDINGS = """
import sys

def run(x, kind):
    import ctypes, os, outlast
    trial = outlast.current_trial()
    for step in range(3):
        trial.report(step=step, loss=x + step)
    print("about to", kind)
    if kind == "raise":
        raise RuntimeError(f"no {kind} here")
    if kind == "exit":
        sys.exit(3)
    if kind == "exit with words":
        sys.exit("these")
    if kind == "hard exit":
        os._exit(7)
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "nan":
        return float("nan")
    if kind == "nothing":
        return None
    if kind == "memory":
        raise MemoryError
    if kind == "interrupt":
        raise KeyboardInterrupt
    return x
"""
KINDS = ["well", "raise", "exit", "exit with words", "hard exit", "segfault", "nan", "nothing", "memory", "interrupt"]


def outcome(ran: Ran) -> list[Any]:
    """What a trial in a worker must share with one in a process of its own."""
    return [
        (
            trial.params, trial.state, trial.cause, trial.values if trial.cause is Cause.COMPLETED else None,
            *[(o.exit_code, o.signal, o.signature, o.curves, o.source, o.reason) for o in trial.ended],
            _without_our_frames(ran.log(trial.number)),
        )
        for trial in ran.trials
    ]  # fmt: skip


def _without_our_frames(log: str) -> str:
    before, _, after = log.partition("Traceback (most recent call last):")
    return before + after[max(0, after.find("work.py")) :]


def test_every_ending_is_that_of_a_process_of_its_own(run: Run) -> None:
    study = {
        "parameters": {"x": {"min": 0.0, "max": 1.0}, "kind": {"values": KINDS}},
        "enqueue": [{"kind": kind} for kind in KINDS],
        "faults": {"interrupted": "new"},
    }
    warm, plain = (run(ENDINGS, trials=len(KINDS), isolation=way, **study) for way in ("worker", "process"))
    assert [t.params["kind"] for t in warm.trials] == KINDS
    assert outcome(warm) == outcome(plain)
    tracebacks = [
        log.partition("Traceback")[2] for log in (warm.log(t.number) for t in warm.trials) if "Traceback" in log
    ]
    first = [re.search(r'File "(.*)"', text) for text in tracebacks]
    assert len(first) >= 3 and all(found is not None and found[1].endswith("work.py") for found in first)


def test_a_fault_reaches_a_warm_runner(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "operations"
    monkeypatch.setenv("OUTLAST_FAULTS", json.dumps({"role": "runner", "record": str(record)}))
    monkeypatch.setenv("OUTLAST_OBSERVER", "outlast.testing.fault_injection:install_from_environment")
    ran = run(
        ABOUT + "def run(x):\n    return {**about(x), 'seen': float('OUTLAST_OBSERVER' in os.environ)}\n", trials=2
    )
    assert (ran.metric("warm"), ran.metric("seen")) == ([1.0] * 2, [0.0] * 2)
    written = [json.loads(line) for line in record.read_text().splitlines()]
    claims = {line["target"] for line in written if "started.json" in line.get("target", "")}
    assert len(claims) == 2


@pytest.mark.parametrize(
    "ending",
    ["raise ValueError", "os._exit(7)", "sys.exit(1)", "ctypes.string_at(0)", "os.kill(os.getpid(), 9)"],
)
def test_a_trial_that_ends_badly_replaces_the_worker(run: Run, ending: str) -> None:
    source = (
        ABOUT
        + f"""
import ctypes

def run(x, bad):
    if bad:
        {ending}
    return about(x)
"""
    )
    parameters = {"x": {"min": 0.0, "max": 1.0}, "bad": {"values": [True, False]}}
    enqueue = [{"bad": False}, {"bad": False}, {"bad": True}, {"bad": False}]
    ran = run(source, trials=4, parameters=parameters, enqueue=enqueue)
    assert [trial.state for trial in ran.trials][2] is TrialState.FAILED
    workers = [trial.metrics.get("worker") for trial in ran.trials]
    assert workers[0] == workers[1] != workers[3]
    assert ran.trials[3].metrics["warm"] == 1.0


def test_a_worker_is_replaced_after_so_many_trials(run: Run) -> None:
    ran = run(ABOUT + "def run(x):\n    return about(x)\n", trials=6, isolation={"worker": 2})
    workers = ran.metric("worker")
    assert workers[0::2] == workers[1::2]
    assert len(set(workers)) == 3


def test_an_endless_loop_is_ended_and_the_next_trial_runs(run: Run) -> None:
    source = ABOUT + "def run(x, bad):\n    while bad:\n        pass\n    return about(x)\n"
    parameters = {"x": {"min": 0.0, "max": 1.0}, "bad": {"values": [True, False]}}
    trial = {"timeout": "1s", "grace": "1s"}
    ran = run(source, trials=2, parameters=parameters, enqueue=[{"bad": True}, {"bad": False}], trial=trial)
    assert [trial.cause for trial in ran.trials] == [Cause.TIMEOUT, Cause.COMPLETED]


def test_a_memory_hog_takes_nothing_from_the_next_trial(run: Run) -> None:
    source = (
        ABOUT
        + """
import resource

def run(x, bad):
    if bad:
        resource.setrlimit(resource.RLIMIT_AS, (512 * 2**20, 512 * 2**20))
        hog = b"x" * 2**30
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    return about(x)
"""
    )
    parameters = {"x": {"min": 0.0, "max": 1.0}, "bad": {"values": [True, False]}}
    ran = run(source, trials=2, parameters=parameters, enqueue=[{"bad": True}, {"bad": False}])
    assert [t.cause for t in ran.trials] == [Cause.HOST_OUT_OF_MEMORY, Cause.COMPLETED]


def test_every_trial_finds_what_the_import_left(run: Run) -> None:
    source = (
        ABOUT
        + """
SEEN = []
os.environ["FROM_IMPORT"] = "yes"

def run(x):
    SEEN.append(x)
    os.environ["FROM_TRIAL"] = "yes"
    assert os.environ["FROM_IMPORT"] == "yes"
    return about(len(SEEN))
"""
    )
    ran = run(source)
    assert ran.metric("loss") == [1.0] * 3 and ran.metric("warm") == [1.0] * 3


def test_each_trial_has_its_own_output(run: Run) -> None:
    source = (
        ABOUT
        + """
import subprocess
print("imported")

def run(x):
    import outlast
    number = outlast.current_trial().number
    print("trial", number)
    sys.stdout.write("without an end")
    sys.stdout.flush()
    subprocess.run(["sh", "-c", f"echo; echo child of {number} >&2"], check=True)
    return about(x)
"""
    )
    ran = run(source, trials=4, parallel=2)
    assert ran.metric("warm") == [1.0] * 4
    for number in range(4):
        assert ran.log(number) == f"imported\ntrial {number}\nwithout an end\nchild of {number}\n"


def test_a_trial_sees_its_own_environment_and_token(run: Run) -> None:
    source = (
        ABOUT
        + """
import subprocess

def run(x):
    import outlast
    trial = outlast.current_trial()
    assert os.environ["OUTLAST_TRIAL"] == str(trial.number) and str(trial.dir).endswith(f"{trial.number:04d}")
    assert trial.params == {"x": x} and os.environ["MARK"] == "study"
    token = os.environ["OUTLAST_TOKEN"]
    assert token.endswith(f":{trial.number}.1;")
    mine = open("/proc/self/environ").read()
    theirs = subprocess.run(["cat", "/proc/self/environ"], capture_output=True, text=True, check=True).stdout
    assert token in mine and token in theirs
    assert os.getsid(0) == os.getpid() and os.read(0, 1) == b""
    return about(x)
"""
    )
    ran = run(source, env={"MARK": "study"})
    assert ran.metric("warm") == [1.0] * 3, ran.log(0)


def test_generators_that_nobody_seeded_differ_from_trial_to_trial(run: Run) -> None:
    source = (
        ABOUT
        + """
import random
import numpy

def run(x):
    return {**about(x), "python": random.random(), "numpy": numpy.random.rand()}
"""
    )
    ran = run(source, trials=3)
    assert ran.metric("warm") == [1.0] * 3
    assert len(set(ran.metric("python"))) == len(set(ran.metric("numpy"))) == 3


def test_generators_that_the_module_seeded_begin_as_in_a_process_of_its_own(run: Run) -> None:
    source = (
        ABOUT
        + """
import random
import numpy
random.seed(3)
numpy.random.seed(3)

def run(x):
    return {**about(x), "python": random.random(), "numpy": numpy.random.rand()}
"""
    )
    warm, plain = (run(source, trials=2, isolation=way) for way in ("worker", "process"))
    assert warm.metric("warm") == [1.0] * 2 and plain.metric("warm") == [0.0] * 2
    for name in ("python", "numpy"):
        assert warm.metric(name) == plain.metric(name) and len(set(warm.metric(name))) == 1


def test_a_trial_ends_as_an_interpreter_does(run: Run) -> None:
    source = (
        ABOUT
        + """
import atexit, threading, time
atexit.register(print, "registered on import")

def run(x):
    atexit.register(print, "registered by the trial")
    def late():
        time.sleep(0.2)
        print("late thread")
    threading.Thread(target=late).start()
    return about(x)
"""
    )
    warm, plain = (run(source, trials=1, isolation=way) for way in ("worker", "process"))
    assert warm.metric("warm") == [1.0]
    assert warm.log(0) == plain.log(0) == "late thread\nregistered by the trial\nregistered on import\n"


def test_slots_side_by_side_are_forked_from_the_same_worker(run: Run) -> None:
    source = (
        ABOUT
        + """
def run(x):
    import time
    time.sleep(0.2)
    return {**about(x), "pid": float(os.getpid())}
"""
    )
    ran = run(source, trials=8, parallel=4)
    assert [trial.state for trial in ran.trials] == [TrialState.COMPLETE] * 8
    assert ran.metric("warm") == [1.0] * 8 and len(set(ran.metric("worker"))) == 1
    assert len(set(ran.metric("pid"))) == 8


def test_a_module_that_starts_threads_gets_plain_processes_and_a_note(run: Run) -> None:
    source = (
        ABOUT
        + """
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True, name="pump").start()

def run(x):
    return about(x)
"""
    )
    ran = run(source, trials=2)
    assert [trial.state for trial in ran.trials] == [TrialState.COMPLETE] * 2
    assert ran.metric("warm") == [0.0] * 2
    assert "the thread pump" in ran.study.warnings["isolation"]


def test_parts_of_a_trial_run_in_workers_too(run: Run) -> None:
    source = ABOUT + "def run(x):\n    return about(x + int(os.environ['OUTLAST_SEED']))\n"
    ran = run(source, trials=1, trial={"seeds": [1, 2, 3]})
    values = [o.part_values[0] for o in ran.trials[0].ended if o.part_values]
    assert len(values) == 3 and math.isclose(values[2] - values[0], 2.0)
    assert ran.metric("warm") == [1.0]


def test_what_a_module_logs_to_mlflow_is_followed_in_workers_too(run: Run) -> None:
    source = (
        ABOUT
        + """
import pathlib, textwrap
package = pathlib.Path(__file__).parent / "mlflow"
if not package.exists():
    (package / "tracking").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tracking" / "__init__.py").touch()
    (package / "tracking" / "client.py").write_text(textwrap.dedent('''
        class MlflowClient:
            def log_metric(self, run_id, key, value, timestamp=None, step=None):
                pass
            def log_batch(self, run_id, metrics=(), params=(), tags=()):
                pass
    '''))
from mlflow.tracking.client import MlflowClient

def run(x):
    for step in range(3):
        MlflowClient().log_metric("run", "loss", x + step, step=step)
    MlflowClient().log_metric("run", "warm", about(x)["warm"])
"""
    )
    ran = run(source, trials=2)
    assert ran.metric("warm") == [1.0] * 2
    assert [trial.value for trial in ran.trials] == [trial.params["x"] + 2 for trial in ran.trials]
    assert [len(trial.curve()) for trial in ran.trials] == [3, 3]
