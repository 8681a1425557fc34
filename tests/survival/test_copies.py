"""A study folder that is copied, moved or archived opens elsewhere; a finished trial costs few files."""

from __future__ import annotations

import os
import shutil
import signal
import tarfile
from collections.abc import Callable

import pytest

from lab.survival import Lab, verify
from lab.waiting import until, wait_gone
from outlast._system.processes import identity_of

pytestmark = pytest.mark.slow


def test_a_folder_copied_while_it_runs_finishes_elsewhere_and_leaves_the_original_alone(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab, copy = make_lab(seconds=0.1, parallel=2, trials=5), make_lab("copy", seconds=0.1, parallel=2, trials=5)
    lab.hold(2, 1)
    run = lab.start()
    lab.wait_for_epoch(2, 1)
    copy.copy_from(lab)
    lab.let_go(2)
    copy.leave_out_what_came_later()
    copied = copy.study().in_state(*{t.state for t in copy.study().trials.values() if not t.state.finished})
    assert copied
    copy.run()
    assert run.wait() == 0
    assert verify(lab, reference, trials=5, interruptions=0).faults == []
    assert all(len(trial.attempts) == 1 for trial in lab.study().trials.values())
    shutil.rmtree(copy.folder / "study.db", ignore_errors=True)
    assert verify(copy, reference, trials=5, interruptions=2, set_aside=True).faults == []


def test_a_live_folder_s_copy_is_not_taken_for_live(make_lab: Callable[..., Lab]) -> None:
    lab, copy = make_lab(seconds=0.1), make_lab("copy")
    lab.hold(0, 1)
    run = lab.start()
    lab.wait_for_epoch(0, 1)
    copy.copy_from(lab)
    assert "nothing runs" in copy.run("stop", "studies/lab").said
    assert run.poll() is None
    assert "running" in lab.run("status", "studies/lab").said
    run.kill()


def test_an_archived_folder_is_unpacked_elsewhere_and_goes_on(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab, there = make_lab(seconds=0.1), make_lab("there", seconds=0.1)
    lab.hold(1, 1)
    run = lab.start()
    lab.wait_for_epoch(1, 1)
    runner = lab.runner_of(1, 1)
    run.kill()
    os.kill(runner, signal.SIGKILL)
    wait_gone(runner)
    archive = lab.place / "studies.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(lab.place / "studies", "studies")
        tar.add(lab.place / "audit.jsonl", "audit.jsonl")
    shutil.rmtree(lab.folder)
    with tarfile.open(archive) as tar:
        tar.extractall(there.place)  # our own
    there.run()
    assert verify(there, reference, trials=3, interruptions=1).faults == []


def test_a_moved_folder_goes_on_under_its_new_name(make_lab: Callable[..., Lab], reference: dict[int, float]) -> None:
    lab = make_lab()
    lab.run()
    elsewhere = lab.place / "studies" / "moved"
    os.rename(lab.folder, elsewhere)
    lab.run("run", "studies/moved", "--trials", "4")
    os.rename(elsewhere, lab.folder)
    assert verify(lab, reference, trials=4, interruptions=0).faults == []


def test_a_training_whose_folder_is_moved_away_stops_and_goes_on_there(
    make_lab: Callable[..., Lab], reference: dict[int, float]
) -> None:
    lab = make_lab(seconds=0.2, epochs=5)
    lab.hold(0, 2)
    first = lab.start()
    training = lab.wait_for_epoch(0, 2)["pid"]
    first.kill()
    moved = lab.place / "studies" / "moved"
    os.rename(lab.folder, moved)
    lab.let_go(0)
    until(lambda: identity_of(training) is None, "the training ends")
    assert not lab.folder.exists() or not any(lab.folder.rglob("exit.json"))
    shutil.rmtree(lab.folder, ignore_errors=True)  # what the training itself may have made under the old name
    lab.run("run", "studies/moved")
    os.rename(moved, lab.folder)
    assert verify(lab, reference, trials=3, interruptions=1).faults == []


def test_a_finished_trial_costs_at_most_four_inodes_besides_its_checkpoints(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(seconds=0.05, fail_below=0.2, trials=3, trial={"retries": 1})
    lab.hold(0, 1)
    run = lab.start()
    os.kill(
        lab.wait_for_epoch(0, 1)["pid"], signal.SIGKILL
    )  # a complete trial with two attempts; trial 1 will fail twice
    lab.let_go(0)
    assert run.wait() == 0
    study = lab.study()
    assert [len(study.trials[number].attempts) for number in (0, 1, 2)] == [2, 2, 1]
    for trial in study.trials.values():
        folder = lab.paths.trial(trial.number).folder
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        inodes = 1 + sum(1 for _ in folder.rglob("*"))
        assert inodes <= 4, sorted(os.listdir(folder))
