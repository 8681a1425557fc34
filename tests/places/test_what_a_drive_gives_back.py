"""What another machine is given back from a drive, where that was interrupted, or what lies there is torn or of two sessions."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from pathlib import Path

import pytest
from tests.places.test_a_drive_that_forgets import OnDrive

from outlast._system import observed, wary
from outlast.engine.care.repair import repair_study
from outlast.engine.record.examine import read_study
from outlast.errors import UsageError
from outlast.study import drive_home, snapshots
from outlast.study.home import tie
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.snapshots import Snapshots


@pytest.fixture
def drive(tmp_path: Path) -> OnDrive:
    return OnDrive(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(drive: OnDrive) -> dict[str, str]:
    return {f"ledger/{path.name}": path.read_text() for path in drive.live.ledger.glob("*.jsonl")}


def test_giving_back_that_is_cut_off_anywhere_leaves_nothing_that_the_next_try_believes(
    drive: OnDrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.live.splits.write_text('{"folds": 5}')
    drive.trial(0)
    drive.trial(1, None)
    drive.syncs(last=True)
    drive.purge()
    tie(drive.home, drive.live, drive=True)
    whole = contents(drive.live.root)
    for cut in itertools.count():
        drive.purge()
        seen = itertools.count()

        def torn(operation: str, path: str, **_: object) -> None:
            if operation in ("copy", "write") and next(seen) == cut:  # noqa: B023
                Path(path).write_bytes(b"{")
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(observed, "observer", torn)
            try:
                tie(drive.home, drive.live, drive=True)
                break
            except KeyboardInterrupt:
                pass
        tie(drive.home, drive.live, drive=True)
        assert contents(drive.live.root) == whole, cut
    assert cut > 5


def test_what_an_interrupted_try_took_from_another_history_is_not_mixed_in(drive: OnDrive) -> None:
    drive.trial(0)
    drive.syncs()
    before = told(drive)
    drive.purge()
    (drive.live.root / ".ledger.new").mkdir(parents=True)
    (drive.live.root / ".ledger.new/00000007.jsonl").write_text("of another\n")
    tie(drive.home, drive.live, drive=True)
    assert told(drive) == before


def test_a_torn_copy_of_the_splits_is_not_taken_where_a_snapshot_has_them(drive: OnDrive) -> None:
    drive.live.splits.write_text('{"folds": 5}')
    drive.trial(0)
    drive.syncs()
    drive.home.splits.write_text("{")
    drive.purge()
    tie(drive.home, drive.live, drive=True)
    assert drive.live.splits.read_text() == '{"folds": 5}'


def test_two_stories_of_different_lengths_are_refused(drive: OnDrive) -> None:
    drive.trial(0)
    drive.syncs()
    shutil.copytree(drive.live.ledger, drive.place / "before")
    stories = []
    for numbers in ((1,), (5, 6)):
        for number in numbers:
            drive.hold()
            drive.trial(number)
        stories.append(told(drive))
        shutil.rmtree(drive.live.ledger)
        shutil.copytree(drive.place / "before", drive.live.ledger)
    drive.purge()
    for story in stories:
        Snapshots(drive.home.snapshots).write(story, {})
    with pytest.raises(UsageError, match="at the same time"):
        tie(drive.home, drive.live, drive=True)
    assert not drive.live.ledger.exists()


@pytest.mark.parametrize("wrote_on", [False, True])
def test_what_lies_behind_a_seal_is_void_unless_it_was_written_after_that(
    drive: OnDrive, monkeypatch: pytest.MonkeyPatch, wrote_on: bool
) -> None:
    monkeypatch.setattr(drive_home, "later", lambda at: at)  # one clock
    drive.trial(0)
    before = told(drive)
    if not wrote_on:
        drive.trial(1)
        late = told(drive)
    other = drive.place / "other"
    other.mkdir()
    for name, text in before.items():
        (other / os.path.basename(name)).write_text(text)
    Ledger.claim(other)[0].close()
    if wrote_on:
        drive.trial(1)
        late = told(drive)
    went_on = {f"ledger/{path.name}": path.read_text() for path in other.glob("*.jsonl")}
    drive.purge()
    shutil.rmtree(drive.home.ledger)
    for story in (went_on, late):
        Snapshots(drive.home.snapshots).write(story, {})
    if wrote_on:
        with pytest.raises(UsageError, match="at the same time"):
            tie(drive.home, drive.live, drive=True)
    else:
        tie(drive.home, drive.live, drive=True)
        assert drive.finished() == {0}


@pytest.fixture
def torn_home(drive: OnDrive, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On the next machine: Drive has all snapshots, and a torn readable copy."""
    drive.trial(0)
    drive.syncs()
    home = drive.place / "content/drive/MyDrive/s"
    shutil.copytree(drive.home.root, home, symlinks=True)
    drive.purge()
    for path in (home / "ledger").glob("*.jsonl"):
        path.write_bytes(b"\0" * 64)
    monkeypatch.setenv("COLAB_GPU", "1")
    monkeypatch.setenv("OUTLAST_LOOK_BELOW", str(drive.place))
    return home


def test_a_home_with_a_torn_readable_copy_is_read_from_its_snapshots(drive: OnDrive, torn_home: Path) -> None:
    study = read_study(StudyPaths.at(torn_home))
    assert {number for number, trial in study.trials.items() if trial.state.finished} == {0}


def test_repair_makes_no_second_story_of_a_home_whose_snapshots_are_whole(torn_home: Path) -> None:
    before = contents(torn_home)
    with pytest.raises(UsageError, match="nothing is mended here"):
        repair_study(str(torn_home), check_only=False)
    assert contents(torn_home) == before
    shutil.rmtree(torn_home / "snapshots")
    assert repair_study(str(torn_home), check_only=True)


def test_a_snapshot_that_cannot_be_read_is_not_written_over(drive: OnDrive, monkeypatch: pytest.MonkeyPatch) -> None:
    drive.trial(0)
    drive.syncs()
    monkeypatch.setattr(wary, "_WAITS", ())
    before = contents(drive.home.snapshots)

    def failing(path: Path, mode: str) -> object:
        raise OSError(errno.EIO, "the drive", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "open", failing, raising=False)
        with pytest.raises(OSError, match="the drive"):
            Snapshots(drive.home.snapshots).write({}, {})
    assert contents(drive.home.snapshots) == before
