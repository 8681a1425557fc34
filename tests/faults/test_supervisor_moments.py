"""A runner's supervisor at single moments, with nothing that trains: what it leaves to be heard, and what it sees at the end."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from outlast._system.capped_log import CappedLog
from outlast._system.clock import Clock
from outlast._system.line_socket import LineSocket
from outlast._system.locks import DIRECTORY_VARIABLE, FileLock
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.session import CaptureSession
from outlast.runner.lane import Lane
from outlast.runner.points_told import PointsTold
from outlast.runner.spec import RunnerSpec
from outlast.runner.supervise import Supervisor

Make = Callable[..., Supervisor]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "locks"))
    spec = RunnerSpec(
        trial=0, attempt=1, argv=("true",), cwd=str(tmp_path), trial_dir="trials/0000", attempt_dir="trials/0000/attempts/1",
        checkpoint_dir="checkpoints", objectives=({"name": "score"},),
    )  # fmt: skip

    locks: list[FileLock] = []

    def begun(lane: Lane | None = None, *, shared: bool = False) -> Supervisor:
        folder = tmp_path / spec.attempt_dir
        folder.mkdir(parents=True)
        (tmp_path / spec.checkpoint_dir).mkdir()
        (folder / "started.json").touch()
        lock = FileLock(str(folder / "alive"), shared=lambda *_: shared)
        assert lock.acquire()
        made = Supervisor(tmp_path, spec, lock, lane=lane, new_folder=True)
        made.log = CappedLog(str(made.files.log))
        made.capture = CaptureSession(
            [Objective.from_json(each) for each in spec.objectives], trial=0, trial_dir=tmp_path / spec.trial_dir,
            attempt_dir=folder, working_directory=tmp_path,
        )  # fmt: skip
        made._points = PointsTold(made.capture, lane, Clock())
        made.training = cast(Any, None)
        locks.append(lock)
        return made

    yield begun
    for lock in locks:
        lock.close()


def test_a_full_disk_of_checkpoints_is_seen_although_their_folder_goes_as_empty(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, statvfs = tmp_path / "checkpoints", os.statvfs

    def full(place: str | os.PathLike[str]) -> os.statvfs_result:
        found = statvfs(place)  # raises where there is nothing any more
        return os.statvfs_result((*found[:4], 0, *found[5:])) if Path(place) == checkpoints else found

    monkeypatch.setattr(os, "statvfs", full)
    evidence = make()._evidence(1)
    assert evidence.disk_full and not evidence.saved
    assert not checkpoints.exists()


def test_a_request_to_stop_that_comes_in_the_first_tick_need_not_wait_for_the_next_look(make: Make) -> None:
    ours, theirs = socket.socketpair()
    coordinator, lane = LineSocket(ours), Lane(theirs.detach())
    coordinator.say({"op": "run", "name": "0000.1", "marker": "m", "log": "l", "told": "{}", "fds": []})
    assert lane.next()
    one = make(lane, shared=True)
    lane.say("claimed", claim={}, soon=True)
    coordinator.say({"op": "stop", "name": "0000.1", "reason": "user", "grace": 1.0})
    assert one._tick()
    assert [message["op"] for message in coordinator.heard()] == ["claimed"]
    assert one._stopping.reason or select.select([lane], [], [], 0)[0], "it is in force, or wakes whoever waits"
    coordinator.close()
    assert lane.next() is None
