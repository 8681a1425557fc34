"""PSI/J's executors keep the contract of all executors: its local one for real, PBS by what its commands print."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.errors import JobRefused, MissingExtra, SchedulerUnavailable, UsageError
from outlast.executors.base import Executor, StudyFacts
from outlast.executors.psij import PsijExecutor
from outlast.testing.executors import ExecutorContract, Lab


class TestPsijHere(ExecutorContract):
    def executor(self, lab: Lab) -> Executor:
        return PsijExecutor(StudyFacts("s", str(lab.paths.jobs)), scheduler="local", poll=0.05)


class Pbs:
    """Commands of PBS on the path that print what a test tells them to, and keep the script that was submitted."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.jobs = folder / "bin", folder / "study" / "jobs"
        self.bin.mkdir()
        self.say("qsub", out="41.head")
        self.say("qstat", out=self.listing({}))
        self.say("qdel")

    def say(self, command: str, *, out: str = "", err: str = "", code: int = 0) -> None:
        for kind, text in (("out", out), ("err", err)):
            (self.bin / f"{command}.{kind}").write_text(text)
        script = self.bin / command
        here = self.bin / command
        script.write_text(
            f'#!/bin/sh\necho "$@" >>{here}.calls\n[ -f "$1" ] && cp "$1" {here}.script\n'
            f"cat {here}.out\ncat {here}.err >&2\nexit {code}\n"
        )
        script.chmod(0o755)

    @staticmethod
    def listing(states: dict[str, str]) -> str:
        return json.dumps({"Jobs": {job: {"job_state": state} for job, state in states.items()}})

    @property
    def script(self) -> str:
        return (self.bin / "qsub.script").read_text()


@pytest.fixture
def pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pbs:
    made = Pbs(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


@pytest.fixture
def executor(pbs: Pbs) -> Iterator[PsijExecutor]:
    facts = StudyFacts("s", str(pbs.jobs), cpus=4, memory=2**31)
    made = PsijExecutor(
        facts, scheduler="pbs", queue="gpu", account="lab", walltime="90m", setup="module load cuda", options={"m": "n"}
    )
    yield made
    made.close()


def test_a_job_of_pbs_asks_for_what_the_study_file_says(pbs: Pbs, executor: PsijExecutor, tmp_path: Path) -> None:
    log = tmp_path / "with a blank" / "runner.log"
    log.parent.mkdir()
    assert executor.start("0007.2", "/study/open/0007.2", str(log)) == "41.head"
    for directive in ("-q gpu", "-A lab", "walltime=1:30:0", "ncpus=4", f"mem={2**31}", '-m "n"'):
        assert f"#PBS {directive}" in pbs.script or directive in pbs.script
    body = "\n".join(line for line in pbs.script.splitlines() if "module load" not in line)
    (tmp_path / "job").write_text(body.replace("/study/open/0007.2", "/nowhere").replace(sys.executable, "echo"))
    assert os.system(f"PBS_JOBID=41.head PBS_NODEFILE=/dev/null bash {tmp_path / 'job'}") == 0
    assert log.read_text().strip() == "-m outlast.runner /nowhere", "what the job prints goes to its log"


@pytest.mark.parametrize(
    ("out", "err", "code", "living"),
    [
        (Pbs.listing({"41.head": "Q"}), "", 0, {"41.head": True}),
        (Pbs.listing({"41.head": "R", "42.head": "F"}), "", 0, {"41.head": True, "42.head": False}),
        (Pbs.listing({"41.head": "H"}), "", 0, {"41.head": True}),
        (Pbs.listing({}), "", 0, {}),
        ("", "qstat: Unknown Job Id 41.head\nqstat: Unknown Job Id 42.head\n", 153, {}),
        (Pbs.listing({"41.head": "R"}), "qstat: Unknown Job Id 42.head\n", 153, {"41.head": True}),
        ("", "Connection refused\nqstat: cannot connect to server head (errno=111)", 111, None),
        ("", "", 1, None),
        ("no JSON", "", 0, None),
        (Pbs.listing({"41.head": "a state of the future"}), "", 0, None),
    ],
)
def test_what_qstat_prints_says_what_it_says_and_trouble_nothing(
    pbs: Pbs, executor: PsijExecutor, out: str, err: str, code: int, living: dict[str, bool] | None
) -> None:
    pbs.say("qstat", out=out, err=err, code=code)
    if living is None:
        with pytest.raises(SchedulerUnavailable, match="qstat"):
            executor.living(["41.head", "42.head"])
    else:
        assert executor.living(["41.head", "42.head"]) == living


@pytest.mark.parametrize("scheduler", ["pbs", "pbs_classic", "cobalt"])
def test_every_dialect_of_qsub_gets_a_script_that_runs_the_runner(pbs: Pbs, scheduler: str) -> None:
    pbs.say("qsub", out="4711")
    executor = PsijExecutor(StudyFacts("s", str(pbs.jobs), gpus=0.0, cpus=2), scheduler=scheduler, queue="gpu")
    assert executor.start("0007.1", "/study/open/0007.1", str(pbs.bin / "log")) == "4711"
    executor.close()
    assert "-m outlast.runner /study/open/0007.1" in pbs.script and "walltime" not in pbs.script


def test_gpus_that_a_script_has_no_word_for_are_refused_and_not_forgotten(pbs: Pbs) -> None:
    facts = StudyFacts("s", str(pbs.jobs), gpus=1.0)
    with pytest.raises(UsageError, match=r"no word for resources\.gpus"):
        PsijExecutor(facts, scheduler="pbs")
    PsijExecutor(facts, scheduler="pbs", queue="gpus").close()


def test_lsf_needs_a_walltime_and_says_so(pbs: Pbs) -> None:
    pbs.say("bsub")
    with pytest.raises(UsageError, match="lsf needs a walltime"):
        PsijExecutor(StudyFacts("s", str(pbs.jobs)), scheduler="lsf")


@pytest.mark.parametrize(
    ("lines", "living"),
    [
        (["41 R None"], {"41": True}),
        (["41 R None", "99 PD (a reason of somebody else's)"], {"41": True}),
        (["41 PD Nodes required for job are DOWN", "42 CD"], {"41": True, "42": False}),
        (["41 F RaisedSignal:9(Killed)", "42 R None"], {"41": False, "42": True}),
        (["41 ?? None"], None),
        ([], {}),
    ],
)
def test_what_squeue_prints_says_what_it_says(pbs: Pbs, lines: list[str], living: dict[str, bool] | None) -> None:
    pbs.say("sbatch")
    pbs.say("squeue", out="\n".join(["JOBID ST REASON", *lines, ""]))
    executor = PsijExecutor(StudyFacts("s", str(pbs.jobs)), scheduler="slurm")
    if living is None:
        with pytest.raises(SchedulerUnavailable, match="squeue gave no answer"):
            executor.living(["41", "42"])
    else:
        assert executor.living(["41", "42"]) == living
    executor.close()


@pytest.mark.parametrize(
    ("records", "code", "living"),
    [
        ([{"JOBID": "41", "STAT": "PEND"}], 0, {"41": True}),
        ([{"JOBID": "41", "STAT": "UNKWN"}], 0, {"41": True}),
        ([{"JOBID": "41", "STAT": "EXIT", "EXIT_REASON": "TERM_RUNLIMIT: job killed"}], 0, {"41": False}),
        ([{"JOBID": "41", "STAT": "RUN"}, {"JOBID": "42", "ERROR": "Job <42> is not found"}], 255, {"41": True}),
        (None, 255, None),
    ],
)
def test_what_bjobs_prints_says_what_it_says(
    pbs: Pbs, records: list[dict[str, str]] | None, code: int, living: dict[str, bool] | None
) -> None:
    pbs.say("bsub", out="Job <41> is submitted to queue <gpu>.")
    reasons = {"EXIT_REASON": "", "KILL_REASON": "", "SUSPEND_REASON": ""}
    said = (
        "LSF is down. Please wait ..."
        if records is None
        else json.dumps({"RECORDS": [{**reasons, **r} for r in records]})
    )
    pbs.say("bjobs", out=said, code=code)
    executor = PsijExecutor(StudyFacts("s", str(pbs.jobs)), scheduler="lsf", walltime="4h")
    try:
        assert executor.start("0007.1", "marker", str(pbs.bin / "log")) == "41"
        if living is None:
            with pytest.raises(SchedulerUnavailable, match="bjobs gave no answer"):
                executor.living(["41", "42"])
        else:
            assert executor.living(["41", "42"]) == living
    finally:
        executor.close()


def test_what_qsub_says_when_it_refuses_is_told(pbs: Pbs, executor: PsijExecutor, tmp_path: Path) -> None:
    pbs.say("qsub", err="qsub: Unknown queue\n", code=1)
    with pytest.raises(JobRefused, match="pbs: qsub: Unknown queue"):
        executor.submit("0007.1", "marker", str(tmp_path / "log"))


def test_a_command_that_hangs_is_no_answer(pbs: Pbs, executor: PsijExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.executors.psij_calls._TIMEOUT", 0.1)
    (pbs.bin / "qstat").write_text("#!/bin/sh\nexec sleep 60\n")
    began = time.monotonic()
    with pytest.raises(SchedulerUnavailable, match="timed out"):
        executor.living(["41.head"])
    assert time.monotonic() - began < 30


def test_a_job_is_ended_by_its_id(pbs: Pbs, executor: PsijExecutor) -> None:
    pbs.say("qdel", err="qdel: Job has finished 41.head", code=35)
    executor.end("41.head")
    assert (pbs.bin / "qdel.calls").read_text() == "41.head\n"


def test_where_it_cannot_start_anything_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = StudyFacts("s", str(tmp_path))
    with pytest.raises(UsageError, match="'flux' is unknown; there are pbs"):
        PsijExecutor(facts, scheduler="flux")
    with pytest.raises(UsageError, match="bsub, which is not found here"):
        PsijExecutor(facts, scheduler="lsf", walltime="4h")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="pbs submits with qsub, which is not found here"):
        PsijExecutor(facts, scheduler="pbs")
    monkeypatch.setitem(sys.modules, "psij", None)
    with pytest.raises(MissingExtra) as told:
        PsijExecutor(facts, scheduler="local")
    assert told.value.cure == "pip install 'outlast[psij]'"


def test_an_executor_that_only_check_makes_leaves_the_files_of_a_run_alone(pbs: Pbs, executor: PsijExecutor) -> None:
    facts = StudyFacts("s", str(pbs.jobs))
    PsijExecutor(facts, scheduler="pbs").close()
    assert not pbs.jobs.exists(), "the constructor makes nothing"
    executor.submit("0007.1", "marker", str(pbs.bin / "log"))
    (pbs.jobs / "0007.1.job").unlink()  # as in the moment in which it is being submitted
    PsijExecutor(facts, scheduler="pbs").close()
    assert list((pbs.jobs / "psij").rglob("*.job")), "the scheduler may still have to read it"
