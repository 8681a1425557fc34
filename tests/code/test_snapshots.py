"""A copy of what git tracks, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.turns import Turns
from outlast._system import observed
from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.records import RevisionMade
from outlast.engine.attempts import code_snapshot
from outlast.engine.attempts.code_snapshot import code_number, run_from, snapshot_code, snapshot_of, working_tree
from outlast.engine.check.quick import quick_check
from outlast.errors import UsageError
from outlast.study.layout import StudyPaths

REVISIONS = [RevisionMade(1, "", {"command": ["python", "train.py"]})]


def settings(folder: Path, command: str = "python train.py ${args}", **more: Any) -> Settings:
    whole = {
        "name": "s", "command": command.split(), "metric": {"name": "acc", "goal": "maximize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 9}, "code": "snapshot", **more,
    }  # fmt: skip
    return settings_from_resolved(whole, str(folder))


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".outlast-code.json")
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_tracked_files_are_copied_as_they_are_now_and_others_are_not(repository, tmp_path):
    repository.commit(train_py="old", gone_py="x", tools__run="y")
    repository.write("train.py", "changed")
    repository.write("scratch.txt", "untracked")
    repository.write("new.py", "added")
    repository.git("add", "new.py")
    os.unlink(repository.root / "gone.py")
    os.chmod(repository.root / "tools/run", 0o755)
    os.symlink("train.py", repository.root / "link.py")
    repository.git("add", "link.py")
    taken = snapshot_code(str(repository.root), tmp_path / "code/0001")
    assert contents(taken.root) == {"train.py": "changed", "new.py": "added", "tools/run": "y", "link.py": "changed"}
    assert os.access(taken.root / "tools/run", os.X_OK) and os.readlink(taken.root / "link.py") == "train.py"
    assert taken.code == working_tree(str(repository.root)) and "+" in taken.code


def test_a_subfolder_stays_a_subfolder_of_the_whole_repository(repository, tmp_path):
    repository.commit(lib_py="x", jobs__cnn__train_py="y")
    folder = repository.root / "jobs/cnn"
    chosen, _ = run_from(StudyPaths.at(tmp_path / "study"), settings(folder), REVISIONS)
    assert chosen.working_directory == str(tmp_path / "study/code/0001/jobs/cnn")
    assert (tmp_path / "study/code/0001/lib.py").exists()


def test_a_copy_that_is_there_is_used_although_the_tree_has_changed_and_even_where_it_is_gone(repository, tmp_path):
    commit = repository.commit(train_py="old")
    paths, chosen = StudyPaths.at(tmp_path / "study"), settings(repository.root)
    first, told = run_from(paths, chosen, REVISIONS)
    assert told == [] and working_tree(first.working_directory) == commit
    repository.commit(train_py="new")
    again, told = run_from(paths, chosen, REVISIONS)
    assert again == first and contents(paths.code / "0001") == {"train.py": "old"}
    assert len(told) == 1 and "has changed since" in told[0] and "--fresh" in told[0]
    os.rename(repository.root, tmp_path / "elsewhere")
    assert run_from(paths, chosen, REVISIONS) == (first, [])


def test_the_copy_moves_with_the_study(repository, tmp_path):
    repository.commit(jobs__train_py="old")
    chosen = settings(repository.root / "jobs")
    run_from(StudyPaths.at(tmp_path / "study"), chosen, REVISIONS)
    os.rename(tmp_path / "study", tmp_path / "moved")
    assert run_from(StudyPaths.at(tmp_path / "moved"), chosen, REVISIONS)[0].working_directory.startswith(
        str(tmp_path / "moved/code/0001")
    )


def test_a_study_inside_the_repository_reports_the_commit_of_its_copy(repository):
    commit = repository.commit(train_py="old")
    paths = StudyPaths.at(repository.root / "studies/s")
    first, _ = run_from(paths, settings(repository.root), REVISIONS)
    assert repository.commit(train_py="new") != commit
    assert working_tree(first.working_directory) == commit
    again = snapshot_code(str(repository.root), paths.code / "0002")
    assert contents(again.root) == {"train.py": "new"}  # not the copy of a copy, which is under version control by now


def test_submodules_are_copied_as_they_are_checked_out_and_said(repository, tmp_path):
    inner = type(repository)(tmp_path / "inner")
    inner.commit(layer_py="x")
    repository.git("submodule", "--quiet", "add", str(inner.root), "vendor/inner")
    repository.commit(train_py="y")
    taken = snapshot_code(str(repository.root), tmp_path / "code/0001")
    assert contents(taken.root).keys() == {"train.py", "vendor/inner/layer.py", ".gitmodules"}
    assert taken.notes == ("submodule vendor/inner is copied as it is checked out",)
    repository.git("submodule", "--quiet", "deinit", "--all")
    taken = snapshot_code(str(repository.root), tmp_path / "code/0002")
    assert "vendor/inner is not checked out" in taken.notes[0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data/train.csv", "data/train.csv, which the command names, is not tracked"),
        ("--data=data", "data, which the command names, is not tracked"),
        ("partly", "partly, which the command names, holds 2 files that git does not track"),
        ("train.py", None),
        ("no-such-word", None),
        ("${x}", None),
        ("../beside.csv", "lies outside of the repository"),
    ],
)
def test_what_the_command_names_and_the_copy_lacks_is_said(repository, tmp_path, word, expected):
    repository.commit(train_py="x", partly__kept="x")
    repository.write("data/train.csv", "1")
    repository.write("partly/a.bin", "1")
    repository.write("partly/b.bin", "1")
    (tmp_path / "beside.csv").write_text("1")
    chosen = settings(repository.root, f"python train.py {word} ${{args}}")
    _, told = run_from(StudyPaths.at(tmp_path / "study"), chosen, REVISIONS)
    assert [expected is not None] * (expected is not None) == [expected in text for text in told]


def test_a_whole_path_into_the_repository_is_said_to_bypass_the_copy(repository, tmp_path):
    script = repository.root / "train.py"
    repository.commit(train_py="x")
    _, told = run_from(StudyPaths.at(tmp_path / "study"), settings(repository.root, f"python {script}"), REVISIONS)
    assert len(told) == 1 and "is used where it is" in told[0]


@pytest.mark.parametrize("more", [{"config": "base.yaml"}, {"derive": "hooks:values"}])
def test_what_the_study_file_names_must_be_in_the_copy(repository, tmp_path, more):
    repository.commit(train_py="x")
    repository.write("base.yaml", "a: 1")
    repository.write("hooks.py", "")
    with pytest.raises(UsageError, match="not tracked by git") as caught:
        run_from(StudyPaths.at(tmp_path / "study"), settings(repository.root, **more), REVISIONS)
    assert "git add" in str(caught.value.cure)


def test_outside_of_git_a_wanted_copy_is_refused_and_a_default_one_left_out(tmp_path):
    (tmp_path / "train.py").write_text("x")
    paths, wanted = StudyPaths.at(tmp_path / "study"), settings(tmp_path)
    with pytest.raises(UsageError, match="no git checkout") as caught:
        run_from(paths, wanted, REVISIONS)
    assert "git init" in str(caught.value.cure) and "code: live" in str(caught.value.cure)
    assert [f.level for f in quick_check(wanted, str(paths.root)) if f.about == "code"] == ["error"]
    by_default = settings(tmp_path, code=None)
    assert by_default.code is None
    chosen, told = run_from(paths, by_default, REVISIONS, default="snapshot")
    assert chosen == by_default and "no git checkout" in told[0]
    assert run_from(paths, by_default, REVISIONS) == (by_default, []) and not paths.root.exists()


def test_a_repository_without_tracked_files_is_refused(repository, tmp_path):
    with pytest.raises(UsageError, match="tracks no file"):
        snapshot_code(str(repository.root), tmp_path / "code/0001")
    assert not (tmp_path / "code/0001").exists()


_TAKE = """
import sys
from collections.abc import Iterator
from pathlib import Path
from outlast.testing.fault_injection import install_from_environment
from outlast.engine.attempts import code_snapshot
from outlast.engine.attempts.code_snapshot import snapshot_code
install_from_environment("coordinator")
snapshot_code(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_killed_at_any_moment_there_is_a_whole_copy_or_none(repository, tmp_path):
    repository.commit(train_py="x", lib__a_py="y")
    for at in range(1, 100):
        into = tmp_path / f"study-{at}/code/0001"
        env = {**os.environ, "OUTLAST_FAULTS": json.dumps({"kill_at": at})}
        done = subprocess.run([sys.executable, "-c", _TAKE, repository.root, into], env=env, check=False, timeout=60)
        there = into.exists()
        assert contents(snapshot_code(str(repository.root), into).root) == {"train.py": "x", "lib/a.py": "y"}
        assert there or done.returncode == -signal.SIGKILL
        assert [path.name for path in into.parent.iterdir()] == ["0001"]
        if done.returncode == 0:
            break
    assert at > 10


@pytest.mark.parametrize("second", [4, 8, 99])
def test_two_that_take_it_at_once_have_one_whole_copy_which_nobody_takes_away(repository, tmp_path, second):
    repository.commit(train_py="x", lib__a_py="y")
    for first in range(40):
        into, turns = tmp_path / f"study-{first}/code/0001", Turns(first, second)

        def take(into: Path = into) -> None:
            taken = snapshot_code(str(repository.root), into)
            assert contents(taken.root) == {"train.py": "x", "lib/a.py": "y"}

        turns.run(take)
        assert not turns.errors, (turns.after, turns.errors)
        assert contents(into) == {"train.py": "x", "lib/a.py": "y"}, turns.after
        assert [path.name for path in into.parent.iterdir()] == ["0001"], turns.after
        if turns.first_over:
            break
    assert first > 8


def test_what_a_killed_copier_left_makes_room_before_the_next_copy(repository, tmp_path, monkeypatch):
    repository.commit(train_py="x")
    into = tmp_path / "study/code/0001"
    dead = subprocess.Popen(["true"])
    dead.wait()
    ours, later, old = (
        into.with_name(name) for name in (f".0001.{os.getpid()}.ab.new", f".0001.{dead.pid}.cd.new", ".0001.new")
    )
    for place in (ours, later, old):
        place.mkdir(parents=True)
    there: list[bool] = []

    def see(operation: str, _path: str, **_detail: object) -> None:
        if operation == "copy":
            there.extend(place.exists() for place in (ours, later, old))

    monkeypatch.setattr(observed, "observer", see)
    snapshot_code(str(repository.root), into)
    assert there == [True, False, False]
    assert [path.name for path in into.parent.iterdir()] == ["0001"]


def test_a_copy_that_was_removed_while_it_was_made_is_not_taken_for_a_whole_one(repository, tmp_path, monkeypatch):
    repository.commit(a_py="x", lib__c_py="z")
    into = tmp_path / "study/code/0001"

    def tracked(*_: object) -> Iterator[str]:
        yield "a.py"
        (making,) = into.parent.iterdir()
        shutil.rmtree(making)
        yield "lib/c.py"

    monkeypatch.setattr(code_snapshot, "_tracked", tracked)
    with pytest.raises(FileNotFoundError):
        snapshot_code(str(repository.root), into)
    assert list(into.parent.iterdir()) == []


KEYS = ("command", "function", "config", "derive", "budget", "resources")


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 2)), max_size=8))
def test_the_copy_in_force_is_the_latest_that_changed_what_is_run(changes):
    said: dict[str, Any] = {"command": ["a"]}
    revisions, expected = [RevisionMade(1, "", dict(said))], 1
    for number, (key, value) in enumerate(changes, 2):
        if said.get(key) != value and key not in ("budget", "resources"):
            expected = number
        said[key] = value
        revisions.append(RevisionMade(number, "", dict(said)))
    assert code_number(revisions) == expected


def test_no_copy_is_in_force_before_one_was_taken(tmp_path):
    assert snapshot_of(StudyPaths.at(tmp_path), REVISIONS) is None
    assert code_number([]) == 1


@pytest.mark.parametrize("inside", [False, True])
def test_git_is_asked_where_a_folder_may_be_a_checkouts(
    inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, asked = tmp_path / "there", tmp_path / "asked"
    (place / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(place / "deep")
    if inside:
        (place / ".git").write_text("gitdir: /nowhere\n")  # as that of a worktree or submodule
    (tmp_path / "git").write_text(f"#!/bin/sh\necho x >> {asked}\nexit 128\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("GIT_DIR", raising=False)
    assert working_tree(str(tmp_path / "link")) == ""
    assert asked.exists() == inside
