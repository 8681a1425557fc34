"""Time as the runner counts it: a laptop that sleeps for an hour neither hangs nor runs out of time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from outlast._system.clock import Clock
from outlast.core.evidence import Evidence
from outlast.runner.spec import RunnerSpec
from outlast.runner.stopping import Stopwatch


class Leaping(Clock):
    """A clock that goes as it is told."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


def test_a_tick_counts_no_more_than_it_can_have_been() -> None:
    clock = Leaping()
    watch = Stopwatch(clock)
    for passed, seconds in ((0.5, 0.5), (3600.0, 1.5), (0.25, 1.75), (-5.0, 1.75)):
        clock.time += passed
        watch.tick()
        assert watch.seconds == watch.silent == seconds
    watch.heard()
    assert (watch.silent, watch.seconds) == (0.0, 1.75)


def supervise(folder: Path, code: str, *, hours_of_sleep: int = 0, after: str = "", **spec: Any) -> Evidence:
    """Run a training under a supervisor whose machine sleeps again and again, where a file is named once that is there."""
    made = RunnerSpec(
        trial=0, attempt=1, argv=(sys.executable, "-S", "-E", "-c", code), cwd=str(folder), trial_dir="trials/0000",
        attempt_dir="trials/0000/attempts/1", checkpoint_dir="trials/0000/checkpoints", objectives=({"name": "score"},), **spec,
    )  # fmt: skip
    argv = [
        sys.executable,
        str(Path(__file__).with_name("supervised.py")),
        str(folder),
        made.to_json(),
        str(hours_of_sleep),
        *([after] if after else []),
    ]
    done = subprocess.run(argv, capture_output=True, check=True)
    return Evidence.from_json(json.loads(done.stdout))


@pytest.mark.slow
def test_hours_of_sleep_are_neither_silence_nor_training(tmp_path: Path) -> None:
    code = "import time; time.sleep(0.6); print('score=0.5')"
    evidence = supervise(tmp_path, code, hours_of_sleep=4, hang_after=30.0, timeout=60.0, grace=5.0)
    assert (evidence.exit_code, evidence.stop_reason, evidence.scores) == (0, "", {"score": 0.5})
    assert evidence.seconds < 30


@pytest.mark.slow
def test_a_training_that_was_asked_has_its_whole_grace_although_the_machine_slept(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print('score=0.25', flush=True), sys.exit(0)))\n"
        "open('listens', 'w').close()\n"
        "time.sleep(60)"
    )
    asleep = str(tmp_path / "listens")  # not before: whoever is told while it starts has no say
    evidence = supervise(tmp_path, code, hours_of_sleep=60, after=asleep, timeout=15.0, grace=60.0)
    assert (evidence.stop_reason, evidence.exit_code, evidence.terminated) == ("timeout", 0, True)
    assert evidence.scores == {"score": 0.25}


@pytest.mark.slow
def test_real_silence_is_a_hang(tmp_path: Path) -> None:
    evidence = supervise(tmp_path, "import time; time.sleep(60)", hang_after=0.3)
    assert (evidence.stop_reason, evidence.signal) == ("hang", 9)


@pytest.mark.slow
def test_a_training_that_reports_anything_is_not_silent(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "path = os.path.join(os.environ['OUTLAST_TRIAL_DIR'], 'attempts', '1', 'reports.jsonl')\n"
        "for step in range(10):\n"
        '    with open(path, \'a\') as file: print(\'{"v":1,"step":%d,"metrics":{"loss":0.5}}\' % step, file=file)\n'
        "    time.sleep(0.25)\n"
        "print('score=0.5')"
    )
    evidence = supervise(tmp_path, code, hang_after=1.5)
    assert (evidence.exit_code, evidence.stop_reason, evidence.scores) == (0, "", {"score": 0.5})


@pytest.mark.slow
def test_what_lasted_is_on_the_disk_also_where_no_tick_came_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "record.jsonl"
    monkeypatch.setenv("OUTLAST_OBSERVER", "outlast.testing.fault_injection:install_from_environment")
    monkeypatch.setenv("OUTLAST_FAULTS", json.dumps({"record": str(record)}))
    supervise(tmp_path, "print('score=0.5')", hours_of_sleep=-1)  # however busy the machine is
    assert not record.exists(), "a short one"
    (tmp_path / "late").mkdir()
    assert supervise(tmp_path / "late", "print('score=0.5')", hours_of_sleep=20).seconds > 0.1
    assert "fsync_dir" in record.read_text()
