"""What an attempt is asked, and what of it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from outlast.core.file_names import AttemptPaths
from outlast.study import attempts
from outlast.study.attempts import ask_to_end
from outlast.study.layout import StudyPaths


@pytest.fixture
def attempt(tmp_path: Path) -> AttemptPaths:
    files = StudyPaths.at(tmp_path).attempt(0, 1)
    files.folder.mkdir(parents=True)
    files.asked.touch()
    return files


def asked(attempt: AttemptPaths) -> dict[str, object]:
    assert attempt.asked.read_text() == attempt.stop.read_text()
    return dict(json.loads(attempt.stop.read_text()))


@pytest.mark.parametrize("step", [3, None])
def test_a_person_who_stops_a_pruned_attempt_changes_only_how_long_it_has(
    attempt: AttemptPaths, step: int | None
) -> None:
    ask_to_end(attempt, "pruned", grace=60.0, step=step)
    before = asked(attempt)
    ask_to_end(attempt, "user", grace=5.0, now=True)
    assert asked(attempt) == {**before, "grace": 5.0, "now": True}


def test_an_attempt_that_a_person_stopped_can_still_be_ended_at_once(attempt: AttemptPaths) -> None:
    ask_to_end(attempt, "user", grace=60.0)
    ask_to_end(attempt, "user", grace=60.0, now=True)
    assert asked(attempt) == {"version": 1, "reason": "user", "grace": 60.0, "now": True}


def test_an_attempt_is_voided_although_a_superseded_holder_withdraws_it_just_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StudyPaths.at(tmp_path)
    attempts.open_attempt(paths, 3, 1, "{}", {})
    write_once, withdrawn = attempts.write_once, []

    def meanwhile(*args: Any, **more: Any) -> bool:
        if not withdrawn:
            withdrawn.append(True)
            attempts.withdraw(paths, 3, 1)
        return write_once(*args, **more)

    monkeypatch.setattr(attempts, "write_once", meanwhile)
    assert attempts.void_start(paths.attempt(3, 1))
    assert not paths.open_marker(3, 1).exists()
