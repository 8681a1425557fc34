from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.config.settings import MetricSettings, Settings
from outlast.core.records import TrialRetried
from outlast.core.states import TrialState
from outlast.errors import LeaseLost
from outlast.results import writer as writer_module
from outlast.results.writer import ResultsWriter
from outlast.testing.studies import StudyBuilder

RESULT_FILES = ("trials.csv", "study_summary.csv", "best_config.yaml", "best_results.json")
SETTINGS = Settings(name="digits", command=("true",), metrics=(MetricSettings(name="acc"),))


def checkpoint(folder: Path, number: int) -> None:
    place = folder / "trials" / f"{number:04d}" / "checkpoints"
    place.mkdir(parents=True)
    (place / "model.pt").write_bytes(b"weights")


def finished(build: StudyBuilder, *values: float) -> StudyBuilder:
    for value in values:
        build.trial({"lr": value}, values=value)
    return build


def test_every_promised_file_is_written(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5, 0.7)
    checkpoint(tmp_path, 1)
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert {entry.name for entry in tmp_path.iterdir()} == {*RESULT_FILES, "best_checkpoint", "trials"}
    assert os.readlink(tmp_path / "best_checkpoint") == os.path.join("trials", "0001", "checkpoints")
    assert (tmp_path / "best_checkpoint" / "model.pt").read_bytes() == b"weights"
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == []


@pytest.mark.parametrize("values", [(), (0.5,)])
def test_no_or_one_completed_trial_is_no_trouble(tmp_path: Path, values: tuple[float, ...]) -> None:
    build = finished(StudyBuilder(), *values)
    build.trial(state=TrialState.FAILED)
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert (tmp_path / "best_config.yaml").exists() == bool(values)
    assert not os.path.lexists(tmp_path / "best_checkpoint")
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == []


def test_nothing_is_written_when_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = finished(StudyBuilder(), 0.5, 0.7)
    checkpoint(tmp_path, 1)
    writer = ResultsWriter(tmp_path, SETTINGS)
    writer.write(build.study)
    changes: list[str] = []
    monkeypatch.setattr("outlast._system.observed.observer", lambda operation, path, **_: changes.append(operation))
    writer.write(build.study)
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert changes == []


def test_a_worse_trial_leaves_the_best_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = finished(StudyBuilder(), 0.7)
    writer = ResultsWriter(tmp_path, SETTINGS)
    writer.write(build.study)
    written: list[str] = []
    original = writer_module.write_atomic
    monkeypatch.setattr(
        writer_module,
        "write_atomic",
        lambda path, data, **how: written.append(os.path.basename(path)) or original(path, data, **how),
    )
    finished(build, 0.1)
    writer.write(build.study)
    assert "best_config.yaml" not in written and "trials.csv" in written


def test_a_deleted_or_damaged_file_comes_back(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5)
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    whole = {name: (tmp_path / name).read_bytes() for name in RESULT_FILES}
    (tmp_path / "trials.csv").unlink()
    (tmp_path / "best_results.json").write_bytes(b"{")
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert {name: (tmp_path / name).read_bytes() for name in RESULT_FILES} == whole


def test_a_file_deleted_under_a_writer_comes_back(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5)
    writer = ResultsWriter(tmp_path, SETTINGS)
    writer.write(build.study)
    (tmp_path / "best_config.yaml").unlink()
    writer.write(build.study)
    assert (tmp_path / "best_config.yaml").exists()


def test_the_best_checkpoint_follows_the_best_trial(tmp_path: Path) -> None:
    build, writer = finished(StudyBuilder(), 0.5), ResultsWriter(tmp_path, SETTINGS)
    checkpoint(tmp_path, 0)
    checkpoint(tmp_path, 1)
    writer.write(build.study)
    assert os.readlink(tmp_path / "best_checkpoint").endswith("0000/checkpoints")
    finished(build, 0.9)
    writer.write(build.study)
    assert os.readlink(tmp_path / "best_checkpoint").endswith("0001/checkpoints")
    finished(build, 0.95)  # without a checkpoint
    writer.write(build.study)
    assert not os.path.lexists(tmp_path / "best_checkpoint")


def test_best_files_go_when_the_only_complete_trial_is_retried(tmp_path: Path) -> None:
    build, writer = finished(StudyBuilder(), 0.5), ResultsWriter(tmp_path, SETTINGS)
    checkpoint(tmp_path, 0)
    writer.write(build.study)
    build.study.apply(TrialRetried(0, build.at(99)))
    writer.write(build.study)
    assert not (tmp_path / "best_config.yaml").exists() and not os.path.lexists(tmp_path / "best_checkpoint")
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == []


def test_checkpoints_elsewhere_are_linked_by_their_whole_path(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "study", tmp_path / "scratch"
    folder.mkdir()
    (scratch / "7").mkdir(parents=True)
    (scratch / "7" / "last.pt").touch()
    build = StudyBuilder()
    build.trial(values=0.5, number=7)
    ResultsWriter(folder, SETTINGS, checkpoints=lambda number: scratch / str(number)).write(build.study)
    assert os.readlink(folder / "best_checkpoint") == str(scratch / "7")


def test_a_link_that_an_archive_left_as_a_text_file_is_a_link_again(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5)
    checkpoint(tmp_path, 0)
    (tmp_path / "best_checkpoint").write_text("trials/0000/checkpoints")
    build = finished(build, 0.7)
    checkpoint(tmp_path, 1)
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert os.readlink(tmp_path / "best_checkpoint") == "trials/0001/checkpoints"
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == []


def test_what_was_derived_belongs_to_the_best_configuration(tmp_path: Path) -> None:
    build = StudyBuilder()
    build.trial({"lr": 0.1}, values=0.5)
    build.study.trials[0].derived = {"model.heads": 8}
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert "heads: 8" in (tmp_path / "best_config.yaml").read_text()


def test_a_folder_of_the_users_in_place_of_the_link_is_left_alone_and_reported(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5)
    checkpoint(tmp_path, 0)
    (tmp_path / "best_checkpoint").mkdir()
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    assert (tmp_path / "best_checkpoint").is_dir()
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == [
        "best_checkpoint points to nothing instead of trials/0000/checkpoints"
    ]


def test_the_check_names_what_is_missing_or_disagrees_and_writes_nothing(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5)
    ResultsWriter(tmp_path, SETTINGS).write(build.study)
    finished(build, 0.9)
    (tmp_path / "study_summary.csv").unlink()
    before = sorted(os.listdir(tmp_path))
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == [
        "trials.csv disagrees with the ledger",
        "study_summary.csv is missing",
        "best_config.yaml disagrees with the ledger",
        "best_results.json disagrees with the ledger",
    ]
    assert sorted(os.listdir(tmp_path)) == before


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build, writer = finished(StudyBuilder(), 0.5), ResultsWriter(tmp_path, SETTINGS)
    writer.write(build.study)
    old = (tmp_path / "trials.csv").read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    finished(build, 0.9)
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "write_atomic", full)
        with pytest.raises(OSError, match="No space left"):
            writer.write(build.study)
    assert (tmp_path / "trials.csv").read_bytes() == old
    writer.write(build.study)
    assert ResultsWriter(tmp_path, SETTINGS).check(build.study) == []


def test_the_best_configuration_of_a_study_with_a_base_is_the_file_that_the_trial_was_given(tmp_path: Path) -> None:
    build = finished(StudyBuilder(), 0.5)
    with_base = replace(SETTINGS, config="base.yaml")
    ResultsWriter(tmp_path, with_base).write(build.study)
    assert "depth: 3" not in (tmp_path / "best_config.yaml").read_text()  # its record is lost: what is known is written
    record = tmp_path / "trials" / "0000" / "trial.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"config": "lr: 0.1\nmodel:\n  depth: 3\n"}))
    ResultsWriter(tmp_path, with_base).write(build.study)
    text = (tmp_path / "best_config.yaml").read_text()
    assert text.startswith("# ") and text.endswith("\nlr: 0.1\nmodel:\n  depth: 3\n")
    assert ResultsWriter(tmp_path, with_base).check(build.study) == []


def test_whoever_was_superseded_takes_nothing_away(tmp_path: Path) -> None:
    superseded: list[str] = []

    def fence() -> None:
        if superseded:
            raise LeaseLost("another coordinator took over")

    build = StudyBuilder()
    build.trial(state=TrialState.RUNNING)
    writer = ResultsWriter(tmp_path, SETTINGS, fence=fence)
    writer.write(build.study)
    checkpoint(tmp_path, 1)
    ResultsWriter(tmp_path, SETTINGS).write(finished(StudyBuilder(), 0.5, 0.7).study)
    superseded.append("by now")
    with pytest.raises(LeaseLost):
        writer.write(build.study)
    assert (tmp_path / "best_config.yaml").exists() and os.path.lexists(tmp_path / "best_checkpoint")
