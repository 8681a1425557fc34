"""What a controller and the workers conclude about an attempt, from what SLURM says and what its own files say."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from outlast._system.processes import identity_of, my_identity
from outlast.config.settings import MetricSettings, Settings
from outlast.core.evidence import Report, beat
from outlast.core.records import AttemptEnded, Event
from outlast.core.states import TrialState
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.watch import Watch
from outlast.executors.slurm.controller import SlurmExecutor
from outlast.executors.slurm.listing import FetchedExecutor, SlurmJobs
from outlast.study.attempts import give_up, open_attempt
from outlast.study.layout import StudyPaths
from outlast.testing.fake_slurm import FakeSlurm
from outlast.testing.manual_clock import FakeClock
from outlast.testing.studies import StudyBuilder

MARK, JOB, ROUND, LONG = "outlast:1.2:", "1001", 15.0, 300.0
METRIC = MetricSettings(name="score", goal="maximize")
SETTINGS = Settings(name="lab", command=("true",), metrics=(METRIC,))

# -- what SLURM says, from some moment on ------------------------------------------------------------------------------


def state(word: str) -> Callable[[FakeSlurm], None]:
    return lambda slurm: slurm.set(JOB, word)


def missing(listings: int) -> Callable[[FakeSlurm], None]:
    return lambda slurm: slurm.hide(JOB, listings)


SCHEDULER: dict[str, Callable[[FakeSlurm], None]] = {
    "waits": state("PENDING"),
    "runs": state("RUNNING"),
    "suspended": state("SUSPENDED"),
    "completing": state("COMPLETING"),
    "over": state("COMPLETED"),
    "cancelled": state("CANCELLED by 0"),
    "node failed": state("NODE_FAIL"),
    "unknown state": state("A_STATE_OF_THE_FUTURE"),
    "revoked": state("REVOKED"),
    "missing once": missing(1),
    "missing twice": missing(2),
    "missing": lambda slurm: slurm.purge(JOB),
    "query failed": lambda slurm: slurm.fall_silent(10_000),
    "requeued": lambda slurm: slurm.set(JOB, "PENDING", restarts=1),
}
#: What of it is certain knowledge that the job is over.
OVER = {"over", "cancelled", "node failed", "missing twice", "missing", "requeued"}

# -- what the attempt's files say --------------------------------------------------------------------------------------


def claim(bench: Bench, **who: Any) -> None:
    alive = bench.files.alive
    alive.write_bytes(beat(0, 0.0, ""))
    status = os.stat(alive)
    told = {**my_identity().to_json(), **who, "alive": [status.st_dev, status.st_ino]}
    bench.files.started.write_text(json.dumps(told))


def dead() -> dict[str, Any]:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = identity_of(process.pid)
        process.communicate(b"\n")
    assert identity is not None
    return identity.to_json()


ATTEMPT: dict[str, Callable[[Bench], None]] = {
    "unclaimed": lambda bench: None,
    "runs here": lambda bench: claim(bench),
    "beats elsewhere": lambda bench: claim(bench, host="n1"),
    "silent elsewhere": lambda bench: claim(bench, host="n1"),
    "dead here": lambda bench: claim(bench, **dead()),
}


class Bench:
    """One open attempt under watch, a cluster in memory, and time that stands still."""

    def __init__(self, place: Path, *, worker: bool = False, job: str = JOB) -> None:
        self.paths, self.slurm, self.clock, self.builder = (
            StudyPaths.at(place),
            FakeSlurm(),
            FakeClock(),
            StudyBuilder(),
        )
        self.files = self.paths.attempt(0, 1)
        self.decided: list[AttemptEnded] = []
        self.builder.trial(state=TrialState.RUNNING)
        study = self.builder.study
        trial = study.trials[0]
        slot = "worker:n1:7:1" if worker else "slurm:0"
        asker = {"host": "n1", "pid": 7} if worker else {}
        trial.attempts[-1] = replace(trial.attempts[-1], job=job, worker=asker, slot=slot)
        decisions = SimpleNamespace(
            study=study, clock=self.clock, take=self.take, say=lambda text: None, warn=lambda key, text: None,
            pruning=SimpleNamespace(active=False, replay=lambda trial, told: None),
        )  # fmt: skip
        self.slurm.add(JOB, "RUNNING", comment=f"{MARK}0000.1")
        jobs = SlurmJobs(self.slurm, every=30, now=self.clock.monotonic)
        self.executor = (
            FetchedExecutor(jobs)
            if worker
            else SlurmExecutor(jobs, MARK, None, say=lambda text: None, now=self.clock.monotonic)  # type: ignore[arg-type]
        )
        open_attempt(self.paths, 0, 1, "{}", {})
        self.watch = Watch(self.paths, SETTINGS, decisions, self.executor, Slots((slot,)))  # type: ignore[arg-type]
        self.running = self.watch.track(trial, 1, slot)

    def take(self, event: Event) -> None:
        assert isinstance(event, AttemptEnded)
        self.decided.append(event)

    def look(self, seconds: float, *, beats: bool) -> None:
        """Rounds for so long."""
        for _ in range(int(seconds / ROUND)):
            self.clock.advance(ROUND)
            if beats:
                self.files.alive.write_bytes(beat(1, self.clock.seconds, ""))
            self.executor.poll()
            list(self.watch.gather(self.clock.monotonic()))

    @property
    def decision(self) -> str | None:
        """The cause that was put on record; ``None``: it may live."""
        assert len(self.decided) <= 1
        return self.decided[0].cause.value if self.decided else None


def concluded(bench: Bench, attempt: str, scheduler: str) -> str | None:
    """What is on record five minutes after SLURM began to say so."""
    ATTEMPT[attempt](bench)
    beats = attempt == "beats elsewhere"
    bench.watch.take_over()
    if attempt != "dead here":
        bench.look(ROUND, beats=beats)
        assert bench.decision is None
    SCHEDULER[scheduler](bench.slurm)
    bench.look(LONG, beats=beats)
    return bench.decision


def expected_of_a_job(attempt: str, scheduler: str) -> str | None:
    match attempt:
        case "runs here" | "beats elsewhere":
            return None  # it is seen to live, whatever the scheduler says
        case "dead here":
            return "stopped" if scheduler == "cancelled" else "lost"  # whatever the scheduler says, too
        case "silent elsewhere" if scheduler in OVER:
            return "stopped" if scheduler == "cancelled" else "lost"
        case "unclaimed" if scheduler in OVER:  # a loss counts against the trial, unless it is clear that nothing began
            return "never_started" if scheduler in ("cancelled", "node failed", "requeued") else "lost"
    return None


@pytest.mark.parametrize(("attempt", "scheduler"), list(product(ATTEMPT, SCHEDULER)))
def test_only_positive_evidence_ends_the_attempt_of_a_job(tmp_path: Path, attempt: str, scheduler: str) -> None:
    assert concluded(Bench(tmp_path), attempt, scheduler) == expected_of_a_job(attempt, scheduler)


@pytest.mark.parametrize(("attempt", "scheduler"), list(product(ATTEMPT, SCHEDULER)))
def test_only_positive_evidence_ends_what_a_task_fetched(tmp_path: Path, attempt: str, scheduler: str) -> None:
    expected = expected_of_a_job(attempt, scheduler)
    if attempt == "unclaimed":  # the start claims, and after two minutes it is claimed for nobody: no harm to the trial
        expected = "never_started"
    assert concluded(Bench(tmp_path, worker=True), attempt, scheduler) == expected


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ("unclaimed", "never_started"),
        ("runs here", None),
        ("beats elsewhere", None),
        ("silent elsewhere", "lost"),  # a host that nobody can ask about: the heartbeat alone, and longer
        ("dead here", "lost"),
    ],
)
def test_where_nobody_can_be_asked_the_files_alone_decide(tmp_path: Path, attempt: str, expected: str | None) -> None:
    assert concluded(Bench(tmp_path, worker=True, job=""), attempt, "runs") == expected


def test_a_beating_heart_that_falls_silent_has_its_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    claim(bench, host="n1")
    bench.watch.take_over()
    bench.slurm.set(JOB, "COMPLETED")
    bench.look(LONG, beats=True)
    bench.look(45, beats=False)
    assert bench.decision is None, "a network filesystem may show it late"
    bench.look(30, beats=False)
    assert bench.decision == "lost"


def test_an_attempt_that_was_given_up_cannot_be_claimed_by_a_late_runner(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert concluded(bench, "unclaimed", "cancelled") == "never_started"
    assert json.loads(bench.files.started.read_text())["void"]


def test_a_runner_that_claims_in_the_last_moment_is_believed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.watch.take_over()
    bench.slurm.set(JOB, "CANCELLED")
    claim(bench, host="n1")
    bench.look(30, beats=True)
    assert bench.decision is None and not json.loads(bench.files.started.read_text()).get("void")


def test_what_a_living_worker_never_begins_is_given_away(tmp_path: Path) -> None:
    bench = Bench(tmp_path, worker=True, job="")
    bench.running.asker = my_identity()  # it lives, and asks for more: the answer with this attempt never reached it
    bench.watch.take_over()
    bench.look(105, beats=False)
    assert bench.decision is None
    bench.look(30, beats=False)
    assert bench.decision == "never_started"


@pytest.mark.parametrize(
    ("attempt", "unclean", "together"),
    [
        ("dead here", True, True),  # whoever ran the study had died too, without a word
        ("dead here", False, False),
        ("silent elsewhere", True, True),
        ("silent elsewhere", False, False),
        ("beats elsewhere", True, False),  # it outlived the coordinator
    ],
)
def test_what_is_gone_when_the_next_coordinator_comes_went_with_its_host(
    tmp_path: Path, attempt: str, unclean: bool, together: bool
) -> None:
    bench = Bench(tmp_path, worker=True, job="")
    ATTEMPT[attempt](bench)
    bench.watch.take_over(unclean=unclean)
    bench.look(ROUND, beats=attempt == "beats elsewhere")
    bench.look(LONG, beats=False)
    assert bench.decision == "lost" and bench.decided[0].together is together


@pytest.mark.parametrize(("beats", "together"), [((False, False), True), ((False, True), False)])
def test_attempts_that_fall_silent_in_one_moment_went_with_their_host(
    tmp_path: Path, beats: tuple[bool, bool], together: bool
) -> None:
    bench = Bench(tmp_path, worker=True, job="")
    claim(bench, host="n1")
    bench.builder.trial(state=TrialState.RUNNING)
    other = bench.builder.study.trials[1]
    open_attempt(bench.paths, 1, 1, "{}", {})
    files = bench.paths.attempt(1, 1)
    files.started.write_text(bench.files.started.read_text())
    bench.watch.track(other, 1, "worker:n1:8:1")
    bench.watch.take_over()
    for at in range(int(LONG / ROUND)):
        if beats[1] or not at:
            files.alive.write_bytes(beat(at + 1, float(at), ""))
        bench.look(ROUND, beats=not at)
    assert [event.together for event in bench.decided] == [together] * (1 if beats[1] else 2)


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device", "exit.json")


def test_what_ended_before_a_disk_refused_is_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, worker=True, job="")
    claim(bench, **dead())
    bench.builder.trial(state=TrialState.RUNNING)
    open_attempt(bench.paths, 1, 1, "{}", {})
    bench.paths.attempt(1, 1).started.write_text(bench.files.started.read_text())
    bench.watch.track(bench.builder.study.trials[1], 1, "worker:n1:8:1")

    def refused_for_the_second(files: Any, why: str, *host: str) -> Any:
        if files.folder != bench.files.folder:
            raise full()
        return give_up(files, why, *host)

    monkeypatch.setattr("outlast.engine.coordinator.life_signs.give_up", refused_for_the_second)
    over = bench.watch.gather(0.0)
    assert [next(over)[1]] == bench.decided
    with pytest.raises(OSError):
        next(over)
    assert [attempt.trial for attempt in bench.watch.running.values()] == [1]


@pytest.mark.parametrize("reason", ["pruned", "diverged"])
def test_who_was_not_told_to_end_as_the_disk_was_full_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    bench, attempt = (made := Bench(tmp_path)), made.running
    attempt.reports = [Report(1, {SETTINGS.metrics[0].name: float("nan")})]

    def refused(*_: Any, **__: Any) -> None:
        raise full()

    with monkeypatch.context() as disk, pytest.raises(OSError):
        disk.setattr("outlast.engine.coordinator.watch.ask_to_end", refused)
        (bench.watch.prune if reason == "pruned" else bench.watch.end_if_diverged)(attempt)
    assert (attempt.stop_reason, attempt.to_be_told, bench.files.stop.exists()) == (reason, True, False)
    bench.watch.tell(attempt)
    assert not attempt.to_be_told and json.loads(bench.files.stop.read_text())["reason"] == reason
