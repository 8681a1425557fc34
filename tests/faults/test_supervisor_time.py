"""Time as the runner counts it: a laptop that sleeps for an hour neither hangs nor runs out of time."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from lab.waiting import until
from outlast._system.clock import Clock
from outlast._system.line_socket import LineSocket
from outlast.core.evidence import Evidence
from outlast.runner.reserve import RESERVE
from outlast.runner.spec import RunnerSpec
from outlast.runner.stopping import Stopwatch

SUPERVISED = str(Path(__file__).with_name("supervised.py"))


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


def spec_of(folder: Path, code: str, *, shell: bool = False, **more: Any) -> RunnerSpec:
    """A training of some Python, or of a shell's words."""
    argv = ("sh", "-c", code) if shell else (sys.executable, "-S", "-E", "-c", code)
    return RunnerSpec(
        trial=0, attempt=1, argv=argv, cwd=str(folder), trial_dir="trials/0000", attempt_dir="trials/0000/attempts/1",
        checkpoint_dir="trials/0000/checkpoints", objectives=({"name": "score"},), **more,
    )  # fmt: skip


def supervise(folder: Path, code: str, *, hours_of_sleep: int = 0, after: str = "", **spec: Any) -> Evidence:
    """Run a training under a supervisor whose machine sleeps again and again, where a file is named once that is there."""
    told = spec_of(folder, code, **spec).to_json()
    argv = [sys.executable, SUPERVISED, str(folder), told, str(hours_of_sleep), *([after] if after else [])]
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


def unread(line: LineSocket) -> int:
    """Bytes of what was said that nobody has read yet (unix(7), SIOCOUTQ, which has the number of TIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


@pytest.mark.slow
def test_a_script_that_listens_right_behind_its_report_is_not_told_by_a_signal(tmp_path: Path) -> None:
    """It says so after its runner has heard that it is to stop, and before that looks the next time: the clock stands still."""
    ours, theirs = socket.socketpair()
    coordinator, ticks, answer = LineSocket(ours), tmp_path / "ticks", tmp_path / "answer"
    coordinator.say({"op": "run", "name": "0000.1", "marker": "m", "log": "l", "told": "{}", "fds": []})
    made = spec_of(tmp_path, f"until test -e {answer}; do sleep 0.01; done; echo score=1", shell=True)
    attempt = tmp_path / made.attempt_dir
    argv = [sys.executable, SUPERVISED, str(tmp_path), made.to_json(), "-1", str(ticks), str(theirs.fileno())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()]) as runner:
        theirs.close()
        until((attempt / "output.log").exists, "it has begun")
        coordinator.say({"op": "stop", "name": "0000.1", "reason": "pruned", "grace": 300.0})
        until(lambda: not unread(coordinator), "its runner has read that")
        with open(attempt / "reports.jsonl", "ab") as script:
            script.write(b'{"v": 1, "step": 1, "metrics": {"score": 0.5}}\n{"v": 1, "listens": true}\n')
        ticks.touch()
        until(lambda: (attempt / RESERVE).exists() or runner.poll() is not None, "its runner looks again")
        answer.touch()
        evidence = Evidence.from_json(json.loads(runner.communicate(timeout=120)[0]))
    coordinator.close()
    assert (evidence.exit_code, evidence.terminated, evidence.stop_reason) == (0, False, "pruned")


@pytest.mark.slow
def test_real_silence_is_a_hang(tmp_path: Path) -> None:
    evidence = supervise(tmp_path, "import time; time.sleep(60)", hang_after=0.3)
    assert (evidence.stop_reason, evidence.signal) == ("hang", 9)


@pytest.mark.slow
def test_a_training_that_reports_anything_is_not_silent(tmp_path: Path) -> None:
    code = (
        "import os, time\n"
        "path = os.path.join(os.environ['OUTLAST_TRIAL_DIR'], 'attempts', '1', 'reports.jsonl')\n"
        "for step in range(14):\n"
        '    with open(path, \'a\') as file: print(\'{"v":1,"step":%d,"metrics":{"loss":0.5}}\' % step, file=file)\n'
        "    time.sleep(0.25)\n"
        "print('score=0.5')"
    )
    longer_than_it_is_held_up = 3.0  # on a busy machine; and less than it trains
    evidence = supervise(tmp_path, code, hang_after=longer_than_it_is_held_up)
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
