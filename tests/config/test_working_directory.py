"""`cwd:` says where the command runs, and everything that the study file names is looked for there."""

from __future__ import annotations

import os
import sys

import pytest
from msgspec.structs import replace

from outlast.config.load import load_study_file, settings_from_resolved
from outlast.config.trial_config import derive, resolve_trial_config
from outlast.errors import StudyFileError

OURS = "metric: minimize x\nsampler: grid\nparameters: {lr: [1, 2]}\ncommand: python src/train.py ${args}\n"
SWEEP = "program: src/train.py\nmethod: grid\nmetric: {name: x}\nparameters: {lr: {values: [1, 2]}}\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in ("src", "conf", "experiments/lr"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "src/train.py").write_text("")
    (tmp_path / "conf/base.yaml").write_text("a: 1\n")
    (tmp_path / "hooks.py").write_text("def more(params): return {'double': 2 * params['lr']}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, text):
    path.write_text(text)
    return load_study_file(path)


@pytest.mark.parametrize("text", [OURS, SWEEP], ids=["ours", "wandb"])
def test_a_program_relative_to_the_repositorys_root_names_the_cwd_to_write(repository, text):
    for folder in (repository, repository / "src"):  # wherever it is typed
        os.chdir(folder)
        with pytest.raises(StudyFileError) as caught:
            write(repository / "experiments/lr/s.yaml", text)
        assert "`cwd: ../..`" in (caught.value.cure or "")
    settings = write(repository / "experiments/lr/s.yaml", text + "cwd: ../..\n")
    assert settings.working_directory == str(repository) and settings.notes == ()


def test_a_program_where_the_person_is_names_that_folder(repository):
    (repository / "elsewhere").mkdir()
    os.chdir(repository / "src")
    with pytest.raises(StudyFileError) as caught:
        write(repository / "elsewhere/s.yaml", OURS.replace("src/train.py", "train.py"))
    assert "`cwd: ../src`" in (caught.value.cure or "")


def test_every_path_in_the_file_starts_there(repository):
    settings = write(
        repository / "experiments/lr/s.yaml", OURS + "cwd: ../..\nconfig: conf/base.yaml\nderive: hooks:more\n"
    )
    assert resolve_trial_config(settings, {"lr": 2}) == {"a": 1, "lr": 2}
    assert derive(replace(settings, env={"PATH": os.path.dirname(sys.executable)}), {"lr": 2}) == {"double": 4}


def test_set_changes_it_for_a_study_file_and_not_for_a_record(repository):
    (repository / "experiments/lr/s.yaml").write_text(OURS)
    settings = load_study_file(repository / "experiments/lr/s.yaml", overrides=["cwd=../.."])
    assert settings.working_directory == str(repository) and settings.resolved["cwd"] == "../.."
    with pytest.raises(StudyFileError, match="from a study file only"):
        settings_from_resolved(settings.resolved, ".", ["cwd=."])
    again = settings_from_resolved(settings.resolved, settings.working_directory)  # it is not gone up a second time
    assert (again.working_directory, again.resolved) == (settings.working_directory, settings.resolved)


def test_a_base_hands_it_down_as_its_own_folder_sees_it(repository):
    (repository / "conf/all.yaml").write_text(OURS + "cwd: ..\nconfig: conf/base.yaml\n")
    settings = write(repository / "experiments/lr/s.yaml", "extends: ../../conf/all.yaml\n")
    assert settings.working_directory == str(repository) and settings.config == "conf/base.yaml"
    moved = write(
        repository / "experiments/lr/s.yaml",
        "extends: ../../conf/all.yaml\ncwd: ../../src\ncommand: python train.py ${args}\n",
    )
    assert moved.working_directory == str(repository / "src") and moved.config == "../conf/base.yaml"


@pytest.mark.parametrize("cwd", ["nowhere", "s.yaml", "3", "''"])
def test_a_cwd_that_is_no_folder_is_refused_with_its_line(repository, cwd):
    with pytest.raises(StudyFileError) as caught:
        write(repository / "s.yaml", OURS + f"cwd: {cwd}\n")
    assert (caught.value.line, caught.value.key) == (5, "cwd")
