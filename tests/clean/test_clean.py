"""What `clean` finds and frees."""

from __future__ import annotations

import os
import shutil

import pytest

from outlast.core.states import TrialState
from outlast.engine.care.clean import find_waste, free
from outlast.engine.care.fresh import set_aside
from outlast.errors import LedgerDamaged, StudyBusy
from outlast.study import requests
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
from outlast.study.segments import segment_path

DONE = TrialState.COMPLETE
OUTCOMES = [
    (DONE, 0.5),
    (DONE, 0.9),
    (TrialState.FAILED, None),
    (TrialState.INTERRUPTED, None),
    (TrialState.RUNNING, None),
]


def shown(found) -> list[tuple[str, str]]:
    return [(waste.kind, os.path.basename(waste.path)) for waste in found]


def everything(folder) -> set[str]:
    return {os.path.join(place, name) for place, names, files in os.walk(folder) for name in [*names, *files]}


def test_superfluous_checkpoints_are_found_and_freed(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    found = find_waste(study.folder)
    assert [waste.about for waste in found] == ["trial 0, complete, acc 0.5", "trial 2, failed"]
    assert all(waste.kind == "checkpoints" and waste.size >= 10_000 for waste in found)
    assert free(study.folder, found) == found
    assert study.having_checkpoints() == [1, 3, 4]
    assert find_waste(study.folder) == []


def test_looking_changes_nothing(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    before = everything(study.folder)
    find_waste(study.folder)
    assert everything(study.folder) == before


def test_keep_wins_over_the_study_file(made) -> None:
    study = made(OUTCOMES)
    assert find_waste(study.folder) == []
    assert len(find_waste(study.folder, keep=2)) == 1
    assert len(free(study.folder, find_waste(study.folder, keep=0), keep=0)) == 3
    assert study.having_checkpoints() == [3, 4]


def test_what_is_not_among_the_waste_any_more_is_left_alone(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    found = find_waste(study.folder)
    ledger, _ = Ledger.claim(study.paths.ledger)
    from outlast.core.records import TrialRetried

    ledger.append([TrialRetried(2, "2026-01-05T11:00:00+00:00")])
    ledger.close()
    assert [waste.about for waste in free(study.folder, found)] == ["trial 0, complete, acc 0.5"]
    assert study.checkpoints(2).is_dir()


def test_a_trial_that_somebody_wants_to_retry_keeps_its_checkpoints(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    requests.drop(study.paths, "retry", trials=[2])
    assert [waste.about for waste in find_waste(study.folder)] == ["trial 0, complete, acc 0.5"]


def test_a_trial_with_an_open_marker_keeps_its_checkpoints(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    study.paths.open.mkdir()
    study.paths.open_marker(0, 1).write_text("{}")
    assert [waste.about for waste in find_waste(study.folder)] == ["trial 2, failed"]


def test_set_aside_studies_indexes_ledgers_and_leftovers_are_found(made) -> None:
    study = made(OUTCOMES)
    aside = set_aside(study.paths)
    study = made(OUTCOMES)
    for name in ("study.db.20260105T100000.000001", "study.db.20260105T100000.000001-wal", "study.db"):
        (study.paths.root / name).write_bytes(b"x")
    (study.paths.root / "ledger.damaged.2026-01-05T100000").mkdir()
    (study.paths.trial(0).folder / ".checkpoints.deleted").mkdir()
    (study.paths.trial(0).folder / ".attempts").mkdir()
    (study.paths.trial(3).folder / ".checkpoints.deleted").mkdir()  # of a trial without an outcome
    found = find_waste(study.folder)
    assert shown(found) == [
        ("study", os.path.basename(aside)),
        ("ledger", "ledger.damaged.2026-01-05T100000"),
        ("index", "study.db.20260105T100000.000001"),
        ("index", "study.db.20260105T100000.000001-wal"),
        ("leftover", ".checkpoints.deleted"),
        ("leftover", ".attempts"),
    ]
    assert "5 trials, 2 of them without an outcome" in next(w.about for w in found if w.kind == "study")
    assert len(free(study.folder, found)) == len(found) == 6
    assert sorted(os.listdir(os.path.dirname(study.folder))) == ["digits"]
    assert (study.paths.root / "study.db").exists()
    assert study.having_checkpoints() == [0, 1, 2, 3, 4]


def test_a_study_that_was_run_since_it_was_set_aside_is_somebodys(made) -> None:
    made(OUTCOMES, folder="studies/digits.20200101_000000")
    assert find_waste(made(OUTCOMES).folder) == []


def test_a_study_of_a_similar_name_is_left_alone(made) -> None:
    study = made(OUTCOMES)
    for name in ("digits2", "digits.old", "digits.20290101_000000.kept", "my-digits.20290101_000000"):
        made(OUTCOMES, folder=f"studies/{name}")
    (study.paths.root.parent / "digits.20290101_000001").mkdir()  # no study at all
    assert find_waste(study.folder) == []


def test_a_set_aside_study_that_somebody_runs_is_left_alone(made) -> None:
    study = made(OUTCOMES)
    busy = made(OUTCOMES, folder="studies/digits.20290101_000000")
    lease = Lease(busy.paths.lease)
    lease.acquire()
    try:
        assert find_waste(study.folder) == []
    finally:
        lease.release()
    assert shown(find_waste(study.folder)) == [("study", "digits.20290101_000000")]


def test_the_folder_of_a_check_that_was_killed_is_found(made) -> None:
    study = made(OUTCOMES)
    made(OUTCOMES, folder="studies/.digits.check-abc/digits.check")
    (study.paths.root.parent / ".digits.check-new").mkdir()  # a check that begins just now
    found = find_waste(study.folder)
    assert shown(found) == [("leftover", ".digits.check-abc")]
    free(study.folder, found)
    assert sorted(os.listdir(study.paths.root.parent)) == [".digits.check-new", "digits"]


def test_nothing_is_freed_while_somebody_runs_the_study(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    found = find_waste(study.folder)
    lease = Lease(study.paths.lease)
    lease.acquire()
    try:
        with pytest.raises(StudyBusy):
            free(study.folder, found)
        assert find_waste(study.folder) == found
    finally:
        lease.release()
    assert study.having_checkpoints() == [0, 1, 2, 3, 4]


def test_a_ledger_that_cannot_be_read_stops_everything(made) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    Ledger.claim(study.paths.ledger)[0].close()
    os.unlink(segment_path(study.paths.ledger, 1))
    with pytest.raises(LedgerDamaged):
        find_waste(study.folder)


def test_an_earlier_study_that_was_half_deleted_goes_the_next_time(made, monkeypatch) -> None:
    from outlast.engine.care import clean as module

    study = made(OUTCOMES)
    set_aside(study.paths)
    study = made(OUTCOMES)
    monkeypatch.setattr(module, "delete", lambda place: None)  # as if killed there
    free(study.folder, find_waste(study.folder))
    monkeypatch.undo()
    found = find_waste(study.folder)
    assert [waste.kind for waste in found] == ["leftover"]
    free(study.folder, found)
    assert os.listdir(study.paths.root.parent) == ["digits"]


def test_the_link_to_the_best_follows(made) -> None:
    study = made(OUTCOMES)
    link = study.paths.root / "best_checkpoint"
    link.symlink_to("trials/0001/checkpoints")
    free(study.folder, find_waste(study.folder, keep=0), keep=0)
    assert not os.path.lexists(link)


def test_a_copied_study_is_cleaned_without_touching_the_original(made, tmp_path) -> None:
    study = made(OUTCOMES, checkpoints={"keep": 1})
    copy = tmp_path / "backup"
    shutil.copytree(study.folder, copy)
    free(str(copy), find_waste(str(copy)))
    assert study.having_checkpoints() == [0, 1, 2, 3, 4]
    assert sorted(p.name for p in copy.glob("trials/*/checkpoints")) == ["checkpoints"] * 3
