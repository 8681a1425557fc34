"""A study in hand is given back whatever happens: its lease is free afterwards, and nothing of its ledger is open."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.config.settings import Settings
from outlast.engine.hold import opening
from outlast.engine.hold.opening import join_study, open_study
from outlast.engine.hold.turn import Memory, take_turn
from outlast.engine.record.recorded import study_paths
from outlast.errors import LeaseLost, LedgerTooNew, OutlastError, StorageError
from outlast.study import lease as lease_module
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
from outlast.study.ledger_lines import to_line
from outlast.study.opened import opened_briefly
from outlast.study.segments import segment_path


class Broke(Exception):
    """Something that nobody foresaw."""


def breaks(*_args: object, **_more: object) -> None:
    raise Broke


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    study = {
        "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "budget": {"trials": 1},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    return load_study_file(str(tmp_path / "study.yaml"))


@pytest.fixture
def paths(tmp_path: Path, settings: Settings) -> StudyPaths:
    """Of a study that is there, and that nobody holds."""
    found = study_paths(tmp_path / "study", settings)
    with open_study(found, settings):
        pass
    return found


def assert_given_back(paths: StudyPaths) -> None:
    open_files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_there(fd)]
    assert not [file for file in open_files if file.startswith(str(paths.ledger))]
    free = Lease(paths.lease)
    assert free.take_if_free()
    free.release()


def _is_there(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


def opens(paths: StudyPaths, settings: Settings) -> None:
    with open_study(paths, settings):
        pass


def joins(paths: StudyPaths, _settings: Settings) -> None:
    lease = Lease(paths.lease)
    lease.acquire()
    with join_study(paths, lease):
        pass


@pytest.mark.parametrize("way", [opens, joins])
@pytest.mark.parametrize("at", ["read_sound", "clear_leftovers", "Opened"])
def test_what_goes_wrong_while_it_is_taken(
    paths: StudyPaths, settings: Settings, monkeypatch: pytest.MonkeyPatch, way: Callable[..., None], at: str
) -> None:
    with (
        monkeypatch.context() as patched,
        pytest.raises(Broke) as kept,
    ):  # with its frames: nobody else gives anything back
        patched.setattr(opening, at, breaks)
        way(paths, settings)
    assert_given_back(paths)
    del kept


def test_what_goes_wrong_in_the_block(paths: StudyPaths, settings: Settings) -> None:
    with pytest.raises(Broke) as kept, open_study(paths, settings) as opened:
        assert not Lease(paths.lease).take_if_free() and opened.study.revisions
        raise Broke
    assert_given_back(paths)
    del kept
    with pytest.raises(Broke) as kept, opened_briefly(paths):
        raise Broke
    assert_given_back(paths)
    del kept


def test_what_a_later_version_wrote_is_refused_before_anything_is_claimed(paths: StudyPaths) -> None:
    with open(segment_path(paths.ledger, 1), "ab") as file:
        file.write(to_line({"v": 1, "n": 99, "events": [{"kind": "of_tomorrow"}]}))
    before = sorted(os.listdir(paths.ledger))
    with pytest.raises(LedgerTooNew), opened_briefly(paths):
        pass
    assert sorted(os.listdir(paths.ledger)) == before
    assert_given_back(paths)


def test_what_goes_wrong_in_a_turn(paths: StudyPaths) -> None:
    lease = Lease(paths.lease)
    assert lease.take_if_free()
    with pytest.raises(Broke):
        take_turn(paths.root, lease, Memory(), say=lambda text: None, last=breaks)
    assert_given_back(paths)


@pytest.mark.parametrize("take", [Lease.acquire, Lease.take_if_free])
def test_a_lease_whose_newest_segment_cannot_be_awaited_is_not_held(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch, take: Callable[[Lease], object]
) -> None:
    lease = Lease(paths.lease)
    with monkeypatch.context() as patched, pytest.raises(Broke):
        patched.setattr(lease_module, "await_newest", breaks)
        take(lease)
    assert_given_back(paths)
    del lease


@pytest.mark.parametrize(
    "missed", [FileNotFoundError(2, "No such file or directory", "there"), StorageError("it is gone")]
)
@pytest.mark.parametrize("superseded", [True, False])
def test_who_misses_a_file_because_somebody_took_over_says_that(
    superseded: bool, missed: OSError | OutlastError, paths: StudyPaths, settings: Settings
) -> None:
    with pytest.raises(LeaseLost if superseded else type(missed)), open_study(paths, settings):
        if superseded:
            Ledger.claim(paths.ledger)
        raise missed


def test_a_look_that_fails_as_well_hides_nothing(
    paths: StudyPaths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_ledger: Ledger) -> None:
        raise OSError(5, "Input/output error", "ledger")

    with pytest.raises(StorageError, match="it is full"), open_study(paths, settings):
        monkeypatch.setattr(Ledger, "check", fails)
        raise StorageError("it is full")
