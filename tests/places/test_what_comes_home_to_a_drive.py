"""What comes home to a drive: whatever lies there or among the weights, once, and said where it does not."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from tests.places.test_a_drive_that_forgets import OnDrive

from outlast._system import wary
from outlast.engine.derived.home_sync import HomeSyncThread, bring_home
from outlast.study import homesync, unfinished
from outlast.study.home import tie
from outlast.study.snapshots import read_snapshots


@pytest.fixture
def drive(tmp_path: Path) -> OnDrive:
    return OnDrive(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_a_drive_adds_beside_the_checkpoints_is_passed_over(drive: OnDrive) -> None:
    drive.trial(0, None)
    drive.syncs(last=True)
    for name in ("0000 (1)", "desktop.ini"):
        (drive.home.unfinished / name).mkdir()
    drive.trial(1, None)
    drive.syncs(last=True)
    assert (drive.home.unfinished / "0001").is_dir()


def test_trouble_that_nobody_foresaw_is_said_and_ends_no_thread(drive: OnDrive) -> None:
    def broken() -> None:
        raise ValueError("no such thing")

    warnings: list[str] = []
    thread = HomeSyncThread(drive.live, drive.home, warnings, fence=broken)
    drive.trial(0)
    assert thread._synced(last=False) and "ValueError: no such thing" in warnings[0]


def test_links_among_checkpoints_come_home_to_a_drive_without_links(
    drive: OnDrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.trial(0)
    weights = drive.live.trial(0).checkpoints
    (weights / "step-1").mkdir()
    (weights / "step-1/w").write_text("w")
    for name, target in {"best.pt": "last.pt", "latest": "step-1", "gone": "nothing"}.items():
        os.symlink(target, weights / name)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSYS, "no links")

    with monkeypatch.context() as patched:
        patched.setattr(os, "symlink", refused)
        drive.syncs(last=True)
    home = drive.home.trial(0).checkpoints
    assert sorted(os.listdir(home)) == ["best.pt", "last.pt", "step-1"]
    assert not (home / "best.pt").is_symlink() and (home / "best.pt").read_text() == (weights / "last.pt").read_text()


def test_links_to_folders_come_back_where_the_drive_has_links(drive: OnDrive) -> None:
    drive.trial(0)
    weights = drive.live.trial(0).checkpoints
    (weights / "step-1").mkdir()
    (weights / "step-1/w").write_text("w")
    os.symlink("step-1", weights / "latest")
    drive.syncs(last=True)
    drive.purge()
    assert not any("left out" in line for line in tie(drive.home, drive.live, drive=True))
    assert os.readlink(weights / "latest") == "step-1" and (weights / "latest/w").read_text() == "w"


def test_weights_that_cannot_be_copied_are_said_and_keep_nothing_else_from_home(drive: OnDrive) -> None:
    drive.trial(0)
    os.mkfifo(drive.live.trial(0).checkpoints / "pipe")
    drive.syncs(last=True)  # they may have changed meanwhile
    drive.trial(1, None)
    with pytest.raises(OSError, match="named pipe"):
        drive.syncs(last=True)
    assert (drive.home.unfinished / "0001").is_dir() and (drive.home.root / ".synced.json").exists()
    assert not drive.home.trial(0).checkpoints.with_name(".checkpoints.new").exists()


def test_a_last_sync_that_was_not_waited_for_has_no_second_one_beside_it(drive: OnDrive) -> None:
    drive.trial(0)
    held_up, gate = threading.Event(), threading.Event()

    def fence() -> None:
        held_up.set()
        assert gate.wait(60)

    thread = HomeSyncThread(drive.live, drive.home, [], fence=fence)
    thread.start()
    try:
        assert held_up.wait(60)
        thread.close(0.0)
        before = contents(drive.home.root)
        assert "does not have all of it yet" in (bring_home(drive.live) or "")
        assert contents(drive.home.root) == before
    finally:
        gate.set()
        thread._thread.join(60)
    assert not thread._thread.is_alive() and bring_home(drive.live) is None


def test_a_snapshot_tells_of_the_weights_that_are_there(drive: OnDrive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.trial(0)
    drive.syncs(last=True)
    (drive.live.trial(0).checkpoints / "last.pt").write_text("newer")

    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "the drive", str(target))

    with monkeypatch.context() as patched:
        patched.setattr(homesync, "rename", refused)
        for number in (1, 2):
            drive.trial(number, 0.1)
            with pytest.raises(OSError, match="the drive"):
                drive.syncs(last=True)
    name = "trials/0000/checkpoints/last.pt"
    assert wary.digest_of(drive.home.root / name) == read_snapshots(drive.home.snapshots)[0][0].sums[name]


def test_checkpoints_that_are_too_large_to_be_brought_are_said_once(
    drive: OnDrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "LARGEST", 3)
    drive.trial(0, None)
    warnings: list[str] = []
    thread = HomeSyncThread(drive.live, drive.home, warnings)
    assert thread._synced(last=True) and thread._synced(last=True)
    assert len(warnings) == 1 and warnings[0].startswith("trial 0: its checkpoints are too large")
