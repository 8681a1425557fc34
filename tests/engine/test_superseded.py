"""What a holder was about to do when it was stopped, and does once it is woken, is no harm to what its successor has done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab.one_trial import AT, OneTrial
from lab.turns import every_order
from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.file_names import TrialPaths
from outlast.core.fold import Study, fold
from outlast.core.records import Attempt, AttemptEnded, AttemptOpened, RevisionMade, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts import bad_checkpoints, folds
from outlast.engine.attempts.bad_checkpoints import set_bad_aside
from outlast.engine.attempts.folds import ensure_splits
from outlast.engine.hold import new_version
from outlast.engine.hold.new_version import keep_study_file, opening_events
from outlast.errors import LeaseLost
from outlast.study.attempts import close_attempt, open_attempt, withdraw
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.putting_away import clear_leftovers, put_away


def _settings(place: Path, **more: Any) -> Settings:
    whole = {
        "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "budget": {"trials": 4},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "parallel": 1, **more,
    }  # fmt: skip
    return settings_from_resolved(whole, str(place))


class _Followed:
    """A study that somebody holds, and somebody else takes over."""

    def __init__(self, kept: Path, root: Path) -> None:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(kept, root)
        self.paths = StudyPaths.at(root)
        self.ledger, _ = Ledger.claim(self.paths.ledger)

    def taken_over(self, work: Callable[[Ledger], object]) -> None:
        """What a successor does that takes it over now."""
        ledger, _ = Ledger.claim(self.paths.ledger)
        try:
            clear_leftovers(self.paths)
            work(ledger)
        finally:
            ledger.close()


def _only_the_first_lost_it(errors: dict[int, BaseException], after: tuple[int, int]) -> None:
    assert 1 not in errors, (after, errors)
    assert isinstance(errors.get(0), LeaseLost | None), (after, errors)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


def test_no_version_of_the_study_file_is_lost(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _settings(tmp_path), _settings(tmp_path, parallel=2)
    study = fold(opening_events(Study(), first, StudyPaths.at(kept)))
    keep_study_file(StudyPaths.at(kept), study, first, Ledger.claim(kept / "ledger")[0])
    before = (kept / "study.yaml").read_bytes()
    study.apply(RevisionMade(2, "", second.resolved))
    for turns in every_order(apart_from=tmp_path / "study/ledger", whole=True):
        one = _Followed(kept, tmp_path / "study")
        with monkeypatch.context() as watched:
            watched.setattr(new_version, "read_bytes", turns.watched(new_version.read_bytes))
            keep = partial(keep_study_file, one.paths, study, second)
            turns.run(partial(keep, one.ledger), partial(one.taken_over, keep))
        one.ledger.close()
        _only_the_first_lost_it(turns.errors, turns.after)
        assert (one.paths.revisions / "0001.yaml").read_bytes() == before, turns.after
        assert b"parallel: 2" in one.paths.study_file.read_bytes(), turns.after


def test_no_folds_are_lost(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (_settings(tmp_path, trial={"folds": {"n": n}}) for n in (2, 3))
    ensure_splits(kept, first, 7, fence=lambda: None)
    before = (kept / "splits.json").read_bytes()
    for turns in every_order(apart_from=tmp_path / "study/ledger", whole=True):
        one = _Followed(kept, tmp_path / "study")
        root = one.paths.root

        def ensure(ledger: Ledger, root: Path = root) -> None:
            ensure_splits(root, second, 7, fence=ledger.check)
            assert json.loads((root / "splits.json").read_bytes())["n"] == 3

        with monkeypatch.context() as watched:
            watched.setattr(folds, "read_bytes", turns.watched(folds.read_bytes))
            turns.run(partial(ensure, one.ledger), partial(one.taken_over, ensure))
        one.ledger.close()
        _only_the_first_lost_it(turns.errors, turns.after)
        assert json.loads((root / "splits.json").read_bytes())["n"] == 3, turns.after
        assert (root / "splits.1.json").read_bytes() == before, turns.after
        assert not (root / "splits.2.json").exists(), turns.after


@pytest.mark.parametrize("times", [1, 2])
def test_what_the_next_attempt_saves_under_the_name_of_a_bad_checkpoint_stays(
    times: int, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(0, state=TrialState.INTERRUPTED)
    for number in range(1, times + 1):
        ended = AttemptEnded(0, number, "", TrialState.INTERRUPTED, Cause.BAD_CHECKPOINT)
        trial.attempts.append(Attempt(number, "", outcome=ended))
    there = StudyPaths.at(kept).trial(0).checkpoints
    there.mkdir(parents=True)
    for name in ("a.pt", "b.pt"):
        (there / name).write_text("bad")
    for turns in every_order(apart_from=tmp_path / "study/ledger"):
        one = _Followed(kept, tmp_path / "study")
        files = one.paths.trial(0)

        def goes_on(ledger: Ledger, files: TrialPaths = files) -> None:
            set_bad_aside(files, trial, fence=ledger.check)
            for name in ("a.pt", "b.pt"):
                (files.checkpoints / "new").write_text("good")
                os.replace(files.checkpoints / "new", files.checkpoints / name)

        with monkeypatch.context() as watched:
            watched.setattr(bad_checkpoints, "stamp_of", turns.watched(bad_checkpoints.stamp_of))
            first = partial(set_bad_aside, files, trial, fence=one.ledger.check)
            turns.run(first, partial(one.taken_over, goes_on))
        one.ledger.close()
        _only_the_first_lost_it(turns.errors, turns.after)
        said = {path.name: path.read_text() for path in files.checkpoints.iterdir()}
        assert {said["a.pt"], said["b.pt"]} == {"good"}, (turns.after, said)


def test_what_a_trial_that_goes_on_left_is_neither_lost_nor_taken_out_of_its_end(tmp_path: Path) -> None:
    """The attempt that the first lays out was never started; its successor's completes."""
    one, kept = OneTrial(tmp_path / "study"), tmp_path / "kept"
    one.attempt(1, TrialState.FAILED, reason="its first end")
    one.put_away()
    one.retry()
    paths = StudyPaths.at(tmp_path / "study")
    shutil.copytree(paths.root, kept)
    one.study.apply(AttemptOpened(0, 2, AT, "local:0"))
    one.study.apply(AttemptEnded(0, 2, AT, TrialState.INTERRUPTED, Cause.NEVER_STARTED))
    ended = deepcopy(one.study)

    def lay_out() -> None:
        try:
            open_attempt(paths, 0, 2, "{}", {})
        finally:
            withdraw(paths, 0, 2)  # it was superseded

    def complete() -> None:
        one.open_again(3)
        one.attempt(3, TrialState.COMPLETE)
        put_away(one.paths, one.trial)
        close_attempt(paths, 0, 3)

    for turns in every_order(whole=True):
        shutil.rmtree(paths.root)
        shutil.copytree(kept, paths.root)
        one.study = deepcopy(ended)
        turns.run(lay_out, complete)
        assert 1 not in turns.errors, (turns.after, turns.errors)
        assert isinstance(turns.errors.get(0), FileNotFoundError | None), (turns.after, turns.errors)
        assert {path.name for path in one.paths.folder.iterdir()} == {"trial.json", "output.log", "reports.jsonl"}, (
            turns.after
        )
        said = one.paths.log.read_text()
        assert said.index("printed by 1") < said.index("printed by 3"), turns.after
        assert [path.name for path in paths.open.iterdir()] == [], turns.after


def test_what_was_retried_meanwhile_is_not_put_away_with_what_had_failed(tmp_path: Path) -> None:
    one, kept = OneTrial(tmp_path / "study"), tmp_path / "kept"
    one.attempt(1, TrialState.FAILED, reason="its first end")
    paths = StudyPaths.at(tmp_path / "study")
    shutil.copytree(paths.root, kept)
    failed = deepcopy(one.study)

    def go_on(_ledger: Ledger) -> None:
        put_away(one.paths, one.trial)
        one.retry()
        one.open_again(2)
        one.paths.attempt(2).log.write_text("printed by 2\n")

    for turns in every_order(apart_from=tmp_path / "study/ledger", whole=True):
        followed = _Followed(kept, paths.root)
        one.study = deepcopy(failed)
        stopped = partial(put_away, one.paths, failed.trials[0], fence=followed.ledger.check)
        turns.run(stopped, partial(followed.taken_over, go_on))
        followed.ledger.close()
        _only_the_first_lost_it(turns.errors, turns.after)
        assert one.paths.attempt(2).log.read_text() == "printed by 2\n", turns.after
        assert "printed by 1" in one.paths.earlier.log.read_text(), turns.after
