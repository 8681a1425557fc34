"""`checkpoints.dir`: checkpoints outside the study folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from outlast.config.load import settings_from_resolved
from outlast.core.states import TrialState
from outlast.engine.care.clean import find_waste, free
from outlast.engine.care.fresh import set_aside
from outlast.engine.derived.checkpoints import Retention
from outlast.engine.hold.opening import claim_checkpoints, open_study
from outlast.engine.record.recorded import study_paths
from outlast.errors import StorageError, UsageError
from outlast.study.layout import StudyPaths

OUTCOMES = [(TrialState.COMPLETE, 0.5), (TrialState.COMPLETE, 0.9), (TrialState.INTERRUPTED, None)]


def test_each_study_has_a_folder_of_its_own_there(made, tmp_path) -> None:
    study = made(OUTCOMES, checkpoints={"dir": "scratch"})
    assert study.checkpoints(2) == tmp_path / "scratch" / "digits" / "0002"


def test_retention_works_there_as_well(made) -> None:
    study = made(OUTCOMES, checkpoints={"dir": "scratch", "keep": 1})
    claim_checkpoints(study.paths)
    retention = Retention(study.paths, study.settings)
    assert retention.clear(retention.due(study.study), study.study) == [0]
    retention.close()
    assert sorted(os.listdir(study.paths.checkpoints_root)) == [".outlast.json", "0001", "0002"]


def test_two_studies_cannot_mistake_each_others_checkpoints(made) -> None:
    first = made(OUTCOMES, checkpoints={"dir": "scratch"})
    claim_checkpoints(first.paths)
    claim_checkpoints(first.paths)
    second = made([], folder="studies/other", checkpoints={"dir": "scratch"})
    with pytest.raises(UsageError, match="checkpoints of another study"):
        claim_checkpoints(second.paths)


def test_a_study_that_was_moved_takes_its_checkpoints_along(made, tmp_path) -> None:
    first = made(OUTCOMES, checkpoints={"dir": "scratch"})
    claim_checkpoints(first.paths)
    shutil.move(first.folder, tmp_path / "moved")
    moved = made([], folder="moved/new", checkpoints={"dir": "scratch"})
    claim_checkpoints(moved.paths)
    assert json.loads((first.paths.checkpoints_root / ".outlast.json").read_text())["study"] == str(moved.paths.root)


def test_a_folder_that_cannot_be_made_is_said(made, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    study = made([], checkpoints={"dir": "file/below"})
    with pytest.raises(StorageError, match=r"checkpoints\.dir"):
        claim_checkpoints(study.paths)


def test_a_fresh_start_sets_them_aside_with_the_study(made) -> None:
    study = made(OUTCOMES, checkpoints={"dir": "scratch"})
    claim_checkpoints(study.paths)
    aside = set_aside(study.paths)
    stamp = aside.removeprefix(study.folder)
    root = study.paths.checkpoints_root
    assert not root.exists() and (root.with_name(f"digits{stamp}") / "0002" / "last.pt").exists()


def test_clean_finds_what_a_fresh_start_set_aside_there(made) -> None:
    claim = made(OUTCOMES, checkpoints={"dir": "scratch"})
    claim_checkpoints(claim.paths)
    set_aside(claim.paths)
    made(OUTCOMES, checkpoints={"dir": "scratch"})
    found = find_waste(claim.folder)
    assert [waste.kind for waste in found] == ["study", "study"]
    assert len(free(claim.folder, found)) == 2
    assert os.listdir(claim.paths.checkpoints_root.parent) == ["digits"]


def test_a_study_leaves_alone_what_another_one_set_aside_there(made) -> None:
    other = made(OUTCOMES, folder="studies/other", checkpoints={"dir": "scratch"})
    claim_checkpoints(other.paths)
    set_aside(other.paths)
    mine = made(OUTCOMES, checkpoints={"dir": "scratch"})
    assert find_waste(mine.folder) == []


def test_checkpoints_of_a_check_that_was_killed_are_found(made) -> None:
    study = made(OUTCOMES, checkpoints={"dir": "scratch"})
    place = study.paths.checkpoints_root.with_name(".digits.check-abc")
    claim_checkpoints(StudyPaths.at(study.folder + "-gone", str(place)))
    found = find_waste(study.folder)
    assert [(waste.kind, waste.path) for waste in found] == [("leftover", str(place))]


def reopened(study, **checkpoints):
    """The study is run with this `checkpoints` section; where its trials' checkpoints are looked for then."""
    settings = settings_from_resolved(
        {**study.settings.resolved, "checkpoints": checkpoints}, study.settings.working_directory
    )
    paths = study_paths(study.folder, settings)
    with open_study(paths, settings):
        return paths


@pytest.mark.parametrize(("old", "new"), [("scratch", "other"), ("scratch", None), (None, "other")])
def test_another_place_for_checkpoints_is_refused_while_trials_that_go_on_have_theirs_in_the_old_one(
    made, old: str | None, new: str | None
) -> None:
    study = made(OUTCOMES, checkpoints={"dir": old})
    before = [segment.name for segment in study.paths.ledger.glob("*.jsonl")]
    with pytest.raises(UsageError, match="1 trial without an outcome") as refused:
        reopened(study, dir=new)
    assert [segment.name for segment in study.paths.ledger.glob("*.jsonl")] == before
    (move,) = [line for line in str(refused.value.cure).splitlines() if "mv" in line]
    assert str(study.checkpoints(2)) in move
    os.makedirs(move.split()[-1])  # as the run that was refused, or an earlier one, may have left it
    subprocess.run(move, shell=True, check=True)
    assert (reopened(study, dir=new).trial(2).checkpoints / "last.pt").exists()


def test_the_same_place_in_other_words_is_no_other_place(made, tmp_path) -> None:
    study = made(OUTCOMES, checkpoints={"dir": "scratch"})
    reopened(study, dir=str(tmp_path / "scratch"), keep=2)


def test_where_checkpoints_of_finished_trials_lie_keeps_nobody_from_naming_another_place(made) -> None:
    reopened(made([(TrialState.COMPLETE, 0.5)], checkpoints={"dir": "scratch"}), dir="other")
