"""A kept worker as its coordinator makes it and judges its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outlast._system.locks import is_locked
from outlast._system.memory import MemoryCounters
from outlast.core.kept_words import Train
from outlast.errors import StorageError
from outlast.executors.kept_process import KeptProcess, KeptStart

Make = Callable[..., KeptProcess]


def start_in(place: Path, **more: Any) -> KeptStart:
    words: dict[str, Any] = {"cwd": str(place), "outputs": str(place / "output"), **more}
    return KeptStart(
        argv=("json",), env=dict(os.environ), objectives="[]", token=f"outlast:{place};", trials=5, **words
    )


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[KeptProcess] = []

    def begin(**more: Any) -> KeptProcess:
        made.append(KeptProcess(start_in(tmp_path, **more), "kept:0"))
        return made[-1]

    yield begin
    for worker in made:
        worker.close()


def trial(number: int = 1) -> Train:
    return Train(f"{number:04d}.1", number, 1, "/nowhere", "/nowhere")


@pytest.mark.parametrize("spoilt", ["cwd", "outputs", "floors"])
def test_one_that_cannot_be_made_leaves_nothing(spoilt: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    more = {"cwd": str(tmp_path / "none"), "outputs": str(tmp_path / "file" / "x"), "floors": {"kept:0": 1 << 62}}
    open_before = os.listdir("/proc/self/fd")
    with pytest.raises(StorageError, match="cannot start a worker"):
        KeptProcess(start_in(tmp_path, **{spoilt: more[spoilt]}), "kept:0")
    assert os.listdir("/proc/self/fd") == open_before
    assert not is_locked(str(tmp_path / "output" / "0.log"))


def test_a_slot_in_which_a_successors_worker_runs_is_left_to_it(make: Make, tmp_path: Path) -> None:
    class Lost(Exception):
        pass

    def lost() -> None:
        raise Lost

    theirs = make()
    os.kill(theirs.process.pid, signal.SIGSTOP)
    open_before = os.listdir("/proc/self/fd")
    with pytest.raises(Lost):
        KeptProcess(start_in(tmp_path), "kept:0", lost)
    assert os.listdir("/proc/self/fd") == open_before
    assert theirs.process.poll() is None


def test_a_kernel_that_tells_nothing_of_processes_is_no_hindrance(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)
    assert make().pidfd is None


def test_what_the_kernel_killed_before_a_trial_and_what_others_used_is_not_the_trials(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "vmstat").write_text("oom_kill 0\n")
    worker = make()
    worker._memory = MemoryCounters(tmp_path, tmp_path)
    (tmp_path / "vmstat").write_text("oom_kill 1\n")
    worker.begin(trial(), 0.0, 100.0)
    worker.weigh()
    assert worker.busy is not None
    seen = worker.busy.peak
    worker.signal(signal.SIGKILL)
    ended = worker.crash(1.0)
    assert not ended.host_oom and 0 < seen == ended.peak_memory


def test_a_trial_begins_where_the_output_ends_that_was_cut(make: Make) -> None:
    worker = make()
    worker.end = 1 << 20
    worker.begin(trial(), 0.0, 0.0)
    assert worker.end <= worker.size
