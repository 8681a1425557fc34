"""What a real SLURM does not show on request: lost answers, refusals, listings that fail or lack a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.core.evidence import JobEnd
from outlast.errors import OutlastError, SlurmRefused
from outlast.executors.slurm.controller import SlurmExecutor
from outlast.executors.slurm.listing import FetchedExecutor, SlurmJobs
from outlast.executors.slurm.script import JobScript
from outlast.testing.fake_slurm import FakeSlurm
from outlast.testing.manual_clock import FakeClock

MARK, A, B = "outlast:1.2:", "0001.1", "0002.1"
LIMIT = "AssocMaxSubmitJobLimit\nBatch job submission failed: Job violates accounting/QOS policy"
MISTAKE = "Batch job submission failed: Invalid partition name specified"
EVERY = 60.0


class Bench:
    """A controller's executor on a cluster in memory, in time that stands still."""

    def __init__(self, place: Path, *, accounting: bool = False) -> None:
        self.place, self.slurm, self.clock = place, FakeSlurm(accounting=accounting), FakeClock()
        self.said: list[str] = []
        self.executors: list[SlurmExecutor] = []
        self.executor = self.another()

    def another(self) -> SlurmExecutor:
        """The next controller's."""
        jobs = SlurmJobs(self.slurm, every=EVERY, now=self.clock.monotonic)

        def script(name: str, marker: str, log: str) -> JobScript:
            return JobScript("", name, log, ["true"], str(self.place))

        self.executor = SlurmExecutor(jobs, MARK, script, say=self.said.append, now=self.clock.monotonic)
        self.executors.append(self.executor)
        return self.executor

    def submit(self, name: str = A) -> str:
        """Submit; the job's id, empty while it is not known."""
        (self.place / name).mkdir(exist_ok=True)
        self.executor.submit(name, "marker", str(self.place / name / "runner.log"))
        return next((job.job for job in self.executor.take_submissions()), "")

    def later(self, seconds: float = EVERY) -> None:
        """Time passes, and somebody looks."""
        self.clock.advance(seconds)
        self.executor.poll()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# -- submit -----------------------------------------------------------------------------------------------------------


def test_a_job_that_slurm_took_is_told_of_once(bench: Bench) -> None:
    bench.executor.submit(A, "marker", str(bench.place / "runner.log"))
    (taken,) = bench.executor.take_submissions()
    assert (taken.attempt, taken.role) == (A, "trial") and bench.slurm.queue[taken.job].comment == MARK + A
    assert bench.executor.take_submissions() == []


def test_an_answer_that_was_lost_is_looked_for_and_the_job_is_not_submitted_twice(bench: Bench) -> None:
    bench.slurm.lose_answer(accepted=True)
    assert bench.submit() == "" and "asked again" in bench.said[-1]
    assert bench.executor.ended(A) is False, "it waits to be submitted, or to start"
    bench.later(5)
    (taken,) = bench.executor.take_submissions()
    assert taken.job in bench.slurm.queue and bench.slurm.submissions == 1
    bench.later(300)
    assert bench.slurm.submissions == 1 and bench.executor.ended(A) is False


def test_a_submission_that_never_arrived_is_made_again(bench: Bench) -> None:
    bench.slurm.lose_answer(accepted=False)
    bench.submit()
    bench.later(5)
    assert bench.slurm.submissions == 1, "one listing may be early"
    for _ in range(10):
        bench.later(5)
    assert bench.slurm.submissions == 2 and len(bench.slurm.queue) == 1
    bench.later()
    assert bench.executor.ended(A) is False


def test_nothing_is_submitted_again_while_slurm_is_silent(bench: Bench) -> None:
    bench.slurm.lose_answer(accepted=True)
    bench.submit()
    bench.slurm.fall_silent(20)
    for _ in range(20):
        bench.later(30)
        assert bench.executor.ended(A) is False
    assert bench.slurm.submissions == 1
    bench.later(30)
    assert [taken.attempt for taken in bench.executor.take_submissions()] == [A]


def test_a_limit_is_waited_for_and_said_once(bench: Bench) -> None:
    bench.slurm.refuse(LIMIT, times=4)
    bench.submit(A)
    bench.submit(B)
    assert bench.executor.ended(A) is False and len(bench.said) == 1
    bench.later(10)
    assert bench.slurm.submissions == 2, "not at once again"
    bench.later(30)
    assert bench.slurm.submissions == 3, "where one meets the limit the others would"
    for _ in range(4):
        bench.later(31)
    assert {taken.attempt for taken in bench.executor.take_submissions()} == {A, B} and len(bench.said) == 1


def test_a_mistake_is_told_in_slurms_words_and_not_tried_again(bench: Bench) -> None:
    bench.slurm.refuse(MISTAKE)
    with pytest.raises(SlurmRefused, match="Invalid partition"):
        bench.submit()
    for _ in range(5):
        bench.later()
    assert bench.slurm.submissions == 1 and bench.executor.ended(A) is None


def test_a_mistake_that_shows_after_a_limit_is_told_by_poll_once(bench: Bench) -> None:
    bench.slurm.refuse(LIMIT)
    bench.slurm.refuse(MISTAKE)
    bench.submit()
    with pytest.raises(SlurmRefused, match="Invalid partition"):
        bench.later()
    for _ in range(5):
        bench.later()
    assert bench.slurm.submissions == 2


# -- poll, ended, words -----------------------------------------------------------------------------------------------


def test_polling_more_often_than_it_is_worth_costs_nothing(bench: Bench) -> None:
    jobs = [bench.submit(f"{trial:04d}.1") for trial in range(50)]
    for _ in range(100):
        bench.executor.poll()
    assert bench.slurm.listings == 1 and all(jobs), "one query for all, and one an interval"
    bench.later(EVERY)
    assert bench.slurm.listings == 2


def test_a_job_that_waits_has_not_ended(bench: Bench) -> None:
    bench.submit()
    for _ in range(5):
        bench.later()
        assert (bench.executor.ended(A), bench.executor.job_end(A)) == (False, None)


@pytest.mark.parametrize(
    ("state", "ended", "end"),
    [
        ("RUNNING", False, None),
        ("SUSPENDED", False, None),
        ("COMPLETING", False, None),
        ("COMPLETED", True, JobEnd.UNTOLD),
        ("FAILED", True, JobEnd.UNTOLD),
        ("CANCELLED by 0", True, JobEnd.CANCELLED),
        ("TIMEOUT", True, JobEnd.WALLTIME),
        ("NODE_FAIL", True, JobEnd.HOST_LOST),
        ("OUT_OF_MEMORY", True, JobEnd.OUT_OF_MEMORY),
        ("A_STATE_OF_THE_FUTURE", None, None),
        ("REVOKED", None, None),
    ],
)
def test_a_state_says_what_it_says_and_an_unknown_one_nothing(
    bench: Bench, state: str, ended: bool | None, end: JobEnd | None
) -> None:
    job = bench.submit()
    bench.slurm.set(job, state)
    bench.later()
    assert (bench.executor.ended(A), bench.executor.job_end(A)) == (ended, end)


def test_a_job_that_is_missing_once_has_not_ended_and_twice_it_has(bench: Bench) -> None:
    job = bench.submit()
    bench.slurm.set(job, "RUNNING")
    bench.later()
    bench.slurm.hide(job)
    bench.later()
    assert bench.executor.ended(A) is False
    bench.later()
    assert bench.executor.ended(A) is False, "it was late, not gone"
    bench.slurm.hide(job, listings=2)
    bench.later()
    bench.later()
    assert bench.executor.ended(A) is True


def test_a_job_that_was_never_seen_and_is_missing_once_is_unknown(bench: Bench) -> None:
    bench.slurm.hide(bench.submit())
    bench.later()
    assert bench.executor.ended(A) is None


def test_a_listing_that_failed_concludes_nothing(bench: Bench) -> None:
    job = bench.submit()
    bench.slurm.set(job, "RUNNING")
    bench.later()
    bench.slurm.hide(job)
    bench.later()
    bench.slurm.fall_silent(10)
    for _ in range(10):
        bench.later()
        assert bench.executor.ended(A) is False


def test_nothing_changes_between_two_polls(bench: Bench) -> None:
    job = bench.submit()
    bench.slurm.set(job, "RUNNING")
    bench.later()
    bench.slurm.set(job, "CANCELLED")
    bench.clock.advance(EVERY)
    assert (bench.executor.job_end(A), bench.executor.ended(A)) == (None, False)
    bench.executor.poll()
    assert (bench.executor.job_end(A), bench.executor.ended(A)) == (JobEnd.CANCELLED, True)


def test_where_a_word_is_waited_for_the_next_poll_looks_soon(bench: Bench) -> None:
    job = bench.submit()
    bench.slurm.set(job, "RUNNING")
    bench.later()
    bench.slurm.set(job, "TIMEOUT")
    assert bench.executor.job_end(A) is None
    bench.later(5)
    assert bench.executor.job_end(A) == JobEnd.WALLTIME and bench.slurm.listings == 2
    bench.later(5)
    assert bench.slurm.listings == 2, "nobody waits any more"


def test_accounting_says_why_a_purged_job_ended_and_only_listings_that_it_has(tmp_path: Path) -> None:
    bench = Bench(tmp_path, accounting=True)
    job = bench.submit()
    bench.slurm.set(job, "OUT_OF_MEMORY")
    bench.slurm.purge(job)
    bench.later()
    assert bench.executor.ended(A) is not True
    bench.later()
    assert (bench.executor.ended(A), bench.executor.job_end(A)) == (True, JobEnd.OUT_OF_MEMORY)


def test_accounting_is_not_asked_for_what_was_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path, accounting=True)
    job = bench.submit()
    bench.slurm.set(job, "RUNNING")
    bench.later()
    del bench.slurm.queue[job]
    bench.later()
    bench.later()
    assert bench.executor.ended(A) is True and bench.slurm.asked == [(job,)] * 2
    bench.executor.forget(A)
    bench.later()
    assert bench.slurm.asked == [(job,)] * 2 and bench.executor.ended(A) is None


# -- adopt ------------------------------------------------------------------------------------------------------------


def test_a_job_whose_id_was_never_recorded_is_found_by_its_comment(bench: Bench) -> None:
    job = bench.submit()
    bench.another()
    assert bench.executor.adopt(A, None) and bench.executor.ended(A) is None
    bench.executor.poll()
    (taken,) = bench.executor.take_submissions()
    assert (taken.job, taken.attempt) == (job, A)
    bench.later()
    assert bench.executor.ended(A) is False


def test_an_adopted_attempt_whose_job_never_arrived_is_given_up_after_two_listings(bench: Bench) -> None:
    assert bench.executor.adopt(A, None)
    bench.executor.poll()
    assert bench.executor.ended(A) is None
    bench.slurm.fall_silent(3)
    for _ in range(3):
        bench.later(5)
        assert bench.executor.ended(A) is None
    bench.later(5)
    assert (bench.executor.ended(A), bench.executor.job_end(A)) == (True, JobEnd.NEVER_SUBMITTED)
    assert bench.slurm.submissions == 0


def test_a_job_that_was_started_anew_runs_another_attempt(bench: Bench) -> None:
    bench.slurm.add("77", "RUNNING", comment=MARK + A, restarts=1)
    bench.executor.adopt(A, None, job="77", restarts=1)
    bench.executor.poll()
    assert bench.executor.ended(A) is False
    bench.slurm.set("77", "PENDING", restarts=2)
    bench.later()
    assert (bench.executor.ended(A), bench.executor.job_end(A)) == (True, JobEnd.REQUEUED)


# -- cancel, forget ---------------------------------------------------------------------------------------------------


def test_only_the_attempts_own_job_is_cancelled(bench: Bench) -> None:
    first, second = bench.submit(A), bench.submit(B)
    bench.slurm.add("5", "RUNNING")
    bench.executor.cancel(A)
    assert bench.slurm.cancelled == [first]
    bench.later()
    assert (bench.executor.ended(A), bench.executor.job_end(A)) == (True, JobEnd.CANCELLED)
    assert bench.executor.ended(B) is False and bench.slurm.queue[second].state == "PENDING"


def test_what_is_cancelled_while_slurm_is_silent_is_cancelled_later(bench: Bench) -> None:
    job = bench.submit()
    bench.slurm.fall_silent(2)
    bench.executor.cancel(A)
    bench.executor.forget(A)
    assert bench.slurm.cancelled == []
    for _ in range(3):
        bench.later(31)
    assert bench.slurm.cancelled == [job]


def test_silent_slurm_is_not_asked_for_each_job_that_is_cancelled(bench: Bench) -> None:
    jobs = [bench.submit(A), bench.submit(B)]
    bench.slurm.fall_silent(1)  # whoever asked a second time would be answered
    bench.executor.cancel(A)
    bench.executor.cancel(B)
    assert bench.slurm.cancelled == []
    bench.later(31)
    assert sorted(bench.slurm.cancelled) == sorted(jobs)


def test_what_is_cancelled_before_slurm_took_it_is_not_submitted_any_more(bench: Bench) -> None:
    bench.slurm.refuse(LIMIT)
    bench.submit()
    bench.executor.cancel(A)
    for _ in range(3):
        bench.later()
    assert bench.slurm.submissions == 1
    assert (bench.executor.ended(A), bench.executor.job_end(A)) == (True, JobEnd.NEVER_SUBMITTED)


# -- attempts that workers fetched ------------------------------------------------------------------------------------


def fetched(slurm: FakeSlurm, clock: FakeClock) -> FetchedExecutor:
    return FetchedExecutor(SlurmJobs(slurm, now=clock.monotonic))


def test_nothing_is_submitted_for_what_workers_fetch() -> None:
    with pytest.raises(OutlastError, match=A):
        fetched(FakeSlurm(), FakeClock()).submit(A, "marker", "log")


def test_a_fetched_attempt_lives_as_long_as_its_task() -> None:
    slurm, clock = FakeSlurm(), FakeClock()
    executor = fetched(slurm, clock)
    slurm.add("9_4", "RUNNING")
    assert executor.adopt(A, None, job="9_4") and not executor.adopt(B, None)
    assert (executor.ended(A), executor.ended(B), executor.job_end(B)) == (False, None, JobEnd.UNTOLD)
    slurm.set("9_4", "NODE_FAIL")
    clock.advance(EVERY)
    assert executor.ended(A) is False, "nothing changes between two polls"
    executor.poll()
    assert (executor.ended(A), executor.job_end(A)) == (True, JobEnd.HOST_LOST)
    executor.forget(A)
    assert executor.ended(A) is None


def test_slurm_is_asked_only_where_the_attempts_own_files_do_not_tell() -> None:
    slurm, clock = FakeSlurm(), FakeClock()
    executor = fetched(slurm, clock)
    for task in range(50):
        slurm.add(f"9_{task}", "RUNNING")
        executor.adopt(f"{task:04d}.1", None, job=f"9_{task}")
    for _ in range(10):
        executor.poll()
        clock.advance(EVERY)
    assert slurm.listings == 0
    assert not any(executor.ended(f"{task:04d}.1") for task in range(50)) and slurm.listings == 1


def test_a_task_that_is_missing_in_two_turns_has_ended() -> None:
    slurm, clock = FakeSlurm(), FakeClock()
    jobs = SlurmJobs(slurm, now=clock.monotonic)
    said = []
    for _ in range(2):
        turn = FetchedExecutor(jobs)
        turn.adopt(A, None, job="9_4")
        turn.poll()
        said.append(turn.ended(A))
        turn.close()
        clock.advance(EVERY)
    assert said == [None, True]


def test_two_attempts_of_one_task_before_and_after_it_was_started_anew_are_told_apart() -> None:
    slurm, clock = FakeSlurm(), FakeClock()
    executor = fetched(slurm, clock)
    slurm.add("9_4", "RUNNING", restarts=1)
    executor.adopt(A, None, job="9_4", restarts=0)
    executor.adopt(B, None, job="9_4", restarts=1)
    assert (executor.ended(A), executor.ended(B)) == (True, False)
    executor.forget(B)
    executor.poll()
    assert executor.ended(A) is True


def test_a_silent_slurm_ends_no_task() -> None:
    slurm, clock = FakeSlurm(), FakeClock()
    executor = fetched(slurm, clock)
    executor.adopt(A, None, job="9_4")
    slurm.fall_silent(5)
    for _ in range(5):
        executor.poll()
        assert executor.ended(A) is None
        clock.advance(EVERY)
    executor.cancel("0009.1")


def test_without_slurm_a_fetched_attempt_is_told_by_its_files_alone() -> None:
    executor = FetchedExecutor()
    assert not executor.adopt(A, None, job="")
    assert (executor.ended(A), executor.job_end(A)) == (None, JobEnd.UNTOLD)
    executor.cancel(A)
    executor.forget(A)


@pytest.mark.parametrize("poll", [60.0, 3.0])
@pytest.mark.parametrize("away", [50, 700])
@pytest.mark.parametrize(
    "happened", ["ended", "ended, and is known no longer", "never submitted", "submitted", "to be cancelled"]
)
def test_a_controller_is_up_to_date_within_a_poll_after_slurmctld_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happened: str, away: int, poll: float
) -> None:
    monkeypatch.setitem(globals(), "EVERY", poll)
    bench = Bench(tmp_path)
    job = bench.submit(A)
    bench.slurm.set(job, "RUNNING", reason="None")
    bench.later(poll)
    if "submitted" in happened:
        bench.slurm.lose_answer(accepted=happened == "submitted")
        bench.submit(B)
    bench.slurm.fall_silent(100_000)
    if "cancelled" in happened:
        bench.executor.cancel(A)
    for _ in range(away):
        bench.later(1.0)
    assert bench.executor.ended(A) is False and bench.slurm.submissions == 1 + ("submitted" in happened)
    if "ended" in happened:
        bench.slurm.set(job, "NODE_FAIL")
    if "no longer" in happened:
        bench.slurm.purge(job)
    bench.slurm.fall_silent(0)

    def is_known() -> bool:
        if "submitted" in happened:
            return bench.executor.job_end(B) is None and B in [
                taken.attempt for taken in bench.executor.take_submissions()
            ]
        return bench.executor.ended(A) is True if "ended" in happened else bench.slurm.cancelled == [job]

    waited = 0.0
    while not is_known():
        bench.later(0.5)
        waited += 0.5
        assert waited <= max(poll, 20.0), happened
