"""What trials of kept workers leave behind, and who finds it: their output, and what they started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab.waiting import until
from outlast._system import tokens
from outlast._system.tokens import VARIABLE, environment_of
from outlast.cli.app import app
from outlast.core.fold import fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RevisionMade,
    RunStarted,
    StudyCreated,
    TrialCreated,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.care.fresh import set_aside
from outlast.runner.kept_capture import captured
from outlast.runner.spec import token_of_study
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.printed import stretches

AT = "2026-01-05T10:00:00.000+00:00"
SETTINGS = {
    "name": "lab",
    "function": "work:run",
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "budget": {"trials": 6},
    "isolation": "kept",
}
BEGUN: list[Event] = [StudyCreated("lab", AT, study_seed=1), RevisionMade(1, AT, SETTINGS), RunStarted(AT, "box", 1)]


def trial(number: int, slot: str, printed: tuple[int, int] | None, *, attempt: int = 1) -> list[Event]:
    """Of one attempt; without `printed` it runs."""
    events: list[Event] = [TrialCreated(number, AT, {"x": 0.5})] if attempt == 1 else []
    events.append(AttemptOpened(number, attempt, AT, slot))
    if printed is not None:
        state, cause = TrialState.COMPLETE, Cause.COMPLETED
        events.append(AttemptEnded(number, attempt, AT, state, cause, values=(0.5,), printed=printed))
    return events


def study_of(place: Path, *events: list[Event]) -> StudyPaths:
    paths = StudyPaths.at(place / "lab")
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append([*BEGUN, *(event for each in events for event in each)])
    ledger.close()
    paths.outputs.mkdir()
    return paths


@pytest.mark.parametrize(("lines", "said"), [((), "one\ntwo\n"), (("-n", "1"), "two\n")])
def test_logs_knows_what_a_trial_printed_that_has_a_folder(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    paths = study_of(tmp_path, trial(0, "kept:0", (4, 8)))
    (paths.outputs / "0.log").write_text("xxx\none\ntwo\nyyy\n")
    paths.trial(0).checkpoints.mkdir(parents=True)
    shown = CliRunner().invoke(app, ["logs", str(paths.root), "0", *lines], catch_exceptions=False)
    assert shown.output == said


def test_logs_shows_what_was_printed_in_a_process_of_its_own_as_well(tmp_path: Path) -> None:
    paths = study_of(tmp_path, trial(0, "kept:0", (0, 4)))
    (paths.outputs / "0.log").write_text("two\n")
    log = paths.attempt(0, 2).log
    log.parent.mkdir(parents=True)
    log.write_text("one\n")
    shown = CliRunner().invoke(app, ["logs", str(paths.root), "0"], catch_exceptions=False)
    assert shown.output == "one\ntwo\n"


def test_where_a_running_trial_prints_is_known_without_a_look_at_every_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [*BEGUN]
    for number in range(3_000):
        events += trial(number, f"kept:{number % 2}", (number, 1))
    events += trial(3_000, "kept:0", None)
    study, asked = fold(events), []

    class Counted(dict):  # type: ignore[type-arg]
        def get(self, number: int, default: object = None) -> object:
            asked.append(number)
            return super().get(number, default)

        def values(self) -> object:
            raise AssertionError("all of them")

    running = study.trials[3_000]
    monkeypatch.setattr(study, "trials", Counted({number: study.trials[number] for number in range(3_001)}))
    assert [stretch.start for stretch in stretches(StudyPaths.at("lab"), study, running)] == [2_999]
    assert len(asked) < 1_100


def test_output_that_somebody_removed_is_none(tmp_path: Path) -> None:
    found = captured([], [], (str(tmp_path / "0.log"), 0, 100), torn=False)
    assert not found.tail


def test_a_fresh_start_ends_what_kept_workers_had_started(tmp_path: Path) -> None:
    paths = study_of(tmp_path, trial(0, "kept:0", None))
    token = f"{token_of_study(str(paths.root))}kept:0;"
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={**os.environ, VARIABLE: token}
    ) as left:
        try:
            assert set_aside(paths) is not None
            assert left.wait(60) < 0
        finally:
            left.kill()


def test_a_process_that_is_just_being_executed_is_known_by_its_token() -> None:
    """For a moment, which lasts where the machine is busy, the kernel shows no environment of it: neither the old nor the new."""
    for number in range(30):
        token = f"outlast:executed:{os.getpid()}.{number};"
        with subprocess.Popen(["sleep", "300"], env={**os.environ, VARIABLE: token}) as begun:
            found = environment_of(begun.pid)
            begun.kill()
        assert token.encode() in found
        assert environment_of(begun.pid) == b""


#: What Linux 6.18 said of a process that was being executed, while its ``environ`` was empty: fields of stat from the state on.
_BEING_EXECUTED = {
    "nobody says where its environment lies": "R 16148 16136 1297 0 -1 4194304 7 0 0 0 0 0 0 0 20 0 1 0 625145 24576 0 "
    "18446744073709551615 0 0 0 0 0 0 0 16781312 0 0 0 0 17 0 0 0 0 0 0 0 0 0 140722104502482 0 0 0 0",
    "it is known where that begins": "R 16148 16136 1297 0 -1 4194304 11 0 0 0 0 0 0 0 20 0 1 0 625145 450560 0 "
    "18446744073709551615 0 0 140721941727442 0 0 0 0 16781312 0 0 0 0 17 1 0 0 0 0 0 0 0 0 140721941727442 "
    "140721941727451 140721941727451 140721941727451 0",
}


@pytest.mark.parametrize("said", _BEING_EXECUTED.values(), ids=_BEING_EXECUTED)
def test_one_is_being_executed_until_its_environment_is_shown(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, real = os.getpid(), tokens.stat_of
    monkeypatch.setattr(tokens, "stat_of", lambda pid: real(pid) if pid == own else said.encode().split())
    assert tokens._is_being_executed(16304)


def test_one_that_was_executed_without_an_environment_is_not_waited_for() -> None:
    with subprocess.Popen(["sleep", "300"], env={}) as begun:
        until(Path(f"/proc/{begun.pid}/cmdline").read_bytes, "it was executed")
        until(lambda: not tokens._is_being_executed(begun.pid), "it is known that it was")
        begun.kill()


def test_one_that_was_executed_since_somebody_looked_is_known_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "outlast:executed;"
    with subprocess.Popen(["sleep", "300"], env={**os.environ, VARIABLE: token}) as begun:

        def is_over(pid: int) -> bool:
            until(Path(f"/proc/{pid}/environ").read_bytes, "it was executed")
            return False

        monkeypatch.setattr(tokens, "_is_being_executed", is_over)
        found = tokens._environment_once_executed(begun.pid)
        begun.kill()
    assert token.encode() in found
