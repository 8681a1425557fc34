"""A disk without room pauses the study: no trial is to blame, and the same command goes on once there is room again."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.faults import FaultLab
from outlast._system import observed
from outlast.core.states import Cause, TrialState
from outlast.engine.coordinator import disk_guard as room
from outlast.engine.coordinator import round as decisions
from outlast.study.layout import StudyPaths

pytestmark = pytest.mark.slow
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a filesystem in memory with these options; where that is not permitted, injected faults are what there is."""
    place = tmp_path / "disk"

    def mounted(options: str) -> Path:
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
        return place

    yield mounted
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def lab_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[Path], FaultLab]]:
    made: list[FaultLab] = []

    def make(place: Path) -> FaultLab:
        made.append(FaultLab(place / "here", monkeypatch, capsys))
        return made[-1]

    yield make
    monkeypatch.chdir(tmp_path)
    for each in made:
        each.end()


def state_of(lab: FaultLab) -> str:
    return str(json.loads(lab.outlast("status", str(lab.folder), "--json"))["state"])


@pytest.mark.parametrize(
    ("options", "fault", "rubbish"),
    [("size=48m", "fill_the_disk", "weights.bin"), ("size=48m,nr_inodes=600", "use_up_inodes", "shard-*")],
    ids=["no space", "no inodes"],
)
def test_a_training_that_fills_the_disk_pauses_the_study(
    mount: Mount, lab_on: Callable[[Path], FaultLab], options: str, fault: str, rubbish: str
) -> None:
    lab = lab_on(mount(options))
    lab.write_study_file(fault, [2], times=1)
    said = lab.run(code=4)
    assert "paused" in said and "No trial is to blame" in said
    study = lab.study()
    assert study.counts()[TrialState.FAILED] == 0
    assert study.ended is not None and study.ended.state == "paused", said
    assert state_of(lab) == "paused"
    assert lab.causes(2) == ["disk_full"], lab.trial(2).reason
    lab.check_no_orphans()
    for file in lab.paths.trials.glob(f"*/checkpoints/{rubbish}"):
        file.unlink()
    lab.run()
    lab.check({})


def test_a_study_on_a_disk_without_room_pauses_before_it_starts_anything(
    mount: Mount, lab_on: Callable[[Path], FaultLab]
) -> None:
    place = mount("size=48m")
    lab = lab_on(place)
    lab.write_study_file("crash", [])
    rubbish = place / "rubbish"
    rubbish.write_bytes(b"\0" * (48 * 2**20 - 400 * 1024))
    said = lab.run(code=4)
    assert "MB are free" in said
    assert lab.study().trials == {}
    rubbish.unlink()
    lab.run()
    lab.check({})


def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(
    mount: Mount, lab_on: Callable[[Path], FaultLab]
) -> None:
    place = mount("size=16m")
    lab = lab_on(place)
    lab.write_study_file("crash", [])
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    assert "cannot be written" in lab.run(code=2)
    assert not lab.folder.exists()


@pytest.fixture
def unattended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As under nohup; and whatever waits for room is quick."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(decisions, "_ROOM_AGAIN", 0.2)
    monkeypatch.setattr(room, "_TRY_EVERY", 0.2)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("unattended")
def test_an_unattended_search_waits_for_room_and_goes_on_by_itself(
    mount: Mount, lab_on: Callable[[Path], FaultLab], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = mount("size=48m")
    lab = lab_on(place)
    lab.write_study_file("crash", [])
    rubbish = place / "rubbish"
    rubbish.write_bytes(b"\0" * (48 * 2**20 - 400 * 1024))
    seen, look = threading.Event(), room.lacking_space

    def looked(paths: StudyPaths) -> str | None:
        if found := look(paths):
            seen.set()
        return found

    monkeypatch.setattr(room, "lacking_space", looked)

    def make_room() -> None:
        assert seen.wait(120)
        rubbish.unlink()

    helper = threading.Thread(target=make_room)
    helper.start()
    said = lab.run()
    helper.join()
    assert "MB are free" in said and "goes on by itself" in said and "there is room again" in said
    study = lab.study()
    assert study.runs == 1 and study.ended is not None and study.ended.state == "done"
    lab.check({})


# Without a filesystem of our own: the same refusals, injected.


def inject(lab: FaultLab, plan: dict[str, object] | None) -> None:
    lab.monkeypatch.setattr(observed, "observer", None)
    lab.monkeypatch.setenv("OUTLAST_OBSERVER", "outlast.testing.fault_injection:install_from_environment")
    lab.monkeypatch.setenv("OUTLAST_FAULTS", "" if plan is None else json.dumps(plan))


def test_the_ledger_has_room_in_reserve_to_say_that_the_study_is_paused(lab: FaultLab) -> None:
    lab.write_study_file("crash", [])
    inject(lab, {"role": "coordinator", "fail_on": {"op": "append", "path": "*/ledger/*", "nth": 4, "errno": 28}})
    said = lab.run(code=4)
    assert "No space left on device" in said
    assert state_of(lab) == "paused"
    inject(lab, None)
    lab.run()
    lab.check({})
    assert not (lab.paths.ledger / ".reserve").exists()


def test_a_ledger_that_cannot_be_written_at_all_loses_nothing(lab: FaultLab) -> None:
    lab.write_study_file("crash", [])
    plan = {"op": "append", "path": "*/ledger/*", "nth": 4, "times": 1000, "errno": 122}
    inject(lab, {"role": "coordinator", "fail_on": plan})
    said = lab.run(code=4)
    assert "quota" in said and "the same command again" in said
    inject(lab, None)
    lab.run()
    lab.check({})


def test_a_folder_that_becomes_read_only_blames_no_trial(lab: FaultLab) -> None:
    lab.write_study_file("crash", [])
    plan = {"op": "append", "path": "*/ledger/*", "nth": 4, "times": 1000, "errno": 30}
    inject(lab, {"role": "coordinator", "fail_on": plan})
    said = lab.run(code=1)
    assert "Read-only file system" in said and "the same command again" in said
    inject(lab, None)
    lab.run()
    lab.check({})


def test_evidence_is_written_from_the_reserve_where_there_is_no_room_for_it(lab: FaultLab) -> None:
    lab.write_study_file("crash", [2])
    lasting = ["sh", "-c", 'sleep 0.15; exec "$@"', "sh"]  # a shorter one's evidence need not be written
    lab.settings["command"] = [*lasting, *lab.settings["command"]]
    lab.write()
    done = lab.folder.parent / "operations"
    inject(lab, {"role": "runner", "fail_on": {"op": "write", "path": "*exit.json*", "errno": 28}, "record": str(done)})
    lab.run()
    lab.check({2: (TrialState.FAILED, Cause.CRASH)})
    assert "exit.json" in done.read_text(), "no trial lasted long enough to leave its evidence"


def test_a_script_that_meets_a_full_disk_elsewhere_pauses_the_study_as_well(lab: FaultLab) -> None:
    lab.write_study_file("no_space", [2], times=1)
    assert "No space left on device: 'model.pt'" in lab.run(code=4)
    lab.run()
    lab.check({})
    assert lab.causes(2) == ["disk_full", "completed"]


@pytest.mark.usefixtures("unattended")
def test_an_unattended_search_outlives_a_ledger_without_any_room(lab: FaultLab) -> None:
    lab.write_study_file("crash", [])
    plan = {"op": "append", "path": "*/ledger/*", "nth": 4, "times": 4, "errno": 122}
    inject(lab, {"role": "coordinator", "fail_on": plan})
    said = lab.run()
    assert "waiting for room" in said
    lab.check({})


@pytest.mark.usefixtures("unattended")
def test_an_unattended_search_goes_on_after_a_script_met_a_full_disk(lab: FaultLab) -> None:
    lab.write_study_file("no_space", [2], times=1)
    assert "there is room again" in lab.run()
    lab.check({})
    assert lab.causes(2) == ["disk_full", "completed"] and lab.study().runs == 1
