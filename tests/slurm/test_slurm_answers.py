"""SLURM's answers: states, listings, scripts and options. Pure."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from outlast.errors import StudyFileError
from outlast.executors.slurm.options import read_options
from outlast.executors.slurm.parse import Job, JobLife, Sightings, life_of, parse_sbatch, parse_squeue
from outlast.executors.slurm.script import JobScript, render

STATES = {
    JobLife.WAITING: "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT",
    JobLife.RUNNING: "RUNNING COMPLETING SUSPENDED STOPPED STAGE_OUT SIGNALING RESIZING POWER_UP_NODE",
    JobLife.ENDED: "COMPLETED FAILED CANCELLED CANCELLED+ TIMEOUT NODE_FAIL PREEMPTED OUT_OF_MEMORY BOOT_FAIL DEADLINE REVOKED",
    JobLife.UNKNOWN: "A_STATE_OF_THE_FUTURE",
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


def test_a_listing_is_read_line_by_line() -> None:
    text = "12_3|12|3|RUNNING|None|n1|digits\n14|14|N/A|PENDING|Priority||a|b\nsqueue: warning\n"
    assert parse_squeue(text) == [
        Job("12_3", "12", 3, "RUNNING", "None", "n1", "digits"),
        Job("14", "14", None, "PENDING", "Priority", "", "a|b"),
    ]


def test_the_id_is_found_with_and_without_a_cluster() -> None:
    assert parse_sbatch("123\n") == parse_sbatch("123;north\n") == "123"


def test_an_option_that_outlast_manages_is_refused_with_the_reason() -> None:
    with pytest.raises(StudyFileError, match="managed by Outlast"):
        read_options({"array": "0-3"}, gpus=0, cpus=None, memory=None)


def test_resources_become_options_unless_slurm_says_otherwise() -> None:
    asked = read_options({"partition": "gpu"}, gpus=2, cpus=4, memory=16 * 2**30)
    assert asked.sbatch == {"partition": "gpu", "gpus": "2", "cpus-per-task": "4", "mem": "16384M"}
    asked = read_options({"gres": "gpu:a100:1", "mem_per_cpu": "2G"}, gpus=2, cpus=None, memory=2**30)
    assert asked.sbatch == {"gres": "gpu:a100:1", "mem-per-cpu": "2G"}


def test_any_other_option_is_handed_on_as_given() -> None:
    asked = read_options({"reservation": "ml", "exclusive": True, "hold": False}, gpus=0, cpus=None, memory=None)
    assert asked.sbatch == {"reservation": "ml", "exclusive": None}


def test_a_script_runs_by_hand_and_quotes_what_it_is_given(tmp_path: Path) -> None:
    asked = read_options({"time": "1:00", "setup": ["greeting='it is'"]}, gpus=0, cpus=None, memory=None)
    command, options = ["printf", "%s|", "$HOME", "a b", "it's"], {"array": "0-3%2"}
    script = JobScript("a test", "name", str(tmp_path / "%A.out"), command, str(tmp_path), options, {"X": "$(id)"})
    text = render(script, asked)
    assert "#SBATCH --array=0-3%2\n" in text and "#SBATCH --time=1:00\n" in text
    (tmp_path / "job.sh").write_text(text)
    done = subprocess.run(["bash", str(tmp_path / "job.sh")], capture_output=True, text=True, check=True)
    assert done.stdout == "$HOME|a b|it's|"
