"""Taking over by itself, on folders as a dead coordinator leaves them: what is adopted, put away, ended and turned away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.waiting import until
from outlast._system.processes import my_identity
from outlast._system.tokens import VARIABLE, processes_with
from outlast.config.settings import MetricSettings, Settings
from outlast.core.records import KEPT
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.kept_attempts import end_kept
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.coordinator import take_over
from outlast.engine.coordinator.watch import Watch
from outlast.errors import LeaseLost
from outlast.runner.spec import token_of_attempt, token_of_study
from outlast.study import requests
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.testing.manual_clock import FakeClock
from outlast.testing.studies import StudyBuilder

SETTINGS = Settings(name="lab", command=("true",), metrics=(MetricSettings(name="score"),))


class Left:
    """A study folder, and the holder that comes to it."""

    def __init__(self, place: Path) -> None:
        self.paths, self.builder = StudyPaths.at(place), StudyBuilder()
        self.said: list[str] = []
        self.adopted: list[str] = []
        self.retained = 0

    def trial(self, state: TrialState, *, marker: bool = True, slot: str = "", **outcome: Any) -> int:
        """A trial in this state whose first attempt was laid out."""
        number = self.builder.trial(state=state, **outcome)
        if slot:
            self.builder.study.trials[number].attempts[-1].slot = slot
        open_attempt(self.paths, number, 1, "{}", {"params.json": "{}"})
        if not marker:
            self.paths.open_marker(number, 1).unlink()
        return number

    def claim(self, number: int) -> None:
        """A runner has: this process, which lives."""
        status = self.paths.attempt(number, 1).alive.stat()
        told = {**my_identity().to_json(), "alive": [status.st_dev, status.st_ino]}
        self.paths.attempt(number, 1).started.write_text(json.dumps(told))

    def taken(
        self, *, unclean: bool = True, momentary: bool = False, asked_before: frozenset[str] = frozenset(),
        fence: Callable[[], object] = lambda: None,
    ) -> Watch:  # fmt: skip
        """The next holder begins."""

        def retain(_study: object) -> None:
            self.retained += 1

        def adopt(name: str, runner: object, **_job: object) -> bool:
            self.adopted.append(name)
            return runner is not None

        study = self.builder.study
        decisions: Any = SimpleNamespace(study=study, clock=FakeClock(), say=self.said.append)
        decisions.pruning = SimpleNamespace(active=False, replay=lambda *_: None)
        executor: Any = SimpleNamespace(adopt=adopt, take_submissions=list)
        derived: Any = SimpleNamespace(retain=retain)
        watch = Watch(self.paths, SETTINGS, decisions, executor, Slots(()))
        take_over(
            self.paths, study, watch, derived, SETTINGS, unclean=unclean, momentary=momentary, asked_before=asked_before,
            fence=fence,
        )  # fmt: skip
        return watch


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def test_what_lives_is_adopted_and_said_so(left: Left) -> None:
    number = left.trial(TrialState.RUNNING)
    left.claim(number)
    watch = left.taken()
    assert list(watch.running) == left.adopted == ["0000.1"]
    assert watch.running["0000.1"].submitted and left.said == ["trial 0 is still running: taken over, not restarted"]


def test_what_no_runner_claimed_never_will_be(left: Left) -> None:
    number = left.trial(TrialState.RUNNING)
    watch = left.taken()
    assert json.loads(left.paths.attempt(number, 1).started.read_text())["void"]
    assert not watch.running["0000.1"].submitted and left.said == []


def test_a_worker_s_attempt_is_left_to_the_worker(left: Left) -> None:
    number = left.trial(TrialState.RUNNING, slot="worker:n1:7:abc")
    assert list(left.taken().running) == ["0000.1"]
    assert left.adopted == [] and not left.paths.attempt(number, 1).started.exists()


@pytest.mark.parametrize("unclean", [True, False])
def test_an_outcome_that_was_durable_before_its_files_were_put_away_has_them_put_away(
    left: Left, unclean: bool
) -> None:
    number = left.trial(TrialState.COMPLETE, values=0.5)
    for _ in range(2):
        assert left.taken(unclean=unclean).running == {}
        files = left.paths.trial(number)
        assert json.loads(files.record.read_text())["state"] == "complete" and not files.attempts.exists()
        assert not left.paths.open_marker(number, 1).exists()
    assert left.retained == 2


@pytest.mark.parametrize(("unclean", "tidied"), [(True, True), (False, False)])
def test_after_an_unclean_end_every_finished_trial_is_looked_at(left: Left, unclean: bool, tidied: bool) -> None:
    number = left.trial(TrialState.COMPLETE, values=0.5, marker=False)
    left.taken(unclean=unclean)
    assert left.paths.trial(number).record.exists() is tidied


def test_a_checkpoint_that_a_training_died_of_is_set_aside_before_it_goes_on(left: Left) -> None:
    number = left.trial(TrialState.INTERRUPTED, cause=Cause.BAD_CHECKPOINT)
    checkpoint = left.paths.trial(number).checkpoints / "epoch-3.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_text("half of it")
    left.taken()
    assert [path.name for path in checkpoint.parent.iterdir()] == [".bad-1-epoch-3.pt"]


@pytest.mark.parametrize("momentary", [True, False])
def test_requests_were_meant_for_the_holder_before_and_stay_for_a_turn(left: Left, momentary: bool) -> None:
    stop = requests.drop(left.paths, "stop")
    before = frozenset({stop.key})
    later = requests.drop(left.paths, "stop")  # by a person who sees that we run
    retry = requests.drop(left.paths, "retry", trials=[0])
    waits, granted = (requests.drop(left.paths, "trial", worker=my_identity().to_json()) for _ in range(2))
    left.trial(TrialState.RUNNING, slot=Slots.name_of(granted))
    left.taken(momentary=momentary, asked_before=before)
    stay = {later.key, retry.key, granted.key}
    expected = stay | {stop.key, waits.key} if momentary else stay
    assert {request.key for request in requests.pending(left.paths)} == expected
    assert requests.read_answer(left.paths, granted) is None, "its attempt was opened: it is handed over"
    answer = requests.read_answer(left.paths, waits)
    assert (answer is None) is momentary and (answer is None or answer["wait"] > 0), "it asks the next holder"


def test_what_runs_of_a_later_holder_is_not_ended(left: Left) -> None:
    def superseded() -> None:
        raise LeaseLost("somebody else has it")

    attempt, kept = (
        subprocess.Popen(["sleep", "60"], env={**os.environ, VARIABLE: token})
        for token in (token_of_attempt(str(left.paths.root), 7, 1), f"{token_of_study(str(left.paths.root))}{KEPT}0;")
    )
    try:
        open_attempt(left.paths, 7, 1, "{}", {})
        status = left.paths.attempt(7, 1).alive.stat()
        told = {**my_identity().to_json(), "alive": [status.st_dev, status.st_ino]}
        left.paths.attempt(7, 1).started.write_text(json.dumps(told))
        left.paths.outputs.mkdir()
        until(lambda: processes_with(token_of_study(str(left.paths.root))), "they wear it")
        with pytest.raises(LeaseLost):
            left.taken(fence=superseded)
        with pytest.raises(LeaseLost):
            end_kept(left.paths, superseded)
        assert attempt.poll() is None and kept.poll() is None
        assert left.paths.open_marker(7, 1).exists()
        left.taken()
        assert attempt.wait() == kept.wait() == -signal.SIGKILL, "of a holder before"
    finally:
        attempt.kill()
        kept.kill()
