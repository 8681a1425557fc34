"""Where many hold a study for a turn each: tables and index are drawn now and then, and never left to nobody."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outlast._system.processes import my_identity
from outlast.config.load import load_study_file
from outlast.engine.derived import catching_up
from outlast.engine.derived.derived_files import DerivedFiles
from outlast.engine.hold import turn as turn_module
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.turn import Memory, take_turn
from outlast.engine.hold.turn_taking import TurnTaking
from outlast.engine.record.recorded import study_paths
from outlast.study import requests
from outlast.study.attempts import give_up
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

Turn = Callable[[], None]


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study that nobody holds."""
    study = {
        "name": "drawn", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "budget": {"trials": 99},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "sampler": "random",
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    settings = load_study_file(str(tmp_path / "study.yaml"))
    paths = study_paths(tmp_path / "studies" / "drawn", settings)
    with open_study(paths, settings):
        pass
    return paths


@pytest.fixture
def turn(paths: StudyPaths) -> Turn:
    def take() -> None:
        lease = Lease(paths.lease)
        assert lease.take_if_free()
        take_turn(paths.root, lease, Memory(), say=lambda _: None)

    return take


def ask(paths: StudyPaths) -> None:
    requests.drop(paths, "trial", worker=my_identity().to_json(), task=True)


def drawn_at(paths: StudyPaths) -> int:
    return os.stat(paths.index).st_mtime_ns


def test_a_turn_draws_what_is_old_and_leaves_what_is_not_to_a_worker_whose_trial_runs(
    paths: StudyPaths, turn: Turn
) -> None:
    ask(paths)
    turn()  # nothing was ever drawn
    first = drawn_at(paths)
    assert paths.trials_table.exists() and not paths.behind.exists()
    ask(paths)
    turn()
    assert drawn_at(paths) == first and paths.behind.exists()
    assert not catching_up.is_wanted(paths), "not yet"
    long_ago = time.time() - 60
    os.utime(paths.index, (long_ago, long_ago))
    assert catching_up.is_wanted(paths)
    turn()
    assert drawn_at(paths) > first and not paths.behind.exists()


def test_where_nobodys_trial_runs_any_more_it_is_drawn_at_once(paths: StudyPaths, turn: Turn) -> None:
    ask(paths)
    turn()
    first = drawn_at(paths)
    give_up(paths.attempt(0, 1), "as if its machine were gone")
    turn()
    assert drawn_at(paths) > first and not paths.behind.exists()
    first = drawn_at(paths)
    turn()
    assert drawn_at(paths) == first, "nothing was decided"


def turn_taking(paths: StudyPaths, job: object = None) -> TurnTaking:
    at: Any = SimpleNamespace(paths=paths, job=job, say=lambda _: None, leaving=SimpleNamespace(begun=False))
    asking: Any = None
    children: Any = SimpleNamespace(running={0: "a trial"})
    return TurnTaking(at, asking, children)


def test_a_worker_by_hand_draws_before_it_leaves_what_it_left_to_others(paths: StudyPaths, turn: Turn) -> None:
    for _ in range(2):
        ask(paths)
        turn()
    first = drawn_at(paths)
    assert paths.behind.exists()
    turn_taking(paths, job="of an array, whose finisher draws").draw_last()
    assert paths.behind.exists()
    turn_taking(paths).draw_last()
    assert drawn_at(paths) > first and not paths.behind.exists()
    second = drawn_at(paths)
    turn_taking(paths).draw_last()
    assert drawn_at(paths) == second, "nothing is behind"


def test_where_somebody_holds_the_study_what_is_behind_is_not_looked_at_in_every_step(paths: StudyPaths) -> None:
    one = turn_taking(paths)
    paths.behind.write_bytes(b"")
    one._mark_at = 0.0
    assert one._finds_what_is_behind() and not one._finds_what_is_behind()


def test_long_studies_are_drawn_less_often() -> None:
    assert [catching_up.every(trials) for trials in (0, 1000, 3000, 100_000)] == [10.0, 10.0, 30.0, 60.0]


def test_a_mark_that_is_damaged_is_one(paths: StudyPaths) -> None:
    for harm in (lambda: paths.behind.write_bytes(b""), lambda: (paths.behind.unlink(), paths.behind.mkdir())):
        harm()
        assert catching_up.is_wanted(paths)
        paths.index.touch()
        assert not catching_up.is_wanted(paths), "not yet"
        paths.index.unlink()
    paths.behind.rmdir()
    catching_up.caught_up(paths)
    catching_up.caught_up(paths)
    assert not catching_up.is_wanted(paths)


def test_what_could_not_be_drawn_is_tried_again_and_not_by_everybody_at_once(
    paths: StudyPaths, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(paths)
    turn()
    long_ago = time.time() - 100
    os.utime(paths.index, (long_ago, long_ago))
    monkeypatch.setattr(DerivedFiles, "_results_written", lambda *_: False)  # a full disk
    ask(paths)
    turn()
    assert paths.behind.exists()
    os.utime(paths.index, (long_ago, long_ago))
    assert catching_up.is_wanted(paths)
    catching_up.leave_behind(paths, 2, again=True)
    assert not catching_up.is_wanted(paths), "not yet"
    os.utime(paths.index, (long_ago - 20, long_ago - 20))
    assert catching_up.is_wanted(paths)


def test_a_worker_that_finds_the_mark_draws_and_looks_again_later(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    took: list[bool | None] = []
    monkeypatch.setattr(turn_module, "take_turn", lambda *_, derive=None, **__: took.append(derive))
    here: Any = SimpleNamespace(paths=paths, leaving=SimpleNamespace(begun=False), job=None, say=print)
    idle: Any = SimpleNamespace(waits=False, judges=False)
    busy: Any = SimpleNamespace(ended=False, running=True)
    paths.behind.mkdir()  # nobody can remove it as a mark
    taking = TurnTaking(here, idle, busy)
    assert not taking.take(), "it looks in some seconds"
    taking._mark_at = 0.0
    assert taking.take()
    assert not taking.take()
    assert took == [True]
