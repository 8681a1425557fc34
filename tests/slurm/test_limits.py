"""What a cluster does not allow: long arrays, many jobs, shared nodes, submitting from nodes, long jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster import Cluster, running_cluster
from lab.slurm import SlurmLab
from lab.waiting import until
from outlast.core.states import Cause


@pytest.fixture(scope="module")
def strict(slurm_installed: None) -> Iterator[Cluster]:
    """Arrays of at most 11 tasks, 20 jobs in the queue, and whole nodes only."""
    extra, partition = "MaxArraySize=11\nAccountingStorageEnforce=limits", "OverSubscribe=EXCLUSIVE"
    with running_cluster(accounting=True, extra=extra, partition=partition) as started:
        started.limit_submissions(20)
        yield started


@pytest.fixture
def strict_cluster(strict: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for key, value in strict.env.items():
        monkeypatch.setenv(key, value)
    yield strict
    strict.reset()


def test_short_arrays_and_exclusive_nodes_make_a_search_longer_not_wrong(
    strict_cluster: Cluster, tmp_path: Path
) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=24, parallel=6)
    assert "submitted 11 tasks as array" in lab.outlast("submit", "study.yaml")
    lab.wait_done(240)
    assert lab.faults(trials=24, epochs=2) == []
    assert lab.most_at_once() <= 4  # nodes
    assert lab.shared_cards() == []
    assert len([job for job in lab.study().jobs if job.role == "array"]) >= 3
    assert "submitted" not in lab.outlast("submit", "study.yaml")


def test_a_full_queue_is_waited_for(strict_cluster: Cluster, tmp_path: Path) -> None:
    others = [strict_cluster.sbatch("--hold") for _ in range(16)]
    lab = SlurmLab.make(tmp_path / "lab", trials=8, parallel=4)
    said = lab.outlast("submit", "study.yaml")
    assert "would not take more at once" in said
    until(lambda: len(lab.study().trials) >= 2, "the first tasks have run")
    strict_cluster.run("scancel", *others)
    lab.wait_done()
    assert lab.faults(trials=8, epochs=2) == []


def test_where_nodes_may_not_submit_the_finisher_says_what_to_do(
    strict_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(strict_cluster.refusing_sbatch()), prepend=":")  # a job takes over what submit has
    lab = SlurmLab.make(tmp_path / "lab", trials=14, parallel=4)
    lab.outlast("submit", "study.yaml")
    until(lambda: not strict_cluster.jobs(), "the array and its finisher are over")
    log = next((lab.folder / "jobs").glob("*.finisher.out")).read_text()
    assert "on a node that may submit: outlast submit" in log
    assert lab.state() == "going"
    line = next(line for line in log.splitlines() if "crontab" in line).partition("*/10 * * * * ")[2]
    for _ in range(2):  # what cron does; the second time there is somebody who sees to it
        subprocess.run(["sh", "-c", line], cwd="/", check=True, env={**os.environ, "PATH": os.defpath})
    assert len([job for job in lab.study().jobs if job.role == "array"]) == 2
    lab.wait_done()
    assert lab.faults(trials=14, epochs=2) == []
    until(lambda: not strict_cluster.jobs(), "the second finisher is over, too")
    segments = len(list(lab.paths.ledger.iterdir()))
    subprocess.run(["sh", "-c", line], cwd="/", check=True)
    assert len(list(lab.paths.ledger.iterdir())) == segments, "where nothing is to be done nothing is written"


def test_a_mistake_in_the_request_is_refused_with_slurm_s_own_words(cluster: Cluster, tmp_path: Path) -> None:
    for mode in ("array", "controller"):
        lab = SlurmLab.make(tmp_path / mode, trials=4, slurm={"partition": "nosuch", "mode": mode})
        said = lab.outlast("submit", "study.yaml", code=2)
        assert "invalid partition" in said.lower()
        assert "Traceback" not in said
        assert not lab.folder.exists()


def test_a_trial_that_runs_into_the_walltime_goes_on_in_the_next_job(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=2, epochs=55, seconds=1.0, parallel=2, slurm={"time": "1"})
    lab.outlast("submit", "study.yaml")
    until(lambda: any(o.cause is Cause.WALLTIME for t in lab.study().trials.values() for o in t.ended), "out of time")
    until(lambda: any(line["attempt"] == 2 for line in lab.audit), "it goes on")
    lab.wait_done(240)
    assert lab.faults(trials=2, epochs=55, interruptions=2) == []
    assert {t.attempts[0].job for t in lab.study().trials.values()} == {
        t.attempts[1].job for t in lab.study().trials.values()
    }  # the same tasks, requeued


def test_a_script_that_leaves_with_75_is_started_again(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=2, parallel=2)
    script = (
        "import os, sys\n"
        "marker = os.path.join(os.environ['OUTLAST_CHECKPOINT_DIR'], 'been.here')\n"
        "if not os.path.exists(marker): open(marker, 'w').close(); sys.exit(75)\n"
        "print('score=0.5')\n"
    )
    lab.write(command=[sys.executable, "-c", script, "${args}"])
    lab.outlast("submit", "study.yaml")
    lab.wait_done()
    for trial in lab.study().trials.values():
        assert [o.cause for o in trial.ended] == [Cause.PREEMPTED, Cause.COMPLETED]


def test_a_task_can_run_several_trials_one_after_the_other_and_side_by_side(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(
        tmp_path / "lab", trials=12, parallel=8, slurm={"trials_per_task": 3, "trials_at_once": 2}, resources={"gpus": 1},
    )  # fmt: skip
    assert "submitted 2 tasks as array" in lab.outlast("submit", "study.yaml")
    lab.wait_done()
    assert lab.faults(trials=12, epochs=2) == []
    assert lab.shared_cards() == []
    assert {line["gpu"] for line in lab.audit} == {"0", "1"}


def test_tasks_that_cannot_even_begin_are_not_submitted_again_and_again(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, slurm={"setup": ["echo no such module: cuda >&2; exit 3"]})
    lab.outlast("submit", "study.yaml")
    until(lambda: lab.state() == "halted" and not cluster.jobs(), "the finisher gives up")
    assert "no task of array" in lab.outlast("status", "studies/lab")
    assert "no such module" in lab.logs()
    lab.write(slurm={"setup": []})
    lab.outlast("submit", "study.yaml")
    lab.wait_done()
    assert lab.faults(trials=4, epochs=2) == []
