"""A home on a drive that loses, tears or gives back late what was written: the study goes on from what is whole there."""

from __future__ import annotations

import errno
import os
import random
import shutil
from pathlib import Path

import pytest
from tests.scratch.conftest import OnScratch

from lab.drive_mount import FATES, meet
from outlast._system import wary
from outlast.core.fold import fold
from outlast.core.states import TrialState
from outlast.engine.record.examine import examine
from outlast.errors import UsageError
from outlast.study.drive_home import histories
from outlast.study.home import tie
from outlast.study.homesync import HomeSync
from outlast.study.segments import read_ledger
from outlast.study.snapshots import Snapshots, read_snapshots
from outlast.study.unfinished import give_back


class OnDrive(OnScratch):
    """A study whose home is a folder of a session's; the cloud has what was uploaded."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.place, self.cloud, self.told = place, place / "cloud", [""]
        tie(self.home, self.live, drive=True)
        self.syncs()

    def syncs(self, *, last: bool = False) -> None:
        self.sync.sync(last=last)

    @property
    def sync(self) -> HomeSync:
        if not hasattr(self, "_sync"):
            self._sync = HomeSync(self.live, self.home)
        return self._sync

    def finished(self) -> set[int]:
        return {trial.number for trial in self.study.trials.values() if trial.state.finished}

    def upload(self) -> None:
        """The cloud has everything."""
        shutil.rmtree(self.cloud, ignore_errors=True)
        shutil.copytree(self.home.root, self.cloud, symlinks=True)

    def lose(self, chance: random.Random) -> None:
        """The session is gone, with its disk and what was half uploaded; the next one sees the cloud."""
        for path in sorted(self.home.root.rglob("*")):
            there = self.cloud / path.relative_to(self.home.root)
            if path.is_file() and not (there.exists() and there.read_bytes() == path.read_bytes()):
                there.parent.mkdir(parents=True, exist_ok=True)
                meet(chance.choice(FATES), path.read_bytes(), there, chance)
        for path in (self.home.root, self.live.root):
            shutil.rmtree(path)
        shutil.copytree(self.cloud, self.home.root, symlinks=True)
        del self._sync

    def resume(self) -> None:
        """Another machine takes it up."""
        self.told = tie(self.home, self.live, drive=True)
        self.hold()
        self.syncs()


@pytest.fixture
def drive(tmp_path: Path) -> OnDrive:
    return OnDrive(tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_what_was_uploaded_is_never_lost_whatever_becomes_of_the_rest(tmp_path: Path, seed: int) -> None:
    chance, study, number = random.Random(seed), OnDrive(tmp_path), 0
    for _ in range(3):
        safe: set[int] = set()
        study.upload()
        for _ in range(chance.randrange(1, 5)):
            study.trial(number)
            number += 1
            study.syncs()
            if chance.random() < 0.4:
                study.upload()
                safe = study.finished()
        known = study.finished()
        study.lose(chance)
        study.resume()
        found = study.finished()
        assert safe <= found <= known and not examine(study.live).lost, (seed, study.told)
        number = max(study.study.trials, default=-1) + 1


def test_a_torn_newest_falls_back_to_the_one_before_and_says_so(drive: OnDrive) -> None:
    drive.trial(0)
    drive.syncs()
    drive.trial(1)
    drive.syncs()
    newest = max(read_snapshots(drive.home.snapshots)[0], key=lambda each: each.number)
    (path,) = [
        p for p in drive.home.snapshots.iterdir() if f'"number": {newest.number},'.encode() in p.read_bytes()[:200]
    ]
    path.write_bytes(path.read_bytes()[:-20])
    shutil.rmtree(drive.home.ledger)
    drive.purge()
    del drive._sync
    drive.resume()
    assert drive.finished() == {0} and path.name in drive.told[0] and "with 1 finished trial" in drive.told[0]
    assert not drive.live.trial(1).folder.exists()  # its record came home, and no decision about it


def test_a_drive_of_which_nothing_is_whole_is_refused_and_left_alone(drive: OnDrive) -> None:
    for path in [*drive.home.snapshots.iterdir(), *drive.home.ledger.iterdir()]:
        path.write_bytes(b"\0" * 100)
    drive.purge()
    with pytest.raises(UsageError, match=r"nothing of the study in .* is whole"):
        tie(drive.home, drive.live, drive=True)
    assert not drive.live.ledger.exists()


def test_two_sessions_at_once_are_noticed_by_the_later_writer_and_by_the_next_reader(
    drive: OnDrive, tmp_path: Path
) -> None:
    drive.trial(0)
    drive.syncs()
    other = Snapshots(drive.home.snapshots)
    other._since = "2020-01-01T00:00:00.000+00:00"  # it began long ago, and sees what came since
    with pytest.raises(UsageError, match="another session brings this study home"):
        other.write({}, {})


def test_two_stories_on_one_drive_are_refused(drive: OnDrive) -> None:
    drive.trial(0)
    drive.syncs()
    stories = []
    for number in (1, 2):  # each goes on from the same beginning
        shutil.copytree(drive.live.ledger, drive.place / "before", dirs_exist_ok=True)
        drive.hold()
        drive.trial(number)
        stories.append({f"ledger/{path.name}": path.read_text() for path in drive.live.ledger.glob("*.jsonl")})
        shutil.rmtree(drive.live.ledger)
        (drive.place / "before").rename(drive.live.ledger)
    drive.purge()
    for story in stories:
        Snapshots(drive.home.snapshots).write(story, {})
    with pytest.raises(UsageError, match="at the same time"):
        tie(drive.home, drive.live, drive=True)
    assert not drive.live.ledger.exists()


def test_the_checkpoints_of_a_trial_without_an_outcome_come_back_and_a_torn_copy_does_not(drive: OnDrive) -> None:
    drive.trial(0, None)
    drive.trial(1)
    first = drive.live.trial(0).checkpoints / "last.pt"
    drive.syncs(last=True)
    first.write_text("newer weights")
    drive.syncs(last=True)
    assert sorted(p.name for p in (drive.home.unfinished / "0000").iterdir()) == ["0", "1"]
    (drive.home.unfinished / "0000/1/last.pt").write_text("newer wei")  # whichever is the newer
    (drive.home.unfinished / "0000/0/last.pt").chmod(0o644)
    drive.purge()
    del drive._sync
    drive.resume()
    assert first.read_text() in ("weights of trial 0, attempt 1", "newer weights")
    assert not (drive.home.unfinished / "0001").exists() and drive.study.trials[0].state is TrialState.INTERRUPTED


def test_checkpoints_of_a_trial_that_began_while_a_sync_ran_wait_until_the_ledger_at_home_knows_it(
    drive: OnDrive,
) -> None:
    def begins() -> None:
        if 0 not in drive.study.trials:
            drive.trial(0, None)

    drive.sync._fence = begins  # asked before anything is written, and after the ledger was read
    drive.trial(1)
    drive.syncs(last=True)
    assert 0 in drive.study.trials and not (drive.home.unfinished / "0000").exists()
    drive.syncs(last=True)
    assert (drive.home.unfinished / "0000").exists()
    assert 0 in fold(histories(drive.home)[0][0].reading.events).trials


def test_an_older_copy_of_checkpoints_is_taken_where_the_newer_is_torn_and_none_where_both_are(drive: OnDrive) -> None:
    drive.trial(0, None)
    drive.syncs(last=True)
    path = drive.live.trial(0).checkpoints / "last.pt"
    path.write_text("newer weights")
    drive.syncs(last=True)
    kept = drive.home.unfinished / "0000"
    newer = next(place for place in ("0", "1") if (kept / place / "last.pt").read_text() == "newer weights")
    into = drive.place / "back"
    assert give_back(drive.home, 0, into) == 1 and (into / "last.pt").read_text() == "newer weights"
    assert (into / "last.pt").stat().st_mtime_ns == path.stat().st_mtime_ns
    (kept / newer / "last.pt").write_text("newer")
    assert give_back(drive.home, 0, other := drive.place / "other") == 1
    assert (other / "last.pt").read_text() == "weights of trial 0, attempt 1"
    (kept / newer / "list.json").unlink()
    for each in kept.rglob("list.json"):
        each.write_text("{}")
    assert give_back(drive.home, 0, drive.place / "none") is None


def test_the_checkpoints_of_a_kept_trial_which_has_no_attempt_of_its_own_come_home_as_well(drive: OnDrive) -> None:
    drive.trial(0, None)
    shutil.rmtree(drive.live.trial(0).attempts)
    drive.syncs(last=True)
    assert give_back(drive.home, 0, drive.place / "back", drive.live.trial(0).attempt(1)) == 1
    assert not drive.live.trial(0).attempts.exists(), "its worker's end is its evidence"


def test_what_the_drive_does_not_hold_as_written_is_an_error_and_not_known(drive: OnDrive, monkeypatch) -> None:
    drive.trial(0)
    honest = wary.digest_of
    monkeypatch.setattr(wary, "digest_of", lambda path: honest(path) if "snapshots" not in str(path) else "stale")
    with pytest.raises(OSError, match="does not hold what was written"):
        drive.syncs()
    monkeypatch.undo()
    drive.syncs()
    assert histories(drive.home)[0][0].reading.events == read_ledger(drive.live.ledger).events


def test_an_unmounted_drive_is_not_written_beside(drive: OnDrive) -> None:
    drive.trial(0)
    kept = drive.home.root.rename(drive.place / "unmounted")
    with pytest.raises(OSError) as caught:
        drive.syncs()
    assert caught.value.errno == errno.ENOTCONN and not drive.home.root.exists()
    kept.rename(drive.home.root)
    drive.syncs()
    assert os.path.exists(drive.home.trial(0).record)
