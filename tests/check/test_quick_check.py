"""What `check` finds without starting anything."""

from __future__ import annotations

import builtins
import importlib.util
import os

import pytest
from msgspec.structs import replace

from outlast.core.finding import Finding
from outlast.engine.check.quick import quick_check


def about(findings: list[Finding], word: str) -> Finding:
    return next(finding for finding in findings if finding.about == word)


def errors(findings: list[Finding]) -> list[str]:
    return [finding.text for finding in findings if finding.level == "error"]


def test_a_sound_study_has_no_errors(make) -> None:
    findings = quick_check(make(), "studies/s")
    assert not errors(findings)
    assert about(findings, "metric").text == "maximize val_acc"
    assert about(findings, "sampler").text == "gaussian and tpe by turns (auto)"
    assert about(findings, "space").text == "1 parameter"


def test_a_sampler_whose_package_is_missing_names_the_install_command(make, monkeypatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else real(name, *a))
    found = about(quick_check(make(sampler="gp"), "studies/s"), "sampler")
    assert found.level == "error" and "pip install 'outlast[torch]'" in (found.cure or "")


def test_a_pruner_with_an_unknown_option_is_an_error(make) -> None:
    found = about(quick_check(make(pruner={"name": "median", "n_warmup": 3}), "studies/s"), "pruner")
    assert found.level == "error" and "n_warmup_steps" in (found.cure or "")


def test_a_checkpoint_folder_that_cannot_be_written_is_an_error(make, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    settings = make(checkpoints={"dir": str(tmp_path / "file" / "below")})
    found = about(quick_check(settings, "studies/s"), "checkpoints.dir")
    assert found.level == "error" and "cannot be written" in found.text


def test_more_gpus_than_there_are_is_an_error_because_a_run_refuses_it(make, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = about(quick_check(make(resources={"gpus": 2}), "studies/s"), "GPUs")
    assert found.level == "error" and found.text.startswith("a trial needs 2 GPUs; this session may use only 1")
    assert about(quick_check(make(resources={"gpus": 1}), "studies/s"), "GPUs").level == "ok"


def test_a_file_of_ids_that_makes_no_such_folds_is_an_error(make, tmp_path) -> None:
    (tmp_path / "work" / "ids.csv").write_text("id,label\n1,a\n2,b\n")
    found = quick_check(make(trial={"folds": {"n": 5, "ids": "ids.csv"}}), "studies/s")
    assert errors(found) == ["trial.folds: 2 examples cannot make 5 folds"]
    found = quick_check(make(trial={"folds": {"n": 2, "ids": "ids.csv", "group": "patient"}}), "studies/s")
    assert "has no column 'patient'" in errors(found)[0]
    assert not errors(quick_check(make(trial={"folds": {"n": 2, "ids": "ids.csv", "stratify": True}}), "studies/s"))


def test_more_memory_than_there_is_is_a_note(make) -> None:
    found = about(quick_check(make(resources={"memory": "900000G", "cpus": 100000}), "studies/s"), "memory")
    assert found.level == "note" and "900000.0" in found.text


def test_a_function_whose_module_is_nowhere_is_an_error(make) -> None:
    settings = make(command=None, function="nowhere_at_all:train")
    assert "there is no module 'nowhere_at_all'" in errors(quick_check(settings, "studies/s"))[0]


def test_looking_for_a_module_does_not_import_it(make, tmp_path) -> None:
    settings = make(command=None, function="heavy_module_of_mine:train")
    (tmp_path / "work" / "heavy_module_of_mine.py").write_text(
        "import builtins; builtins.imported_it = True\ntrain = 1\n"
    )
    assert not errors(quick_check(settings, "studies/s"))
    assert not hasattr(builtins, "imported_it")


def test_notes_of_the_study_file_are_shown(make) -> None:
    settings = make(command=["python3", "train.py"])
    assert "mentions no parameter" in about(quick_check(settings, "studies/s"), "study file").text


def test_a_little_disk_and_few_inodes_are_notes(make, monkeypatch) -> None:
    import os

    real = os.statvfs

    class Little:
        def __init__(self, path):
            status = real(path)
            self.f_frsize, self.f_blocks, self.f_bavail = status.f_frsize, status.f_blocks, 10
            self.f_files, self.f_favail = 1000, 7

    monkeypatch.setattr(os, "statvfs", Little)
    texts = [finding.text for finding in quick_check(make(), "studies/s") if finding.about == "disk"]
    assert len(texts) == 2 and "7 inodes" in texts[1]


@pytest.mark.parametrize("key", ["args", "arguments"])
def test_check_args_are_read_and_misspellings_refused(make, key) -> None:
    from outlast.errors import StudyFileError

    if key == "args":
        settings = make(check={"args": ["--max_steps", 20]})
        assert settings.check.args == ("--max_steps", "20")
        assert settings.resolved["check"] == {"args": ["--max_steps", "20"]}
    else:
        with pytest.raises(StudyFileError, match="unknown key"):
            make(check={key: []})


def test_a_function_takes_no_check_args(make) -> None:
    from outlast.errors import StudyFileError

    with pytest.raises(StudyFileError, match="belongs to a command"):
        make(command=None, function="a:b", check={"args": ["--x"]})


@pytest.mark.parametrize(
    "about_, changes",
    [
        ("command", {"command": ("python", "-c", "pass", "--db", "postgres://u:***@host/db")}),
        ("enqueue", {"enqueue": ({"url": "http://u:***@host/x"},)}),
    ],
)
def test_a_record_with_a_mask_where_a_secret_was_is_not_gone_on_with(make, about_: str, changes) -> None:
    found = errors(quick_check(replace(make(), **changes), "studies/s"))
    assert [text for text in found if text.startswith(f"{about_}: holds a secret")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("base.txt", "a: 1", "is not .yaml"),
        ("base.yaml", "a:\n\tb: 1\n", "base.yaml:2: a tab"),
        ("base.yaml", "model: resnet\n", "`lr` has no place"),
        ("base.json", "{", "base.json:1: is not JSON"),
        ("conf/other.yaml", "a: 1", "exactly one config*.yaml"),
    ],
)
def test_a_base_configuration_that_no_trial_could_be_run_with_is_an_error(
    make, name: str, content: str, says: str
) -> None:
    make()
    os.makedirs("conf")
    with open(name, "w") as file:
        file.write(content)
    config = os.path.dirname(name) or name
    found = errors(quick_check(make(config=config, parameters={"model.lr": {"min": 0.1, "max": 0.9}}), "studies/s"))
    assert len(found) == 1 and says in found[0]


def test_a_folder_whose_room_is_not_known_is_still_named(make, monkeypatch) -> None:
    monkeypatch.setattr("outlast.engine.check.machine.room_in", lambda place: None)
    found = about(quick_check(make(), "studies/s"), "folder")
    assert (found.level, found.text) == ("ok", "studies/s")
