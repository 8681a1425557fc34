"""What the `slurm:` section asks for, and the scripts that come of it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from outlast._system.job_environment import ENDS_IN, NOTICE, JobFacts, seconds_left
from outlast.config.load import load_study_file
from outlast.config.settings import ResourceSettings
from outlast.config.slurm_section import read_site, srun_arguments
from outlast.engine.cluster.inspection import check_cluster
from outlast.errors import StudyFileError, UsageError
from outlast.executors.slurm.planning import array_option, slot_limit, tasks_for
from outlast.executors.slurm.script import JobScript, render
from outlast.executors.slurm.section import read_options

STUDY = """\
name: digits
command: true ${args}
metric: {name: acc, goal: maximize}
parameters: {x: {min: 0.0, max: 1.0}}
budget: {trials: 4}
slurm:
  partition: gpu
"""


def loaded(tmp_path: Path, more: str = "") -> dict[str, object]:
    (tmp_path / "study.yaml").write_text(STUDY + more)
    return load_study_file(str(tmp_path / "study.yaml")).slurm or {}


@pytest.mark.parametrize(
    "option", ["array: 0-3", "job-name: x", "output: a.out", "wrap: ls", "requeue: true", "clusters: b"]
)
def test_an_option_that_outlast_manages_is_refused_with_line_and_reason(tmp_path: Path, option: str) -> None:
    with pytest.raises(StudyFileError, match="managed by Outlast") as refused:
        loaded(tmp_path, f"  {option}\n")
    assert refused.value.line == 8
    assert refused.value.key == f"slurm.{option.split(':')[0]}"


@pytest.mark.parametrize(
    "option", ["mode: batch", "poll: soon", "trials_per_task: 0", "barrier: maybe", "gpus: [1, 2]"]
)
def test_a_key_with_a_wrong_value_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        loaded(tmp_path, f"  {option}\n")
    assert refused.value.line == 8


def test_any_other_option_is_handed_on_as_given(tmp_path: Path) -> None:
    section = loaded(tmp_path, "  reservation: ml\n  exclusive: true\n  mem-per-cpu: 2G\n  nice: 0\n")
    asked = read_options(section, ResourceSettings())
    assert asked.sbatch == {
        "partition": "gpu",
        "reservation": "ml",
        "exclusive": None,
        "mem-per-cpu": "2G",
        "nice": "0",
    }


def test_resources_become_options_unless_slurm_says_otherwise() -> None:
    asked = read_options({"partition": "gpu"}, ResourceSettings(gpus=2, cpus=4, memory=16 * 2**30))
    assert asked.sbatch == {"partition": "gpu", "gpus": "2", "cpus-per-task": "4", "mem": "16384M"}
    asked = read_options({"gres": "gpu:a100:1", "mem_per_cpu": "2G"}, ResourceSettings(gpus=2, memory=2**30))
    assert asked.sbatch == {"gres": "gpu:a100:1", "mem-per-cpu": "2G"}


def test_a_task_of_several_trials_side_by_side_asks_for_room_for_all() -> None:
    asked = read_options({"trials_at_once": 4}, ResourceSettings(gpus=0.5, cpus=2, memory=2**30))
    assert asked.sbatch == {"gpus": "2", "cpus-per-task": "8", "mem": "4096M"}


@pytest.mark.parametrize(
    ("site", "section", "said", "cure"),
    [
        ({}, {"srun": True, "trials_at_once": 2}, "`srun` with `trials_at_once: 2`", "leave one of them out"),
        ({"trials_at_once": 2}, {"srun": True}, "`srun` with `trials_at_once: 2`", "leave one of them out"),
        ({}, {"barrier": True}, "`barrier` in mode array", "mode: controller"),
        ({"mode": "array"}, {"barrier": True}, "`barrier` in mode array", "mode: controller"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    site: dict[str, object], section: dict[str, object], said: str, cure: str
) -> None:
    with pytest.raises(UsageError) as refused:
        read_options(section, ResourceSettings(), site=site)
    assert said in refused.value.fact and cure in (refused.value.cure or "")


def test_check_says_so_without_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY + "  barrier: true\n")
    [finding] = check_cluster(load_study_file(str(tmp_path / "study.yaml")), str(tmp_path / "folder"))
    assert (
        finding.level == "error" and "`barrier` in mode array" in finding.text and "controller" in (finding.cure or "")
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"signal": "USR1@90"}, "reaches job steps, and without `srun` the training is none"),
        ({"signal": "R:TERM@90"}, "reaches job steps"),
        ({"signal": "B:USR1@90"}, "reaches Outlast and not the training, which expects no USR1"),
        ({"signal": "b:SIGUSR2", "srun": True}, "which expects no USR2"),
        ({"signal": "soon"}, "reaches job steps"),
        ({"signal": "B:TERM@90s"}, "is not of sbatch's form"),
    ],
)
def test_a_signal_that_nobody_would_hear_is_refused(section: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_options(section, ResourceSettings())
    assert said in refused.value.fact and refused.value.cure


@pytest.mark.parametrize(
    ("section", "notice"),
    [
        ({"signal": "B:TERM@120"}, 120.0),
        ({"signal": "B:15"}, 60.0),
        ({"signal": "USR1@90", "srun": True}, None),
        ({"signal": 10, "srun": ["--mpi=pmix"]}, None),
        ({}, None),
    ],
)
def test_a_signal_that_is_heard_is_handed_on(section: dict[str, object], notice: float | None) -> None:
    asked = read_options(section, ResourceSettings())
    assert asked.notice_s == notice and asked.sbatch.get("signal") == (str(section["signal"]) if section else None)
    assert "signal" not in asked.small


@pytest.mark.parametrize(
    ("left", "notice", "over"), [(170, "120", True), (200, "120", False), (20, "120", True), (20, None, False)]
)
def test_a_notice_is_the_walltime_s_only_near_its_end(left: int, notice: str | None, over: bool) -> None:
    told = {"SLURM_JOB_ID": "7", ENDS_IN: str(left), **({NOTICE: notice} if notice else {})}
    job = JobFacts.of(told)
    assert job is not None and job.is_out_of_time() is over


@pytest.mark.parametrize(
    ("walltime", "gone", "over"),
    [(4000.0, 3650.0, False), (4000.0, 3750.0, True), (500.0, 350.0, False), (500.0, 450.0, True), (None, 9e9, False)],
)
def test_a_small_job_gives_up_its_place_before_its_walltime_is_over(
    walltime: float | None, gone: float, over: bool
) -> None:
    job = JobFacts("7", "7", seconds=walltime, began=time.monotonic() - gone)
    assert job.is_almost_over(300.0) is over


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        (True, ()),
        (False, ()),
        ("--mpi=pmix --cpu-bind='map_cpu:0,1'", ("--mpi=pmix", "--cpu-bind=map_cpu:0,1")),
        (["--container-image=a b", "-l"], ("--container-image=a b", "-l")),
    ],
)
def test_srun_s_own_arguments_are_taken_as_text_or_as_a_list(given: object, arguments: tuple[str, ...]) -> None:
    assert srun_arguments(given) == arguments
    assert read_options({"srun": given}, ResourceSettings()).srun is bool(given)


def test_a_small_job_waits_for_nobody_else(tmp_path: Path) -> None:
    for option in ("dependency: afterok:7", "signal: B:TERM@60"):
        with pytest.raises(StudyFileError, match="managed by Outlast"):
            loaded(tmp_path, f"  controller: {{{option}}}\n")


def test_options_that_go_together_are_not_refused() -> None:
    read_options({"srun": True, "trials_at_once": 1}, ResourceSettings())
    read_options({"srun": False, "trials_at_once": 2, "barrier": False}, ResourceSettings())
    read_options({"barrier": True}, ResourceSettings(), site={"mode": "controller"})


def test_small_jobs_go_where_the_others_go_and_ask_for_one_cpu() -> None:
    section = {"partition": "gpu", "account": "ml", "gpus": "2", "controller": {"partition": "cpu", "mem": "2G"}}
    asked = read_options(section, ResourceSettings())
    assert asked.small == {"ntasks": "1", "cpus-per-task": "1", "partition": "cpu", "account": "ml", "mem": "2G"}


def test_the_site_s_defaults_lie_under_the_study_file_s(tmp_path: Path) -> None:
    (tmp_path / "outlast.yaml").write_text("slurm:\n  account: ml\n  partition: long\n  setup: [module load cuda]\n")
    site = read_site(str(tmp_path / "outlast.yaml"))
    asked = read_options({"partition": "gpu"}, ResourceSettings(), site=site["slurm"])
    assert asked.sbatch == {"account": "ml", "partition": "gpu"}
    assert asked.setup == ("module load cuda",)
    assert read_site(str(tmp_path / "none.yaml")) == {}


def test_a_wrong_site_file_is_refused_with_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "outlast.yaml").write_text("slurm:\n  array: 1-3\n")
    with pytest.raises(StudyFileError) as refused:
        read_site(str(tmp_path / "outlast.yaml"))
    assert refused.value.file == str(tmp_path / "outlast.yaml")
    assert refused.value.line == 2


def test_a_script_runs_by_hand_and_quotes_what_it_is_given(tmp_path: Path) -> None:
    script = JobScript(
        "a test", "name", str(tmp_path / "%A.out"), ["printf", "%s|", "$HOME", "a b", "it's"], str(tmp_path),
        {"array": "0-3%2", "time": "1:00"}, ["greeting='it is'"], {"X": "$(id)"}, "outlast:1.2:array", ["By hand: so"],
    )  # fmt: skip
    text = render(script)
    assert "#SBATCH --array=0-3%2\n" in text and "#SBATCH --time=1:00\n" in text
    assert "# By hand: so\n" in text
    (tmp_path / "job.sh").write_text(text)
    done = subprocess.run(["bash", str(tmp_path / "job.sh")], capture_output=True, text=True, check=True)
    assert done.stdout == "$HOME|a b|it's|"


def test_a_command_of_several_lines_costs_a_script_none_of_its_directives(tmp_path: Path) -> None:
    script = JobScript(
        "a test", "name", str(tmp_path / "%j.out"), ["printf", "%s|", "a\nb"], str(tmp_path), {"time": "1:00"},
        by_hand=["By hand:", "  python -c 'import this\ntouch harm\n#SBATCH --time=9\n'"],
    )  # fmt: skip
    text = render(script)
    head = text.partition("\n\n")[0].splitlines()
    assert all(line.startswith("#") for line in head), "sbatch reads directives up to the first line of another kind"
    directives = [line for line in head if line.startswith("#SBATCH")]
    assert head[1 : 1 + len(directives)] == directives and "#SBATCH --time=9" not in directives
    assert "# touch harm" in head
    (tmp_path / "job.sh").write_text(text)
    done = subprocess.run(["bash", "job.sh"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "a\nb|" and not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("told", "left"),
    [({}, 96), ({"SLURM_JOB_START_TIME": "5000", "SLURM_JOB_END_TIME": "5050"}, 46)],
    ids=["asked for", "given"],
)
def test_the_time_that_setup_takes_is_taken_from_the_walltime(tmp_path: Path, told: dict[str, str], left: int) -> None:
    script = JobScript(
        "a test", "name", "log", ["printenv", ENDS_IN], str(tmp_path), setup=["SECONDS=4  # as if it took that long"],
        walltime_s=100.0,
    )  # fmt: skip
    (tmp_path / "job.sh").write_text(render(script))
    environment = {**os.environ, **told}
    done = subprocess.run(["bash", tmp_path / "job.sh"], capture_output=True, text=True, check=True, env=environment)
    job = JobFacts.of({"SLURM_JOB_ID": "1", ENDS_IN: done.stdout.strip(), **told})
    assert job is not None and job.seconds is not None and left - 2 <= job.seconds <= left
    assert job.seconds == seconds_left({ENDS_IN: done.stdout.strip(), **told})


@pytest.mark.parametrize(
    ("trials", "per_task", "at_once", "most", "tasks"),
    [(100, 1, 1, None, 100), (100, 1, 1, 11, 11), (100, 3, 2, None, 17), (0, 1, 1, None, 0), (-2, 1, 1, 5, 0)],
)
def test_an_array_has_a_task_for_each_share_of_the_trials(
    trials: int, per_task: int, at_once: int, most: int | None, tasks: int
) -> None:
    assert tasks_for(trials, per_task=per_task, at_once=at_once, most=most) == tasks


def test_the_array_option_is_slurm_s() -> None:
    assert array_option(100, 6) == "0-99%6"
    assert array_option(4, 6) == array_option(4, None) == "0-3"
    assert slot_limit({"MaxArraySize": "11"}) == 11
    assert slot_limit({}) is None
