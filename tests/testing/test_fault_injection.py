from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from outlast._system import observed
from outlast._system.files import remove, write_atomic, write_once
from outlast.testing.fault_injection import Faults

_WRITE_TWICE = """
import sys
from outlast._system.files import write_atomic
from outlast.testing.fault_injection import install_from_environment
install_from_environment(sys.argv[1])
write_atomic("first.json", "1")
write_atomic("second.json", "2")
"""


def _run(place: Path, plan: dict[str, Any], role: str = "runner") -> int:
    env = {**os.environ, "OUTLAST_FAULTS": json.dumps(plan)}
    command = [sys.executable, "-c", _WRITE_TWICE, role]
    return subprocess.run(command, cwd=place, env=env, check=False, timeout=60).returncode


def test_a_process_dies_right_before_the_operation_that_was_named(tmp_path: Path) -> None:
    assert _run(tmp_path, {"kill_on": {"op": "rename", "path": "second.json"}}) == -signal.SIGKILL
    assert (tmp_path / "first.json").exists()
    assert not (tmp_path / "second.json").exists()


def test_or_so_many_operations_later(tmp_path: Path) -> None:
    assert _run(tmp_path, {"kill_on": {"match": r"rename first\.json", "later": 1}}) == -signal.SIGKILL
    assert os.listdir(tmp_path) == ["first.json"]


def test_or_at_the_nth_operation(tmp_path: Path) -> None:
    assert _run(tmp_path, {"kill_at": 3}) == -signal.SIGKILL
    assert not (tmp_path / "first.json").exists()


def test_only_the_role_that_was_named_is_hit(tmp_path: Path) -> None:
    assert _run(tmp_path, {"role": "coordinator", "kill_at": 1}, "runner") == 0


def test_one_process_is_hit_although_every_one_reads_the_plan(tmp_path: Path) -> None:
    plan = {"kill_at": 1, "once": str(tmp_path / "struck")}
    assert [_run(tmp_path, plan) for _ in range(3)] == [-signal.SIGKILL, 0, 0]


def test_operations_are_put_on_record_with_what_they_wrote(tmp_path: Path) -> None:
    assert _run(tmp_path, {"record": "record.jsonl"}) == 0
    operations = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [operation["op"] for operation in operations] == ["write", "fsync", "rename", "fsync_dir"] * 2
    assert operations[2]["target"] == "first.json"
    assert operations[0]["data"] == "MQ=="


def test_an_operation_fails_as_often_as_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"fail_on": {"op": "write", "path": "*full*", "errno": 28, "times": 2}}
    monkeypatch.setattr(observed, "observer", Faults(plan))
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            write_atomic(tmp_path / "full.json", "x")
    write_atomic(tmp_path / "full.json", "x")
    assert os.listdir(tmp_path) == ["full.json"]
    remove(tmp_path / "full.json")


@pytest.mark.parametrize("write", [write_atomic, write_once])
def test_the_temporary_file_of_another_host_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    monkeypatch.setattr("outlast._system.files._serial", itertools.repeat(7))
    theirs = tmp_path / f".a.json.{os.getpid()}.7.tmp"
    theirs.write_text("theirs")
    with pytest.raises(FileExistsError):
        write(tmp_path / "a.json", "ours")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]
