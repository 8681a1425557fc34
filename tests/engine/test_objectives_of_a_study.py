"""Which objectives are one, edited or not, and which only have one name."""

from __future__ import annotations

import functools
import os
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from outlast.engine.objective_identity import compared, fingerprint_of, pickled_objective, remember

PLAIN = "def objective(trial):\n    return trial.suggest_float('x', 0, 1)\n"
EDITED = "def objective(trial):\n    return trial.suggest_float('x', 0, 2)\n"
MADE = "def make(size):\n    def objective(trial):\n        return trial.suggest_float('x', 0, size)\n    return objective\n"


def written(place: Path, source: str, name: str = "tune.py", **given: Any) -> Any:
    """The objective that a script or a cell defines as ``objective``."""
    file = place / name
    if name.endswith(".py"):
        file.write_text(source)
    room = {"__name__": "__main__", **given}
    exec(compile(source, str(file), "exec"), room)
    return room["objective"]


def made(place: Path, size: Any) -> Any:
    return written(place, f"{MADE}objective = make({size!r})\n")


class Objective:
    def __init__(self, data: str) -> None:
        self.data = data

    def __call__(self, trial: Any) -> float:
        return float(trial.suggest_float("x", 0, 1))


ARGS = "def objective(trial):\n    return trial.suggest_float(args.model, 0, 1)\n"
READS = "def objective(trial):\n    return trial.suggest_float(LOGS, 0, 1)\n"
LOOP = "objective = lambda trial, model=MODEL: trial.suggest_float(model, 0, 1)\n"


@pytest.mark.parametrize(
    ("earlier", "now", "two", "said"),
    [
        (lambda p: written(p, PLAIN), lambda p: written(p, PLAIN), False, ""),
        (lambda p: written(p, PLAIN), lambda p: written(p, EDITED), False, "code is not what it was"),
        (lambda p: written(p, PLAIN), lambda p: written(p, PLAIN, "copy.py"), False, ""),
        (lambda p: written(p, PLAIN), lambda p: written(p, EDITED, "other.py"), True, "objective of other.py"),
        (lambda p: written(p, PLAIN, "cell 1"), lambda p: written(p, PLAIN, "cell 2"), False, ""),
        (lambda p: written(p, PLAIN, "cell 1"), lambda p: written(p, EDITED, "cell 2"), True, "code is not"),
        (lambda p: made(p, 1), lambda p: made(p, 1), False, ""),
        (lambda p: made(p, 1), lambda p: made(p, 2), True, "size=1, this one with 2"),
        (lambda p: written(p, LOOP, MODEL="rf"), lambda p: written(p, LOOP, MODEL="svm"), True, "model='rf'"),
        (lambda p: functools.partial(made(p, 1), a="b"), lambda p: functools.partial(made(p, 1), a="c"), True, "a='b'"),
        (lambda p: Objective("iris"), lambda p: Objective("digits"), True, "self.data='iris'"),
        (lambda p: Objective("iris"), lambda p: Objective("iris"), False, ""),
        (
            lambda p: written(p, ARGS, args=Namespace(model="rf", trials=10)),
            lambda p: written(p, ARGS, args=Namespace(model="rf", trials=20)),
            False,
            "",
        ),
        (
            lambda p: written(p, ARGS, args=Namespace(model="rf")),
            lambda p: written(p, ARGS, args=Namespace(model="svm")),
            True,
            "args.model='rf'",
        ),
        (lambda p: written(p, READS, LOGS="at 1"), lambda p: written(p, READS, LOGS="at 2"), False, "LOGS='at 1'"),
    ],
)  # fmt: skip
def test_in_another_process_an_edited_objective_is_the_same_and_another_of_its_name_is_not(
    tmp_path: Path, earlier: Any, now: Any, two: bool, said: str
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "objective.pkl").write_bytes(pickled_objective(earlier(tmp_path), takes_trial=True))
    new = fingerprint_of(now(tmp_path))
    found = compared(folder, new, results=True)
    assert found[0] is two and said in found[1] and bool(said) is bool(found[1])
    if "code is not" in said:
        assert not compared(folder, new, results=False)[0]  # nothing is mixed where nothing ended well


def test_in_one_process_two_objectives_of_one_script_are_two(tmp_path: Path) -> None:
    old, new = (written(tmp_path, text) for text in (PLAIN, EDITED))
    past = time.time() - 60
    os.utime(tmp_path / "tune.py", (past, past))
    remember(tmp_path, fingerprint_of(old))
    assert compared(tmp_path, fingerprint_of(old), results=True) == (False, "")
    assert compared(tmp_path, fingerprint_of(new), results=True)[0]
    os.utime(tmp_path / "tune.py", (past + 120, past + 120))  # edited since, and loaded again
    assert not compared(tmp_path, fingerprint_of(new), results=True)[0]


def test_in_one_process_what_a_loop_changes_makes_two(tmp_path: Path) -> None:
    remember(tmp_path, fingerprint_of(written(tmp_path, READS, LOGS="rf")))
    assert compared(tmp_path, fingerprint_of(written(tmp_path, READS, LOGS="svm")), results=False)[0]


def test_an_objective_that_cannot_be_read_any_more_is_said(tmp_path: Path) -> None:
    found = compared(tmp_path, fingerprint_of(Objective("iris")), results=True)
    assert found == (False, "the objective of its trials cannot be read any more")
