"""Home is whole at any moment, nothing finished is lost with scratch, and nothing goes backwards."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import optuna
import pytest
from msgspec.structs import replace

from outlast._system import observed
from outlast.client import newest_checkpoint
from outlast.core.fold import fold
from outlast.core.records import Warned
from outlast.core.states import TrialState
from outlast.engine.campaign.stop_campaign import stop_campaign
from outlast.engine.care.repair import repair_study
from outlast.engine.care.retry import retry_trials
from outlast.engine.hold.opening import open_study
from outlast.engine.record.examine import read_study
from outlast.engine.record.look_many import ManyLooker
from outlast.errors import LeaseLost, StudyBusy, StudyFileError, UsageError
from outlast.study.home import live_of, restore, tie
from outlast.study.homesync import HomeSync
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease, holder_is_live
from outlast.study.ledger import Ledger
from outlast.study.segments import read_ledger, segment_path
from outlast.testing.fault_injection import Faults


def texts(folder: Path) -> dict[str, bytes]:
    """Every file that is a promise, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not path.name.startswith(".")
        and path.name not in ("home.json", "study.db", "lease") and path.suffix != ".held"
        and "best_checkpoint" not in path.relative_to(folder).parts
        and "live" not in path.relative_to(folder).parts
    }  # fmt: skip


def assert_whole(home: StudyPaths) -> None:
    """Home can be read, and holds no trial that its ledger does not know."""
    read_study(home)


def test_what_is_new_goes_home_and_what_is_not_new_does_not(scratch):
    scratch.trial(0)
    sync = HomeSync(scratch.live, scratch.home)
    assert "trials/0000/trial.json" in sync.sync()
    assert sync.sync() == [] and HomeSync(scratch.live, scratch.home).sync() == []
    scratch.trial(1, 0.2)
    copied = sync.sync()
    assert not any(name.startswith("trials/0000") for name in copied)
    assert {"trials/0001/trial.json", "trials/0001/output.log", "trials.csv", "study.db"} <= set(copied)
    live, home = texts(scratch.live.root), texts(scratch.home.root)
    assert home == {name: text for name, text in live.items() if name != "trials/0001/checkpoints/last.pt"}


@pytest.mark.parametrize(
    ("now", "whole"),
    [("abc\ndef\n", False), ("ab", True), ("xyz\nabc\ndef\n", True)],
    ids=["grown", "shorter", "another"],
)
def test_of_what_kept_workers_print_only_what_is_new_goes_home(scratch, monkeypatch, now, whole):
    scratch.live.outputs.mkdir()
    log, home = scratch.live.outputs / "0.log", scratch.home.outputs / "0.log"
    sync = HomeSync(scratch.live, scratch.home)
    log.write_text("abc\n")
    sync.sync()
    log.write_text(now)
    before, seen = home.stat().st_ino, list[str]()
    monkeypatch.setattr(observed, "observer", lambda operation, path, **_: seen.append(operation))
    assert sync.sync() == ["output/0.log"]
    assert home.read_text() == now
    assert ("copy" in seen, home.stat().st_ino != before) == (whole, whole)


def test_where_nothing_changed_no_file_is_read_or_written(scratch, monkeypatch):
    for number in range(5):
        scratch.trial(number)
    sync = HomeSync(scratch.live, scratch.home)
    sync.sync()
    seen: list[str] = []
    monkeypatch.setattr(observed, "observer", lambda operation, path, **_: seen.append(f"{operation} {path}"))
    assert sync.sync() == [] and seen == []


def test_only_the_best_weights_are_kept_at_home(scratch):
    sync = HomeSync(scratch.live, scratch.home)
    scratch.trial(0, 0.5)
    sync.sync()
    assert (scratch.home.root / "best_checkpoint/last.pt").read_text() == "weights of trial 0, attempt 1"
    scratch.trial(1, 0.9)
    scratch.trial(2, 0.1)
    sync.sync()
    assert (scratch.home.root / "best_checkpoint/last.pt").read_text() == "weights of trial 1, attempt 1"
    assert [number for number in range(3) if scratch.home.trial(number).checkpoints.exists()] == [1]


def test_the_best_weights_are_at_home_before_the_tables_that_name_them(scratch):
    scratch.trial(0, 0.5)
    copied = HomeSync(scratch.live, scratch.home).sync()
    assert copied.index("trials/0000/checkpoints/") < copied.index("best_config.yaml")


def test_the_index_at_home_is_a_study_that_optuna_opens(scratch):
    scratch.trial(0, 0.25)
    HomeSync(scratch.live, scratch.home).sync()
    loaded = optuna.load_study(study_name="s", storage=f"sqlite:///{scratch.home.index}")
    assert [trial.value for trial in loaded.trials] == [0.25]


def test_after_a_purge_the_live_folder_comes_back_with_everything_that_was_finished(scratch):
    scratch.trial(0, 0.5)
    scratch.trial(1, 0.9)
    scratch.trial(2, None)
    HomeSync(scratch.live, scratch.home).sync()
    before = scratch.study
    scratch.purge()
    restore(scratch.live, scratch.home)
    assert restore(scratch.live, scratch.home) == []
    with open_study(scratch.live, scratch.settings) as opened:
        pass
    states = {number: trial.state for number, trial in opened.study.trials.items()}
    assert states == {0: TrialState.COMPLETE, 1: TrialState.COMPLETE, 2: TrialState.INTERRUPTED}
    assert opened.study.trials[1].values == before.trials[1].values
    assert (scratch.live.root / "best_checkpoint/last.pt").read_text() == "weights of trial 1, attempt 1"
    assert newest_checkpoint(str(scratch.live.trial(2).checkpoints)) is None  # it starts over


def test_files_that_are_there_are_never_overwritten_from_home(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    scratch.trial(1)
    before = texts(scratch.live.root)
    scratch.purge("trials.csv", "trials/0000")
    assert set(restore(scratch.live, scratch.home)) == {
        "trials.csv", "trials/0000/trial.json", "trials/0000/output.log", "trials/0000/checkpoints/last.pt"
    }  # fmt: skip
    after = texts(scratch.live.root)
    assert after.pop("trials.csv") != before.pop("trials.csv") and after == before


def test_a_trial_with_newer_checkpoints_of_its_own_gets_no_old_ones(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    os.rename(scratch.live.trial(0).checkpoints / "last.pt", scratch.live.trial(0).checkpoints / "newer.pt")
    restore(scratch.live, scratch.home)
    assert os.listdir(scratch.live.trial(0).checkpoints) == ["newer.pt"]


def test_a_purged_file_stays_at_home(scratch):
    scratch.trial(0)
    sync = HomeSync(scratch.live, scratch.home)
    sync.sync()
    before = texts(scratch.home.root)
    scratch.purge("trials/0000", "trials.csv", "best_checkpoint")
    sync.sync()
    assert texts(scratch.home.root) == before


def test_segments_come_home_up_to_their_seals_whoever_wrote_on_behind_them(scratch):
    scratch.trial(0)
    held_up = scratch.ledger
    scratch.hold()
    with pytest.raises(LeaseLost):
        held_up.append([Warned(scratch.study.created_at, "void")])
    with open(scratch.live.ledger / "00000002.jsonl", "a") as torn:
        torn.write('{"v": 1, "ev')
    HomeSync(scratch.live, scratch.home).sync()
    reading = read_ledger(scratch.home.ledger)
    assert [(segment.void, segment.torn, segment.short) for segment in reading.segments] == [(0, 0, 0)] * 2
    assert fold(reading.events).warnings == {}


def test_a_home_that_knows_more_than_the_live_folder_is_not_written(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    elsewhere, _ = Ledger.claim(scratch.home.ledger)  # somebody ran the study at home
    elsewhere.append([Warned(scratch.study.created_at, "here")])
    elsewhere.close()
    before = texts(scratch.home.root)
    scratch.hold()
    scratch.trial(1)
    with pytest.raises(UsageError, match="parted"):
        HomeSync(scratch.live, scratch.home).sync()
    with pytest.raises(UsageError, match="parted"):
        tie(scratch.home, scratch.live)
    assert texts(scratch.home.root) == before


def test_whoever_has_lost_the_study_writes_nothing_at_home(scratch):
    scratch.trial(0)
    mine = HomeSync(scratch.live, scratch.home, fence=scratch.ledger.check)
    mine.sync()
    before = texts(scratch.home.root)
    scratch.hold()
    scratch.trial(1)
    with pytest.raises(LeaseLost):
        mine.sync()
    assert texts(scratch.home.root) == before


def test_what_lies_at_home_stays_where_a_successor_cleared_away_what_was_to_replace_it(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    (scratch.live.trial(0).checkpoints / "last.pt").write_text("newer weights")
    making = scratch.home.trial(0).folder / ".checkpoints.new"
    cleared = []

    def passed() -> None:  # and right after it was asked another took over
        if making.exists():
            cleared.append(shutil.rmtree(making))

    HomeSync(scratch.live, scratch.home, fence=passed).sync()
    assert cleared and (scratch.home.root / "best_checkpoint/last.pt").read_text() == "weights of trial 0, attempt 1"


def steps(scratch) -> int:
    """How many operations a sync of what is new takes."""
    counter = Faults({})
    observed.observer = counter
    try:
        HomeSync(scratch.live, scratch.home).sync()
    finally:
        observed.observer = None
    return counter._count


class Cut(BaseException):
    """The process is gone."""


def cut_at(number: int, action) -> None:
    """Run it, but not beyond its n-th operation."""
    seen = 0

    def observer(*_: object, **__: object) -> None:
        nonlocal seen
        seen += 1
        if seen >= number:
            raise Cut

    observed.observer = observer
    try:
        with contextlib.suppress(Cut):
            action()
    finally:
        observed.observer = None


@pytest.mark.slow
def test_cut_off_at_any_step_of_a_sync_home_is_whole_and_the_next_sync_goes_on(scratch, tmp_path):
    scratch.trial(0, 0.1)
    HomeSync(scratch.live, scratch.home).sync()
    scratch.hold()
    scratch.trial(1, 0.9)
    scratch.trial(2, None)
    kept = tmp_path / "kept"
    shutil.copytree(scratch.home.root, kept, symlinks=True)
    total = steps(scratch)
    expected = texts(scratch.home.root)
    assert total > 30
    for number in range(1, total + 1):
        shutil.rmtree(scratch.home.root)
        shutil.copytree(kept, scratch.home.root, symlinks=True)
        cut_at(number, HomeSync(scratch.live, scratch.home).sync)
        assert_whole(scratch.home)
        fresh = StudyPaths.at(tmp_path / f"restored-{number}")  # scratch is purged right now
        restore(fresh, scratch.home)
        assert read_study(fresh).trials[0].values == (0.1,)
        assert (fresh.root / "best_checkpoint/last.pt").exists()
        HomeSync(scratch.live, scratch.home).sync()
        assert texts(scratch.home.root) == expected
        assert not [path for path in scratch.home.root.rglob(".*") if path.name != ".synced.json"]


@pytest.mark.slow
def test_cut_off_at_any_step_of_a_restore_it_goes_on(scratch, tmp_path):
    scratch.trial(0, 0.1)
    scratch.hold()
    scratch.trial(1, 0.9)
    HomeSync(scratch.live, scratch.home).sync()
    expected = texts(scratch.home.root)
    for number in range(1, 100):
        fresh = StudyPaths.at(tmp_path / f"restored-{number}")
        cut_at(number, lambda fresh=fresh: restore(fresh, scratch.home))
        done = texts(fresh.root) == expected
        if fresh.exists:
            assert "trials/0001/trial.json" in texts(fresh.root)  # the ledger is last
        restore(fresh, scratch.home)
        assert texts(fresh.root) == expected
        if done:
            break
    assert number > 20


def test_a_copy_of_the_code_comes_home_once_and_goes_back_with_all_that_is_hidden(scratch):
    copy = scratch.live.code / "0001"
    (copy / "jobs").mkdir(parents=True)
    for name in (".outlast-code.json", ".env", "jobs/train.py"):
        (copy / name).write_text(name)
    sync = HomeSync(scratch.live, scratch.home)
    assert "code/0001/" in sync.sync()
    (copy / "jobs/output.txt").write_text("made by a trial")
    assert sync.sync() == []
    scratch.purge("code")
    assert restore(scratch.live, scratch.home) == [
        "code/0001/.env",
        "code/0001/jobs/train.py",
        "code/0001/.outlast-code.json",
    ]


def test_a_trial_that_is_being_put_away_comes_home_when_that_is_done(scratch):
    scratch.trial(0)
    attempts = scratch.live.trial(0).attempts
    attempts.mkdir()
    sync = HomeSync(scratch.live, scratch.home)
    sync.sync()
    assert not scratch.home.trial(0).record.exists()
    attempts.rmdir()
    assert "trials/0000/output.log" in sync.sync()


def test_a_retried_trial_comes_home_again(scratch):
    scratch.trial(0, 0.1)
    sync = HomeSync(scratch.live, scratch.home)
    sync.sync()
    scratch.retry(0)
    sync.sync()
    assert_whole(scratch.home)
    scratch.trial(0, 0.7, attempt=2)
    sync.sync()
    assert read_study(scratch.home).trials[0].values == (0.7,)
    assert "attempt 2" in (scratch.home.root / "best_checkpoint/last.pt").read_text()


def test_the_error_of_a_trial_that_was_retried_and_completed_does_not_stay_at_home(scratch):
    scratch.trial(0)
    error = "trials/0000/error.log"
    (scratch.home.root / error).parent.mkdir(parents=True)
    (scratch.home.root / error).write_text("as it failed before")
    assert error in HomeSync(scratch.live, scratch.home).sync()
    assert not (scratch.home.root / error).exists()


def test_home_and_live_folder_find_each_other_also_when_home_was_moved(scratch, tmp_path):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    assert live_of(scratch.home.root) == str(scratch.live.root)
    shutil.copytree(scratch.home.root, tmp_path / "copy", symlinks=True)
    assert live_of(tmp_path / "copy") == str(tmp_path / "copy")  # the original is still there
    os.rename(scratch.home.root, tmp_path / "moved")
    assert live_of(tmp_path / "moved") == str(scratch.live.root)
    scratch.purge()
    assert live_of(tmp_path / "moved") == str(tmp_path / "moved")


def test_a_live_folder_serves_one_home(scratch, tmp_path):
    with pytest.raises(UsageError, match="is the live folder of"):
        tie(StudyPaths.at(tmp_path / "other"), scratch.live)


@pytest.mark.parametrize("given", ["relative", 7, "$NO_SUCH_VARIABLE/x"])
def test_scratch_is_an_absolute_path(scratch, given, monkeypatch):
    from outlast.engine.check.machine import scratch_of

    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(StudyFileError, match="absolute path"):
        scratch_of(replace(scratch.settings, slurm={"scratch": given}))


def test_a_study_that_is_being_run_at_home_is_not_taken_to_scratch(scratch, tmp_path):
    from outlast.engine.launch import live_folder

    with (
        open_study(StudyPaths.at(tmp_path / "at-home"), scratch.settings),
        pytest.raises(StudyBusy, match="not on scratch"),
    ):
        live_folder(
            str(tmp_path / "at-home"),
            replace(scratch.settings, slurm={"scratch": str(tmp_path / "x")}),
        )


def test_nobody_holds_a_home_nor_what_was_restored_from_it(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    assert holder_is_live(scratch.home.ledger) is False
    scratch.purge()
    tie(scratch.home, scratch.live)
    assert holder_is_live(scratch.live.ledger) is False


def test_a_segment_that_another_host_has_superseded_unseen_is_no_sign_that_nobody_is_there(scratch):
    (held,) = scratch.live.ledger.glob("*.held")
    held.unlink()
    assert holder_is_live(scratch.live.ledger) is None


def test_a_restored_folder_on_a_shared_filesystem_is_taken_at_once(scratch, monkeypatch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    scratch.purge()
    tie(scratch.home, scratch.live)
    monkeypatch.setattr("outlast.study.segments.is_shared", lambda _: True)
    monkeypatch.setattr("outlast.study.segments.time.sleep", lambda _: pytest.fail("it waits"))
    lease = Lease(scratch.live.lease)
    lease.acquire()
    lease.release()
    assert lease.take_if_free()
    lease.release()


def test_a_trial_that_is_retried_at_home_after_a_purge_is_retried_on_scratch(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    scratch.purge()
    assert retry_trials(str(scratch.home.root), [0]) == ([0], False)
    tie(scratch.home, scratch.live)
    assert scratch.study.trials[0].state is TrialState.INTERRUPTED


def test_a_live_folder_that_was_repaired_still_comes_home(scratch):
    scratch.trial(0)
    HomeSync(scratch.live, scratch.home).sync()
    scratch.ledger.close()
    segment = segment_path(scratch.live.ledger, 1)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:-1], b"garbage\n"]))
    repair_study(str(scratch.live.root), check_only=False)
    tie(scratch.home, scratch.live)
    HomeSync(scratch.live, scratch.home).sync()
    assert read_study(scratch.home).trials == scratch.study.trials
    assert scratch.study.trials[0].value == 0.5


def test_among_others_it_is_looked_at_and_stopped_where_it_runs(scratch):
    HomeSync(scratch.live, scratch.home).sync()
    scratch.trial(0)
    (found,) = ManyLooker(scratch.home.root.parent).look().sights
    assert found.snapshot is not None
    assert (found.name, found.folder, found.snapshot.counted) == ("s", str(scratch.live.root), 1)
    scratch.ledger.close()
    (said,) = stop_campaign(str(scratch.home.root.parent))
    assert str(scratch.live.root) in said
