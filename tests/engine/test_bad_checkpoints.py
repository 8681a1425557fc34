"""What is set aside after a training died of its checkpoint, whatever else lies there; and what an attempt has saved."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from outlast._system import files as system_files
from outlast.client import newest_checkpoint
from outlast.core.file_names import TrialPaths
from outlast.core.records import Attempt, AttemptEnded, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts import bad_checkpoints
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.runner.spec import RunnerSpec

SPEC = RunnerSpec(0, 1, ("true",), ".", "trials/0000", "trials/0000/attempts/1", "checkpoints", ())


def died(times: int) -> Trial:
    """A trial whose last attempts died of their checkpoints."""
    trial = Trial(0, state=TrialState.INTERRUPTED)
    for number in range(1, times + 1):
        ended = AttemptEnded(0, number, "", TrialState.INTERRUPTED, Cause.BAD_CHECKPOINT)
        trial.attempts.append(Attempt(number, "", outcome=ended))
    return trial


def write(path: Path, at: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (at, at))


def left(folder: Path) -> set[str]:
    """What a script finds: files that are not hidden."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() and "/." not in f"/{path}"}


@pytest.mark.parametrize("again", [1, 2])
def test_the_newest_checkpoint_goes_and_the_one_before_is_next_whatever_is_newer(tmp_path: Path, again: int) -> None:
    files = TrialPaths(tmp_path, tmp_path / "checkpoints")
    for at, name in enumerate(["run/weights/a.pt", "run/weights/b.pt", "run/events.out.tfevents.1", "results.csv"]):
        write(files.checkpoints / name, at)
    for _ in range(again):  # repeated after a crash
        set_bad_aside(files, died(1))
    assert newest_checkpoint(str(files.checkpoints), ()) == str(files.checkpoints / "run/weights/a.pt")
    set_bad_aside(files, died(2))
    assert newest_checkpoint(str(files.checkpoints), ()) is None
    assert not [name for name in os.listdir(files.checkpoints) if not name.startswith(".")], "from scratch"


def test_where_a_rename_changes_the_inode_checkpoints_are_set_aside_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mergerfs does it, which numbers folders by their paths."""
    monkeypatch.setattr(bad_checkpoints, "stamp_of", lambda path: (0, hash(str(path)), 0))
    monkeypatch.setattr(system_files, "stamp_of", lambda path: (0, hash(str(path)), 0))
    files = TrialPaths(tmp_path, tmp_path / "checkpoints")
    for at, name in enumerate(["checkpoint-1/model.pt", "checkpoint-2/model.pt"]):
        write(files.checkpoints / name, at)
    set_bad_aside(files, died(2))
    assert not [name for name in os.listdir(files.checkpoints) if not name.startswith(".")]


def test_a_link_to_the_bad_one_goes_with_it(tmp_path: Path) -> None:
    files = TrialPaths(tmp_path, tmp_path / "checkpoints")
    write(files.checkpoints / "run/epoch=1.ckpt", 1)
    write(files.checkpoints / "run/epoch=2.ckpt", 2)
    (files.checkpoints / "run/last.ckpt").symlink_to("epoch=2.ckpt")
    for name in ("again", "and_again"):
        (files.checkpoints / "run" / name).symlink_to(files.checkpoints)
    set_bad_aside(files, died(1))
    set_bad_aside(files, died(1))
    assert left(files.checkpoints) == {"run/epoch=1.ckpt"}


def test_in_a_linked_folder_one_is_set_aside_and_not_another_when_that_is_repeated(tmp_path: Path) -> None:
    files = TrialPaths(tmp_path, tmp_path / "checkpoints")
    write(tmp_path / "far/1.pt", 1)
    write(tmp_path / "far/2.pt", 2)
    files.checkpoints.mkdir()
    (files.checkpoints / "run").symlink_to(tmp_path / "far")
    for _ in range(2):
        set_bad_aside(files, died(1))
        assert left(tmp_path / "far") == {"1.pt"}


def test_of_a_link_to_somewhere_else_only_the_link_goes(tmp_path: Path) -> None:
    files = TrialPaths(tmp_path, tmp_path / "checkpoints")
    write(tmp_path / "store/model.pt", 9)
    write(files.checkpoints / "a.pt", 1)
    (files.checkpoints / "last.pt").symlink_to(tmp_path / "store/model.pt")
    set_bad_aside(files, died(1))
    assert left(files.checkpoints) == {"a.pt"} and left(tmp_path / "store") == {"model.pt"}


def test_a_folder_is_set_aside_as_a_whole_and_a_pattern_decides_which(tmp_path: Path) -> None:
    files = TrialPaths(tmp_path, tmp_path / "checkpoints")
    for at, name in enumerate(["step_1/.metadata", "step_1/s.distcp", "step_2/s.distcp", "state.yaml", "model.pt"]):
        write(files.checkpoints / name, at)
    set_bad_aside(files, died(1), ("step_*", "*.yaml"))
    assert left(files.checkpoints) == {"step_1/s.distcp", "step_2/s.distcp", "model.pt"}
    set_bad_aside(TrialPaths(tmp_path, files.checkpoints), died(1), ("nothing",))
    write(files.checkpoints / "step_9/s.distcp", 99)
    os.rename(files.checkpoints / ".bad-1-state.yaml", tmp_path / "gone")
    set_bad_aside(files, died(1))
    assert left(files.checkpoints) == {"step_1/s.distcp", "step_2/s.distcp", "model.pt"}


def test_only_a_checkpoint_that_was_not_there_before_has_been_saved(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    write(folder / "run/old.pt", 1)
    write(folder / "run/new.pt", 2)
    spec = RunnerSpec.from_json({**asdict(replace(SPEC, saved_before=SPEC.stamps(tmp_path)))})
    assert not spec.has_saved(tmp_path)
    write(folder / "events.out.tfevents.1", 5)
    write(folder / "run/results.csv", 5)
    os.rename(folder / "run/old.pt", folder / "run/older.pt")
    os.remove(folder / "run/new.pt")
    assert not spec.has_saved(tmp_path), "neither a table, nor another name, nor an old one that is the newest now"
    write(folder / "run/older.pt", 1)
    (folder / "run/older.pt").write_text("longer")
    os.utime(folder / "run/older.pt", (1, 1))
    assert spec.has_saved(tmp_path), "written again in the same second"
    assert replace(SPEC, saved_before=()).has_saved(tmp_path) and SPEC.has_saved(tmp_path)
    assert not replace(SPEC, checkpoint_pattern=("*.ckpt",)).has_saved(tmp_path)
