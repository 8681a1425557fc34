"""A turn serves everybody who asks: what it reads, decides and waits for is the same for eight workers and for eighty."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast._system import observed
from outlast._system.processes import my_identity
from outlast.config.load import load_study_file
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.turn import Memory, take_turn
from outlast.engine.record import examine
from outlast.engine.record.recorded import study_paths
from outlast.optimizer import sampling
from outlast.study import requests
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease

FEW, MANY = 8, 80
STUDY_FILE = """\
name: asked
command: ["true"]
metric: {name: score, goal: maximize}
parameters:
  x: {min: 0.0, max: 1.0}
budget: {trials: 10000}
sampler: random
"""
#: Of a worker: the folders of its trial (4), its files (3) and marker (2), its answer (2), its request (1), and a margin.
MOST_FOR_EACH = 18


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study that nobody holds, and that was drawn just now."""
    (tmp_path / "study.yaml").write_text(STUDY_FILE)
    settings = load_study_file(str(tmp_path / "study.yaml"))
    paths = study_paths(tmp_path / "studies" / "asked", settings)
    with open_study(paths, settings):
        pass
    asked_for(paths, 1)  # what the first turn of all has to make
    return paths


def asked_for(paths: StudyPaths, workers: int) -> None:
    """A turn in which so many ask, each of which is given a trial."""
    us = my_identity().to_json()
    asked = [requests.drop(paths, "trial", worker=us, job=f"7_{at}", restarts=0, task=True) for at in range(workers)]
    lease = Lease(paths.lease)
    assert lease.take_if_free()
    take_turn(paths.root, lease, Memory(), say=lambda _: None)
    answers = [requests.read_answer(paths, each) for each in asked]
    assert len({answer["attempt"] for answer in answers if answer is not None}) == workers


def counted(monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> Counter[str]:
    """What work did to the disk, and how often it listed a folder, folded, and made a sampler."""
    done: Counter[str] = Counter()

    def see(operation: str, path: str, **_: Any) -> None:
        done[operation] += 1

    def count(of: Any, name: str) -> None:
        real = getattr(of, name)

        def counting(*args: Any, **more: Any) -> Any:
            done[name] += 1
            return real(*args, **more)

        monkeypatch.setattr(of, name, counting)

    with monkeypatch.context() as patched:
        patched.setattr(observed, "observer", see)
        count(os, "listdir")
        count(examine, "_judged")
        count(sampling.Optimizer, "__init__")
        work()
        monkeypatch.undo()
    return done


def test_it_folds_draws_up_decides_and_syncs_as_often_for_many_as_for_few(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = counted(monkeypatch, lambda: asked_for(paths, FEW))
    many = counted(monkeypatch, lambda: asked_for(paths, MANY))
    for what in ("_judged", "__init__", "append", "fsync", "fsync_dir"):
        assert many[what] == few[what], (what, few, many)
    assert (many["_judged"], many["__init__"], many["append"]) == (1, 1, 2)  # the seal, and what is decided
    assert many["listdir"] <= few["listdir"] + 10, (
        few,
        many,
    )  # once more to see who else asks; the ledger's each second
    disk = [each.total() - sum(each[what] for what in ("listdir", "_judged", "__init__")) for each in (few, many)]
    assert (disk[1] - disk[0]) / (MANY - FEW) <= MOST_FOR_EACH, (few, many)
