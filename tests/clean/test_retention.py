"""Which checkpoints go during a run, and how."""

from __future__ import annotations

import os
import shutil

import pytest

from outlast._system import observed
from outlast.core.records import TrialRetried
from outlast.core.states import TrialState
from outlast.engine.derived.checkpoints import Retention, superfluous
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.errors import LeaseLost

DONE, PRUNED, FAILED = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED
OPEN = [(TrialState.RUNNING, None), (TrialState.INTERRUPTED, None), (TrialState.CREATED, None)]


@pytest.fixture
def operations(monkeypatch) -> list[tuple[str, str]]:
    """Every operation on the disk, in order."""
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(
        observed, "observer", lambda operation, path, **_: seen.append((operation, os.path.basename(path)))
    )
    return seen


def applied(made, retention=None) -> list[int]:
    retention = retention or Retention(made.paths, made.settings)
    gone = retention.clear(retention.due(made.study), made.study)
    retention.close()
    assert not retention.warnings
    return gone


def test_the_best_keep_theirs_and_whoever_has_no_outcome(made) -> None:
    study = made(
        [(DONE, 0.5), (DONE, 0.9), (PRUNED, None), (FAILED, None), *OPEN, (DONE, 0.7)], checkpoints={"keep": 2}
    )
    assert applied(study) == [0, 2, 3]
    assert study.having_checkpoints() == [1, 4, 5, 6, 7]
    assert not [name for n in range(8) for name in os.listdir(study.paths.trial(n).folder) if name.startswith(".")]


def test_without_the_key_everything_is_kept(made) -> None:
    study = made([(DONE, 0.5), (FAILED, None)])
    assert applied(study) == [] and study.having_checkpoints() == [0, 1]


def test_keep_0_keeps_those_without_an_outcome_only(made) -> None:
    study = made([(DONE, 0.5), *OPEN], checkpoints={"keep": 0})
    assert applied(study) == [0] and study.having_checkpoints() == [1, 2, 3]


def test_where_less_is_better_the_lowest_are_kept(made) -> None:
    study = made([(DONE, 0.5), (DONE, 0.1)], checkpoints={"keep": 1}, metric={"name": "loss", "goal": "minimize"})
    assert applied(study) == [0]


def test_of_equals_the_lower_number_is_kept_whoever_came_first(made) -> None:
    study = made([(DONE, 0.5), (DONE, 0.5), (DONE, 0.5)], checkpoints={"keep": 1})
    assert applied(study) == [1, 2]
    backwards = made([(DONE, 0.5), (DONE, 0.5)], folder="studies/other", checkpoints={"keep": 1})
    backwards.study.trials = dict(reversed(backwards.study.trials.items()))
    assert superfluous(backwards.study, backwards.settings, 1) == [1]


def test_with_several_objectives_the_front_is_kept(made) -> None:
    goals = [{"name": "acc", "goal": "maximize"}, {"name": "size", "goal": "minimize"}]
    study = made([(DONE, None)] * 3, checkpoints={"keep": 2}, metric=goals)
    for number, values in enumerate([(0.9, 9.0), (0.8, 9.5), (0.5, 1.0)]):
        study.study.trials[number].values = values
    assert applied(study) == [1]


def test_a_folder_is_renamed_away_before_anything_in_it_is_deleted(made, operations) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    operations.clear()
    applied(study)
    kinds = [operation for operation, path in operations if "checkpoints" in path]
    assert kinds == ["rename", "rmtree"]


def test_what_is_kept_is_on_the_disk_before_the_rest_is_deleted(made, operations, monkeypatch) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    operations.clear()
    real = os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (operations.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))), real(fd)),
    )
    applied(study)
    assert operations.index(("sync", "last.pt")) < operations.index(("rmtree", ".checkpoints.deleted"))


def test_an_empty_folder_that_goes_meanwhile_with_its_trials_other_files_is_gone(made) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    retention = Retention(study.paths, study.settings)
    due = retention.due(study.study)
    shutil.rmtree(study.checkpoints(0))
    assert retention.clear(due, study.study) == [0] and not retention.warnings


def test_a_deletion_that_was_interrupted_is_brought_to_its_end_by_the_next_run(made) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    os.rename(study.checkpoints(0), study.checkpoints(0).with_name(".checkpoints.deleted"))
    assert applied(study) == []
    assert ".checkpoints.deleted" not in os.listdir(study.paths.trial(0).folder)


def test_a_new_folder_does_not_wait_for_the_old_ones_deletion(made) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    retention = Retention(study.paths, study.settings)
    assert retention.due(study.study) == [0]
    (study.paths.trial(0).folder / ".checkpoints.deleted").mkdir()
    assert retention.clear([0], study.study) == [0]
    retention.close()
    assert study.having_checkpoints() == [1]


def test_a_retried_trial_is_looked_at_again(made) -> None:
    study = made([(DONE, 0.9), (FAILED, None)], checkpoints={"keep": 1})
    retention = Retention(study.paths, study.settings)
    assert retention.clear(retention.due(study.study), study.study) == [1]
    study.study.apply(TrialRetried(1, "2026-01-05T11:00:00+00:00"))
    study.checkpoints(1).mkdir()
    assert retention.due(study.study) == []
    study.study.trials[1].state = FAILED
    assert retention.due(study.study) == [1]
    retention.close()


def test_a_holder_that_was_superseded_renames_nothing(made) -> None:
    def superseded() -> None:
        raise LeaseLost("somebody else")

    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    retention = Retention(study.paths, study.settings, fence=superseded)
    with pytest.raises(LeaseLost):
        retention.clear(retention.due(study.study), study.study)
    assert study.having_checkpoints() == [0, 1]


def test_trouble_is_a_warning(made, monkeypatch) -> None:
    from outlast.engine.derived import checkpoints as module

    def refuses(source, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(source))

    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    retention = Retention(study.paths, study.settings)
    monkeypatch.setattr(module, "rename_that", refuses)
    assert retention.clear(retention.due(study.study), study.study) == []
    assert retention.warnings == ["the checkpoints of trial 0 cannot be deleted (Permission denied)"]


def test_a_link_in_the_folders_place_goes_and_not_what_it_points_to(made, tmp_path) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    elsewhere = tmp_path / "shared"
    study.checkpoints(0).rename(elsewhere)
    study.checkpoints(0).symlink_to(elsewhere)
    assert applied(study) == [0]
    assert (elsewhere / "last.pt").exists() and not os.path.lexists(study.checkpoints(0))


def test_the_link_to_the_best_moves_on_before_its_target_goes(made, operations) -> None:
    study = made([(DONE, 0.5), (DONE, 0.9)], checkpoints={"keep": 1})
    link = study.paths.root / "best_checkpoint"
    link.symlink_to("trials/0000/checkpoints")
    derived = DerivedFiles(study.paths, study.settings)
    operations.clear()
    assert derived.retain(study.study) == [0]
    derived.close(study.study)
    assert os.readlink(link) == "trials/0001/checkpoints"
    names = [path for _, path in operations]
    assert next(i for i, n in enumerate(names) if "best_checkpoint" in n) < names.index("checkpoints")
