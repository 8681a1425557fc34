"""A kept worker as its coordinator makes it and judges its end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lab.descriptors import open_here, opened_since
from outlast._system.locks import FileLock, is_locked
from outlast._system.memory import MemoryCounters
from outlast._system.tokens import VARIABLE
from outlast.core.kept_words import Train
from outlast.errors import StorageError
from outlast.executors.fork_request import WarmStart
from outlast.executors.kept_process import KeptProcess, KeptStart
from outlast.executors.kept_workers import KeptExecutor

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


def test_how_one_is_made_is_printed_without_its_environment(tmp_path: Path) -> None:
    environment = {"API_KEY": "hushQ77x"}
    starts = (replace(start_in(tmp_path), env=environment), WarmStart(("json",), str(tmp_path), environment, trials=5))
    for start in starts:
        assert "json" in repr(start) and "hush" not in repr(start)


@pytest.mark.parametrize("spoilt", ["cwd", "outputs", "floors"])
def test_one_that_cannot_be_made_leaves_nothing(spoilt: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    more = {"cwd": str(tmp_path / "none"), "outputs": str(tmp_path / "file" / "x"), "floors": {"kept:0": 1 << 62}}
    open_before = open_here()
    with pytest.raises(StorageError, match="cannot start a worker"):
        KeptProcess(start_in(tmp_path, **{spoilt: more[spoilt]}), "kept:0")
    assert not opened_since(open_before)
    assert not is_locked(str(tmp_path / "output" / "0.log"))


class Lost(Exception):
    """Somebody else has the study."""


def lost() -> None:
    raise Lost


def test_one_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    open_before = open_here()
    KeptProcess(start_in(tmp_path), "kept:0").close()
    assert not opened_since(open_before)
    assert not os.listdir(tmp_path / "output")


def test_whoever_comes_late_to_a_slot_that_is_free_again_starts_nothing_there(tmp_path: Path) -> None:
    open_before = open_here()
    with pytest.raises(Lost):
        KeptProcess(start_in(tmp_path), "kept:0", lost)
    assert not opened_since(open_before)
    assert not is_locked(str(tmp_path / "output" / "0.log"))


def test_an_output_goes_only_while_nobody_else_can_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, unlink = [], os.unlink

    def seen_first(path: str) -> None:
        seen.append(is_locked(path))
        unlink(path)

    monkeypatch.setattr(os, "unlink", seen_first)
    KeptProcess(start_in(tmp_path), "kept:0").close()
    assert seen == [True]


def test_a_lock_whose_file_was_removed_before_it_was_ours_is_none(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, acquire = tmp_path / "output" / "0.log", FileLock.acquire
    left = [log]

    def late(lock: FileLock, **how: float) -> bool:
        while left:
            left.pop().unlink()  # whoever held it before has ended just now
        return acquire(lock, **how)

    with monkeypatch.context() as patched:
        patched.setattr(FileLock, "acquire", late)
        worker = make()
    assert is_locked(str(log)) and os.path.samestat(os.stat(log), os.fstat(worker._out))


def test_what_a_trial_left_running_keeps_no_output_that_is_empty(tmp_path: Path) -> None:
    log = tmp_path / "output" / "0.log"
    executor = KeptExecutor(start_in(tmp_path))
    ends: tuple[Callable[[KeptProcess], None], ...] = (executor._end_left, lambda _: executor.close())
    for end in ends:
        worker = executor._new("kept:0", lambda: None)
        worker.kill()
        lock = FileLock(str(log))
        assert lock.acquire()
        left = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fd], env={**os.environ, VARIABLE: worker.token})
        lock.close()
        end(worker)
        assert left.wait(60) == -signal.SIGKILL and not log.exists()


def test_a_slot_in_which_a_successors_worker_runs_is_left_to_it(make: Make, tmp_path: Path) -> None:
    theirs = make()
    os.kill(theirs.process.pid, signal.SIGSTOP)
    open_before = open_here()
    try:
        with pytest.raises(Lost):
            KeptProcess(start_in(tmp_path), "kept:0", lost)
        assert not opened_since(open_before)
        assert theirs.process.poll() is None
    finally:
        os.kill(theirs.process.pid, signal.SIGCONT)  # so that it ends with the test


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
