"""What is certain of a job, whatever its scheduler says, and does not say."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from outlast._system import observed
from outlast.core.evidence import JobEnd
from outlast.errors import JobRefused, SchedulerUnavailable
from outlast.executors.base import StudyFacts
from outlast.executors.scheduler_jobs import JobExecutor
from outlast.testing.manual_clock import FakeClock

A, B = "0007.1", "0008.1"
EVERY = 30.0


class Desk(JobExecutor):
    """A scheduler in memory that says what the test tells it to."""

    def __init__(self, study: StudyFacts, clock: FakeClock, queue: dict[str, bool | None]) -> None:
        super().__init__(study, poll=EVERY, now=clock.monotonic)
        self.queue = queue
        self.answers: list[Exception] = []
        self.ended_jobs: list[str] = []
        self.silent: Exception | None = None
        self.started: list[str] = []
        self.listings = self.endings = 0
        self.said: list[str] = []
        self.say = self.said.append

    def _answer(self) -> None:
        if self.silent:
            raise self.silent

    def start(self, name: str, marker: str, log: str) -> str:
        self.started.append(name)
        self._answer()
        if self.answers:
            raise self.answers.pop(0)
        job = f"job-{len(self.started)}-{name}"
        self.queue[job] = True
        return job

    def living(self, jobs: Collection[str]) -> Mapping[str, bool | None]:
        self.listings += 1
        self._answer()
        return {job: self.queue[job] for job in jobs if job in self.queue}

    def end(self, job: str) -> None:
        self.endings += 1
        self._answer()
        self.ended_jobs.append(job)


class Bench:
    """A study's folder, and the executors of coordinators that come and go."""

    def __init__(self, folder: Path) -> None:
        self.jobs, self.clock, self.queue = folder / "study" / "jobs", FakeClock(), {}
        self.executors: list[Desk] = []

    def desk(self, jobs: Path | None = None) -> Desk:
        self.executors.append(Desk(StudyFacts("s", str(jobs or self.jobs)), self.clock, self.queue))
        return self.executors[-1]

    def later(self, desk: Desk, seconds: float = EVERY) -> None:
        self.clock.advance(seconds)
        desk.poll()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for executor in bench.executors:
        executor.close()


def submitted(bench: Bench, desk: Desk, name: str = A) -> str:
    desk.submit(name, "marker", "log")
    return desk.take_submissions()[-1].job


def test_a_job_is_unknown_until_a_listing_shows_it(bench: Bench) -> None:
    desk = bench.desk()
    job = submitted(bench, desk)
    assert desk.ended(A) is None
    desk.poll()
    assert desk.ended(A) is False
    bench.queue[job] = None
    bench.later(desk)
    assert desk.ended(A) is None, "nobody can tell any more"
    bench.queue[job] = False
    bench.later(desk)
    assert desk.ended(A) is True


def test_a_job_that_waits_for_hours_has_not_ended(bench: Bench) -> None:
    desk = bench.desk()
    submitted(bench, desk)
    for _ in range(500):
        bench.later(desk, 60)
        assert desk.ended(A) is False


def test_a_job_that_vanished_is_over_when_a_second_listing_lacks_it(bench: Bench) -> None:
    desk = bench.desk()
    job = submitted(bench, desk)
    desk.poll()
    del bench.queue[job]
    bench.later(desk)
    assert desk.ended(A) is False
    bench.queue[job] = True
    bench.later(desk)
    del bench.queue[job]
    bench.later(desk)
    assert desk.ended(A) is False, "it was late, not gone"
    bench.later(desk, 5)
    assert desk.ended(A) is True


@pytest.mark.parametrize("trouble", [SchedulerUnavailable("qstat gave no answer"), KeyError("a bug of the executor's")])
def test_silence_is_no_ending_and_is_told_once(bench: Bench, trouble: Exception) -> None:
    desk = bench.desk()
    job = submitted(bench, desk)
    desk.poll()
    del bench.queue[job]
    desk.silent = trouble
    for _ in range(20):
        bench.later(desk)
        assert desk.ended(A) is False
    assert len(desk.said) == 1


def test_polling_more_often_than_it_is_worth_costs_nothing(bench: Bench) -> None:
    desk = bench.desk()
    for trial in range(50):
        submitted(bench, desk, f"{trial:04d}.1")
    for _ in range(100):
        desk.poll()
    assert desk.listings == 1


def test_the_first_job_that_is_refused_is_told_and_a_later_one_is_submitted_again(bench: Bench) -> None:
    desk = bench.desk()
    refused, why = JobRefused("qsub: Unknown queue"), OSError("qsub")
    refused.__cause__ = why  # as `raise ... from` leaves it
    desk.answers = [refused]
    with pytest.raises(JobRefused, match="Unknown queue") as kept:
        desk.submit(A, "marker", "log")
    assert kept.value.__cause__ is why
    assert desk.ended(A) is None
    submitted(bench, desk)
    desk.answers = [JobRefused("qsub: would exceed limit")]
    desk.submit(B, "marker", "log")
    assert (desk.ended(B), desk.take_submissions()) == (False, [])
    bench.later(desk)
    assert [taken.attempt for taken in desk.take_submissions()] == [B]


def test_a_bug_of_a_plugged_executor_is_told_and_later_waited_for(bench: Bench) -> None:
    desk = bench.desk()
    desk.answers = [KeyError("image")]
    with pytest.raises(JobRefused, match=r"the executor failed: KeyError\('image'\)"):
        desk.submit(A, "marker", "log")
    assert desk.ended(A) is None
    submitted(bench, desk)
    desk.answers = [KeyError("image")]
    desk.submit(B, "marker", "log")
    assert desk.ended(B) is False and "KeyError" in desk.said[-1]
    bench.later(desk)
    assert [taken.attempt for taken in desk.take_submissions()] == [B]


def test_what_an_earlier_coordinator_could_submit_does_not_hide_that_this_one_cannot(bench: Bench) -> None:
    job = submitted(bench, bench.desk())
    again = bench.desk()
    again.adopt(A, None, job=job)
    again.answers = [JobRefused("qsub: Unknown queue")]
    with pytest.raises(JobRefused, match="Unknown queue"):
        again.submit(B, "marker", "log")


def test_a_full_disk_keeps_no_job_from_the_ledger(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(operation: str, path: str, **_detail: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    desk = bench.desk()
    monkeypatch.setattr(observed, "observer", full)
    assert submitted(bench, desk) in bench.queue


def test_a_silent_scheduler_is_not_asked_for_each_job_that_is_to_end(bench: Bench) -> None:
    desk = bench.desk()
    jobs = [submitted(bench, desk, name) for name in (A, B)]
    desk.silent = SchedulerUnavailable("no answer")
    for name in (A, B):
        desk.cancel(name)
    assert desk.endings == 1
    desk.silent = None
    bench.later(desk)
    assert desk.ended_jobs == jobs


def test_a_limit_is_waited_for_from_the_first_job_on_and_a_submission_without_an_answer_is_made_again(
    bench: Bench,
) -> None:
    desk = bench.desk()
    desk.answers = [JobRefused("too many jobs", limit=True), SchedulerUnavailable("timed out")]
    desk.submit(A, "marker", "log")
    bench.later(desk)
    assert desk.ended(A) is False
    bench.later(desk)
    assert desk.started == [A] * 3 and [taken.attempt for taken in desk.take_submissions()] == [A]


def test_a_job_whose_coordinator_died_before_the_ledger_had_it_is_found(bench: Bench) -> None:
    job = submitted(bench, bench.desk())
    again = bench.desk()
    assert again.adopt(A, None) and not again.adopt(B, None), "what no scheduler has, nobody starts"
    assert [(taken.job, taken.attempt) for taken in again.take_submissions()] == [(job, A)]
    again.poll()
    assert again.ended(A) is False
    again.forget(A)
    assert not bench.desk().adopt(A, None), "what is over leaves nothing behind"


def test_a_copy_of_the_study_ends_no_job_of_the_original(bench: Bench, tmp_path: Path) -> None:
    job = submitted(bench, bench.desk())
    shutil.copytree(bench.jobs, tmp_path / "copy" / "jobs")
    copy = bench.desk(tmp_path / "copy" / "jobs")
    assert copy.adopt(A, None, job=job)
    copy.cancel(A)
    assert copy.ended_jobs == []
    original = bench.desk()
    original.adopt(A, None, job=job)
    original.cancel(A)
    assert original.ended_jobs == [job]


def test_what_is_cancelled_while_the_scheduler_is_silent_is_cancelled_later(bench: Bench) -> None:
    desk = bench.desk()
    job = submitted(bench, desk)
    desk.silent = SchedulerUnavailable("no answer")
    desk.cancel(A)
    desk.forget(A)
    desk.silent = None
    bench.later(desk)
    assert desk.ended_jobs == [job]


def test_what_is_cancelled_before_it_was_taken_is_not_submitted_any_more(bench: Bench) -> None:
    desk = bench.desk()
    desk.silent = SchedulerUnavailable("no answer")
    desk.submit(A, "marker", "log")
    desk.cancel(A)
    desk.silent = None
    bench.later(desk)
    assert desk.started == [A] and desk.ended(A) is True
    assert desk.job_end(A) is JobEnd.NEVER_SUBMITTED
