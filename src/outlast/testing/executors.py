"""The contract of `outlast.executors.base` as tests, for any executor. Runs under pytest.

Subclass `ExecutorContract` in a test module, say how the executor is made, and every sentence of the contract is a test::

    class TestMyExecutor(ExecutorContract):
        def executor(self, lab):
            return MyExecutor()

The trainings are a few lines of Python that wait until the test lets them go; they are real, and so is the runner beside them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from outlast._system.locks import is_locked
from outlast._system.processes import Identity, is_running
from outlast.core.evidence import Evidence, JobEnd
from outlast.core.file_names import AttemptPaths, attempt_name
from outlast.executors.base import Executor
from outlast.runner.spec import RunnerSpec
from outlast.study.attempts import inspect, open_attempt
from outlast.study.layout import StudyPaths

__all__ = ["ExecutorContract", "Lab", "LabAttempt"]

#: Says that it began, waits to be let go, and has a score. It ends by itself, whatever becomes of the test.
_TRAINING = """
import os, sys, time
place, until = sys.argv[1], time.monotonic() + 120
with open(os.path.join(place, "begun"), "a") as file:
    file.write("x")
while not os.path.exists(os.path.join(place, "go")) and time.monotonic() < until:
    time.sleep(0.02)
print("score=0.5", flush=True)
"""


class LabAttempt(Struct, frozen=True):
    """An open attempt whose training waits to be let go."""

    name: str  # such as 0007.1
    marker: str
    log: str  # for its runner's own words
    files: AttemptPaths

    def let_go(self) -> None:
        """The training ends well."""
        (self.files.folder / "go").touch()

    @property
    def began(self) -> int:
        """How often its training began."""
        try:
            return (self.files.folder / "begun").stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def runner(self) -> Identity | None:
        """Who claimed it."""
        return inspect(self.files).runner

    @property
    def evidence(self) -> Evidence | None:
        """What its runner left, once it is over."""
        return inspect(self.files).evidence

    @property
    def lives(self) -> bool:
        """Whether a process of it does, on this machine."""
        return bool(is_locked(str(self.files.alive)))


class Lab(Struct):
    """A study folder, and the executors that a test makes one after another, as coordinators come and go."""

    paths: StudyPaths
    make: Callable[[Lab], Executor]
    patience: float = 60.0  # seconds that a runner may take to start, to end, or to be noticed
    _attempts: list[LabAttempt] = []
    _executors: list[Executor] = []

    def executor(self) -> Executor:
        """As a coordinator makes one at its start."""
        made = self.make(self)
        self._executors.append(made)
        return made

    def close(self, executor: Executor) -> None:
        """Its coordinator leaves in order."""
        self._executors.remove(executor)
        executor.close()

    def attempt(self, trial: int = 7, *, marker: str | None = None) -> LabAttempt:
        """Open the first attempt of a trial; with a `marker` of its own, that is what its runner reads."""
        files = self.paths.attempt(trial, 1)
        spec = RunnerSpec(
            trial=trial,
            attempt=1,
            argv=(sys.executable, "-S", "-E", "-c", _TRAINING, str(files.folder)),
            cwd=str(self.paths.root),
            trial_dir=os.path.relpath(self.paths.trial(trial).folder, self.paths.root),
            attempt_dir=os.path.relpath(files.folder, self.paths.root),
            checkpoint_dir=os.path.relpath(self.paths.trial(trial).checkpoints, self.paths.root),
            objectives=({"name": "score", "goal": "maximize"},),
            grace=2.0,
            heartbeat=0.5,
        )
        open_attempt(self.paths, trial, 1, spec.to_json() if marker is None else marker, {})
        made = LabAttempt(attempt_name(trial, 1), str(self.paths.open_marker(trial, 1)), str(files.runner_log), files)
        self._attempts.append(made)
        return made

    def begun(self, executor: Executor, trial: int = 7) -> LabAttempt:
        """An attempt that this executor was given, and whose training runs."""
        attempt = self.attempt(trial)
        executor.submit(attempt.name, attempt.marker, attempt.log)
        self.until(executor, lambda: attempt.began > 0, f"the training of {attempt.name} begins")
        return attempt

    def until(self, executor: Executor, fact: Callable[[], Any], what: str) -> None:
        """Look as a coordinator does until something holds."""
        deadline = time.monotonic() + self.patience
        while not fact():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {self.patience:g} s: {what}\n{self._logs()}")
            executor.poll()
            executor.wait(0.05)
            time.sleep(0.01)  # what has ended ends every wait

    def _logs(self) -> str:
        told = [f"{a.name}: {Path(a.log).read_text()}" for a in self._attempts if os.path.exists(a.log)]
        return "\n".join(told)

    def tear_down(self) -> None:
        """Let everything go, and wait for its end."""
        for attempt in self._attempts:
            attempt.let_go()
        deadline = time.monotonic() + self.patience
        while any(attempt.lives for attempt in self._attempts) and time.monotonic() < deadline:
            time.sleep(0.02)
        for executor in self._executors:
            executor.close()


class ExecutorContract:
    """One test for each sentence. Executors of one test share the cluster, or whatever they start runners on."""

    patience = 60.0

    def executor(self, lab: Lab) -> Executor:
        """A new executor, as for a new coordinator of the same study."""
        raise NotImplementedError

    def job_of(self, executor: Executor, attempt: LabAttempt) -> str:
        """The scheduler's id of the attempt's job, as the coordinator has it on record; empty where there are no jobs."""
        jobs = {taken.attempt: taken.job for taken in executor.take_submissions()}
        return jobs.get(attempt.name, "")

    @pytest.fixture
    def lab(self, tmp_path: Path) -> Iterator[Lab]:
        """A study folder of the test's own."""
        lab = Lab(StudyPaths.at(tmp_path / "study"), self.executor, self.patience)
        lab.paths.ledger.mkdir(parents=True)  # runners look whether anybody decides about this study
        yield lab
        lab.tear_down()

    # submit

    def test_submit_starts_the_runner_of_an_open_attempt(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        attempt.let_go()
        lab.until(executor, lambda: attempt.evidence, "there is evidence")
        assert attempt.evidence is not None
        assert (attempt.evidence.exit_code, dict(attempt.evidence.scores)) == (0, {"score": 0.5})

    def test_submit_returns_at_once(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.attempt()
        executor.submit(attempt.name, attempt.marker, attempt.log)
        assert attempt.evidence is None and executor.ended(attempt.name) is not True

    def test_what_a_runner_says_itself_goes_to_its_log(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.attempt(marker="no JSON")
        executor.submit(attempt.name, attempt.marker, attempt.log)
        lab.until(executor, lambda: executor.ended(attempt.name), "a runner that cannot read its marker has ended")
        assert "JSONDecodeError" in Path(attempt.log).read_text()

    def test_submitting_an_attempt_twice_is_harmless(self, lab: Lab) -> None:
        first, second = lab.executor(), lab.executor()
        attempt = lab.begun(first)
        second.submit(attempt.name, attempt.marker, attempt.log)
        lab.until(second, lambda: second.ended(attempt.name), "the second runner finds the attempt claimed and leaves")
        assert first.ended(attempt.name) is not True and attempt.evidence is None
        attempt.let_go()
        lab.until(first, lambda: attempt.evidence, "the first one goes on to its end")
        assert attempt.evidence is not None and (attempt.evidence.exit_code, attempt.began) == (0, 1)

    def test_attempts_run_side_by_side(self, lab: Lab) -> None:
        executor = lab.executor()
        attempts = [lab.attempt(trial) for trial in range(3)]
        for attempt in attempts:
            executor.submit(attempt.name, attempt.marker, attempt.log)
        lab.until(executor, lambda: all(attempt.began for attempt in attempts), "all of them run")
        attempts[1].let_go()
        lab.until(executor, lambda: executor.ended(attempts[1].name), "one has ended")
        executor.poll()
        assert [executor.ended(attempt.name) is True for attempt in attempts] == [False, True, False]

    # adopt

    def test_a_runner_outlives_its_executor_and_is_adopted_by_the_next(self, lab: Lab) -> None:
        first = lab.executor()
        attempt = lab.begun(first)
        job = self.job_of(first, attempt)
        lab.close(first)
        second = lab.executor()
        assert second.adopt(attempt.name, attempt.runner, job=job)
        second.poll()
        assert second.ended(attempt.name) is not True and attempt.lives
        attempt.let_go()
        lab.until(second, lambda: second.ended(attempt.name), "the adopted runner has ended")
        assert attempt.evidence is not None and (attempt.evidence.exit_code, attempt.began) == (0, 1)

    def test_an_adopted_attempt_is_found_without_the_id_of_its_job(self, lab: Lab) -> None:
        first = lab.executor()
        attempt = lab.begun(first)
        lab.close(first)
        second = lab.executor()
        assert second.adopt(attempt.name, attempt.runner)
        lab.until(second, lambda: second.ended(attempt.name) is False, "it is known to live")
        attempt.let_go()
        lab.until(second, lambda: second.ended(attempt.name), "it has ended")

    def test_what_nobody_submitted_is_not_waited_for(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.attempt()
        if executor.adopt(attempt.name, None):
            assert executor.ended(attempt.name) is not True, "nothing was looked at yet"
            lab.until(executor, lambda: executor.ended(attempt.name), "it is certain that nobody will start it")
        assert attempt.began == 0

    # poll, ended, words

    def test_an_attempt_that_nobody_mentioned_is_unknown(self, lab: Lab) -> None:
        executor = lab.executor()
        executor.poll()
        assert executor.ended("0003.1") is None

    def test_while_a_runner_lives_it_has_not_ended(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        lab.until(executor, lambda: executor.ended(attempt.name) is False, "it is known to live")
        for _ in range(20):
            executor.poll()
            assert executor.ended(attempt.name) is False

    def test_a_runner_that_is_killed_has_ended(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        assert attempt.runner is not None
        os.kill(attempt.runner.pid, signal.SIGKILL)
        lab.until(executor, lambda: executor.ended(attempt.name), "the killed runner has ended")
        assert attempt.evidence is None, "the executor never says how a trial ended"

    def test_a_good_end_has_nothing_more_to_be_told(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        attempt.let_go()
        lab.until(executor, lambda: executor.ended(attempt.name), "it has ended")
        assert executor.job_end(attempt.name) is JobEnd.UNTOLD

    # wait

    def test_a_wait_is_over_after_its_timeout(self, lab: Lab) -> None:
        executor, began = lab.executor(), time.monotonic()
        executor.wait(0.05)
        assert time.monotonic() - began < self.patience

    def test_a_wait_ends_early_for_whoever_writes_to_it(self, lab: Lab) -> None:
        executor, began = lab.executor(), time.monotonic()
        os.write(executor.wake_fd, b"!")
        executor.wait(10 * self.patience)
        assert time.monotonic() - began < self.patience

    def test_a_wait_ends_early_for_a_watched_descriptor(self, lab: Lab) -> None:
        executor, began = lab.executor(), time.monotonic()
        ours, theirs = os.pipe()
        try:
            os.write(theirs, b"!")
            executor.watch_fd(ours)
            executor.wait(10 * self.patience)
            executor.unwatch_fd(ours)
            assert time.monotonic() - began < self.patience
        finally:
            os.close(ours)
            os.close(theirs)

    # cancel, forget, close

    def test_cancel_ends_a_runner_and_no_other(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt, other = lab.begun(executor, 1), lab.begun(executor, 2)
        runner = attempt.runner
        assert runner is not None
        executor.cancel(attempt.name)
        lab.until(executor, lambda: executor.ended(attempt.name), "it has ended")
        lab.until(executor, lambda: not is_running(runner) and not attempt.lives, "nothing of it lives")
        other.let_go()
        lab.until(executor, lambda: other.evidence, "the other one goes on to its end")
        assert other.evidence is not None and other.evidence.exit_code == 0

    def test_cancelling_what_is_over_or_unknown_is_harmless(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        attempt.let_go()
        lab.until(executor, lambda: executor.ended(attempt.name), "it has ended")
        for name in (attempt.name, "0003.1"):
            executor.cancel(name)
        assert attempt.evidence is not None and attempt.evidence.exit_code == 0

    def test_what_is_forgotten_goes_on_and_is_unknown(self, lab: Lab) -> None:
        executor = lab.executor()
        attempt = lab.begun(executor)
        executor.forget(attempt.name)
        executor.forget("0003.1")
        executor.poll()
        assert executor.ended(attempt.name) is None
        attempt.let_go()
        lab.until(executor, lambda: attempt.evidence, "it goes on to its end")
        assert attempt.evidence is not None and attempt.evidence.exit_code == 0

    def test_close_ends_nothing(self, lab: Lab) -> None:
        executor, other = lab.executor(), lab.executor()
        attempt = lab.begun(executor)
        runner = attempt.runner
        lab.close(executor)
        assert runner is not None and is_running(runner)
        attempt.let_go()
        lab.until(other, lambda: attempt.evidence, "it goes on to its end")
        assert attempt.evidence is not None and attempt.evidence.exit_code == 0
