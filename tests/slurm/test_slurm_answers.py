"""SLURM's answers: states, listings, scripts and options. Pure."""

from __future__ import annotations

import pytest

from outlast.core.evidence import JobEnd
from outlast.executors.slurm.listing import SlurmJobs
from outlast.executors.slurm.parse import (
    Job,
    JobLife,
    Refusal,
    Sightings,
    life_of,
    parse_sacct,
    parse_sbatch,
    parse_squeue,
    parse_start,
    refusal_of,
    refusal_words,
)
from outlast.testing.fake_slurm import FakeSlurm
from outlast.testing.manual_clock import FakeClock

STATES = {
    JobLife.WAITING: "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT EXPEDITING",
    JobLife.RUNNING: "RUNNING COMPLETING SUSPENDED STOPPED STAGE_OUT SIGNALING RESIZING POWER_UP_NODE",
    JobLife.ENDED: "COMPLETED FAILED CANCELLED CANCELLED+ TIMEOUT NODE_FAIL PREEMPTED OUT_OF_MEMORY BOOT_FAIL DEADLINE",
    JobLife.UNKNOWN: "REVOKED LAUNCH_FAILED RECONFIG_FAIL UPDATE_DB A_STATE_OF_THE_FUTURE ?",
}
NAMED = [(state, life) for life, states in STATES.items() for state in states.split()]


@pytest.mark.parametrize(("state", "life"), [*NAMED, ("", JobLife.UNKNOWN), ("CANCELLED by 1000", JobLife.ENDED)])
def test_every_state_has_its_meaning_and_an_unknown_one_has_none(state: str, life: JobLife) -> None:
    assert life_of(state) is life


def job(state: str) -> Job:
    return Job("7_1", "7", 1, state)


@pytest.mark.parametrize(
    ("listings", "over"),
    [
        ([[job("RUNNING")]], False),
        ([[job("COMPLETED")]], True),
        ([[job("NEVER_HEARD_OF")]], False),
        ([[job("NEVER_HEARD_OF")]] * 5, False),
        ([[]], False),  # missing once
        ([[], []], True),  # missing twice
        ([None, None, None], False),  # the query failed
        ([[], None, []], True),  # a failed query neither counts nor breaks a row
        ([[], [job("RUNNING")], []], False),  # it was late, not gone
        ([[job("COMPLETED")], [job("PENDING")]], False),  # requeued
    ],
)
def test_only_positive_evidence_ends_a_job(listings: list[list[Job] | None], over: bool) -> None:
    sightings = Sightings()
    for listing in listings:
        sightings.take(listing, ["7_1"])
    assert sightings.certainly_over("7_1") is over


def record(*fields: str) -> str:
    return "\x1f".join(fields) + "\x1e\n"


def test_a_listing_is_read_whatever_names_and_comments_hold() -> None:
    text = (
        record("12_3", "12", "3", "RUNNING", "None", "n[1-2]", "digits", "(null)", "2", "1795631796", "1795635396")
        + "squeue: a warning\n"
        + record("14", "14", "N/A", "PENDING", "Priority", "", "a|b, c=d", "two\nlines", "0", "N/A", "NONE")
        + record("15", "cut off")
    )
    assert parse_squeue(text) == [
        Job("12_3", "12", 3, "RUNNING", "None", "n[1-2]", "digits", "", 2, 1795631796.0, 1795635396.0),
        Job("14", "14", None, "PENDING", "Priority", "", "a|b, c=d", "two\nlines"),
    ]


def test_accounting_tells_of_what_has_ended_only() -> None:
    rows = (
        ("3", "CANCELLED by 0", "n1", "100", "200"),
        ("1_0", "RUNNING", "n1", "100", "Unknown"),
        ("1_[2,7%2]", "PENDING", "", "", ""),
    )
    text = "\n".join("\x1f".join(row) for row in rows)
    assert parse_sacct(text) == [Job("3", "3", None, "CANCELLED by 0", "", "n1", starts=100.0, ends=200.0)]


def test_accounting_explains_an_end_but_is_no_evidence_of_one() -> None:
    sightings = Sightings()
    sightings.take([Job("7_1", "7", 1, "RUNNING", restarts=2)], ["7_1"])
    sightings.take([], ["7_1"])
    assert sightings.missing == ["7_1"]
    sightings.explain([Job("7_1", "7", 1, "PREEMPTED"), Job("9", "9", None, "FAILED")])
    assert not sightings.certainly_over("7_1")  # it may wait for its next start
    assert sightings.last("7_1") == Job("7_1", "7", 1, "PREEMPTED", restarts=2) and sightings.last("9") is None
    sightings.take([], ["7_1"])
    assert sightings.certainly_over("7_1") and sightings.missing == []
    assert sightings.last("7_1").end is JobEnd.PREEMPTED


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ("COMPLETED", JobEnd.UNTOLD),  # what the runner saw says more
        ("FAILED", JobEnd.UNTOLD),
        ("CANCELLED by 1000", JobEnd.CANCELLED),
        ("TIMEOUT", JobEnd.WALLTIME),
        ("DEADLINE", JobEnd.WALLTIME),
        ("PREEMPTED", JobEnd.PREEMPTED),
        ("NODE_FAIL", JobEnd.HOST_LOST),
        ("BOOT_FAIL", JobEnd.HOST_LOST),
        ("OUT_OF_MEMORY", JobEnd.OUT_OF_MEMORY),
        ("RUNNING", JobEnd.UNTOLD),  # and then missing
        ("A_STATE_OF_THE_FUTURE", JobEnd.UNTOLD),
    ],
)
def test_the_scheduler_says_why_a_job_ended(state: str, end: JobEnd) -> None:
    assert Job("7", "7", None, state).end is end


_POLICY = (
    "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        (f"AssocMaxSubmitJobLimit\nsbatch: error: {_POLICY}", Refusal.LIMIT),
        (f"QOSMaxSubmitJobPerUserLimit\nsbatch: error: {_POLICY}", Refusal.LIMIT),
        (f"QOSGrpSubmitJobsLimit\nsbatch: error: {_POLICY}", Refusal.LIMIT),
        (_POLICY, Refusal.LIMIT),  # which one is not told
        (f"QOSMaxCpuPerUserLimit\nsbatch: error: {_POLICY}", Refusal.MISTAKE),
        (f"QOSMaxWallDurationPerJobLimit\nsbatch: error: {_POLICY}", Refusal.MISTAKE),
        ("Batch job submission failed: Required partition not available (inactive or drain)", Refusal.LIMIT),
        ("Slurm temporarily unable to accept job, sleeping and retrying", Refusal.LIMIT),
        ("Batch job submission failed: Invalid partition name specified", Refusal.MISTAKE),
        ("Batch job submission failed: Requested node configuration is not available", Refusal.MISTAKE),
        (
            "Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
            Refusal.MISTAKE,
        ),
        ("Batch job submission failed: Access/permission denied", Refusal.MISTAKE),
        ("Batch job submission failed: Invalid job array specification", Refusal.MISTAKE),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", Refusal.NO_ANSWER),
        ("Batch job submission failed: Socket timed out on send/recv operation", Refusal.NO_ANSWER),
        ("Batch job submission failed: Zero Bytes were transmitted or received", Refusal.NO_ANSWER),
        ("Batch job submission failed: Slurm backup controller in standby mode", Refusal.NO_ANSWER),
        ("Batch job submission failed: Protocol authentication error", Refusal.NO_ANSWER),
        ("fatal: Could not establish a configuration source", Refusal.NO_ANSWER),
    ],
)
def test_a_refusal_is_a_limit_a_mistake_or_no_answer(words: str, meaning: Refusal) -> None:
    assert refusal_of(words) is meaning


def test_the_id_is_found_with_and_without_a_cluster() -> None:
    assert parse_sbatch("123\n") == parse_sbatch("123;north\n") == "123"


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            "sbatch: error: invalid partition specified: x\nallocation failure: Invalid partition name specified\n",
            "invalid partition specified: x; Invalid partition name specified",
        ),
        (
            "sbatch: unrecognized option '--x=3'\nTry \"sbatch --help\" for more information\n",
            "unrecognized option '--x=3'",
        ),
        ("sbatch: error: Batch job submission failed: Invalid qos specification\n", "Invalid qos specification"),
    ],
)
def test_what_sbatch_said_is_one_line(stderr: str, words: str) -> None:
    assert refusal_words(stderr) == words


def test_the_start_that_a_test_promises_is_read() -> None:
    assert (
        parse_start("sbatch: Job 1 to start at 1795633177 using 1 processors on nodes n1 in partition gpu\n")
        == 1795633177.0
    )
    assert parse_start("sbatch: nothing of that kind") is None


def test_a_task_that_was_started_anew_and_is_just_leaving_has_not_said_why_yet() -> None:
    slurm, time = FakeSlurm(), FakeClock()
    jobs = SlurmJobs(slurm, every=0.0, now=time.monotonic)
    slurm.add("5_0", "COMPLETING", restarts=1)
    jobs.watch("5_0")
    jobs.look()
    assert jobs.end("5_0", 1) is None
    assert jobs.end("5_0", 0) is JobEnd.REQUEUED
    slurm.set("5_0", "CANCELLED by 1000")
    jobs.look()
    assert jobs.end("5_0", 1) is JobEnd.CANCELLED
