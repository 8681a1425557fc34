"""What `submit`, `stop` and the finisher do to the queue, on a cluster in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.config.load import load_study_file
from outlast.core.records import AttemptOpened, TrialCreated
from outlast.engine.cluster import anew, finish, submit
from outlast.engine.cluster.submit import Submitted, submit_study
from outlast.engine.opening import read_study
from outlast.engine.run import study_paths
from outlast.engine.stopping import stop_study
from outlast.errors import SlurmRefused, SlurmUnavailable, UsageError
from outlast.runner.job import JobFacts
from outlast.testing.slurm import FakeSlurm


class Site:
    """A cluster, and a study of six trials on it."""

    def __init__(self, place: Path, cluster: FakeSlurm, **changes: object) -> None:
        self.place, self.slurm = place, cluster
        study = {
            "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "sampler": "random",
            "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 6}, "parallel": 2, "slurm": {}, **changes,
        }  # fmt: skip
        (place / "study.yaml").write_text(json.dumps(study))
        self.settings = load_study_file(str(place / "study.yaml"))
        self.paths = study_paths(place / "studies" / "lab", self.settings)

    def submit(self) -> Submitted:
        return submit_study(self.paths, self.settings, say=lambda text: None)

    def roles(self) -> list[str]:
        """Of the jobs in the queue that wait or run."""
        return sorted(job.comment.rpartition(":")[2] for job in self.slurm.queue.values() if job.state != "CANCELLED")


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlurm]:
    """Whoever asks SLURM here asks this one."""
    fake, which = FakeSlurm(), shutil.which
    for module in ("outlast.engine.cluster.queue", "outlast.engine.turn"):
        monkeypatch.setattr(f"{module}.Slurm", lambda: fake)
    monkeypatch.setattr(
        shutil, "which", lambda name, **more: "/usr/bin/squeue" if name == "squeue" else which(name, **more)
    )
    yield fake


def test_a_submission_sees_what_another_one_did_while_it_waited(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, slurm)
    open_study = submit.open_study

    def meanwhile(*args: object, **more: object) -> object:
        monkeypatch.setattr(submit, "open_study", open_study)
        site.submit()  # somebody else, who was faster
        return open_study(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(submit, "open_study", meanwhile)
    second = site.submit()
    assert site.roles() == ["array", "finisher"]
    assert not second.jobs and len(second.active) == 2


def test_submit_leaves_a_controller_alone_that_does_what_is_wanted(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, slurm={"mode": "controller"})
    site.submit()
    segments = len(list(site.paths.ledger.iterdir()))
    again = site.submit()
    assert site.roles() == ["controller"] and not again.jobs and len(again.active) == 1
    assert len(list(site.paths.ledger.iterdir())) == segments, "the lease was not even asked for"


def test_stopping_a_copy_cancels_nothing_of_the_original(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    copy = shutil.copytree(site.paths.root, tmp_path / "backup")
    stop_study(str(copy), say=lambda text: None)
    assert slurm.cancelled == [] and site.roles() == ["array", "finisher"]
    stop_study(str(site.paths.root), say=lambda text: None)
    assert site.roles() == ["finisher"]


def test_an_array_is_on_record_although_its_finisher_got_no_answer(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm)
    submitted = slurm.submit

    def answers(script: str, arguments: tuple[str, ...] = ()) -> str:
        if script.endswith("finisher.sh"):
            raise SlurmUnavailable("sbatch: Socket timed out on send/recv operation")
        return submitted(script, arguments)

    slurm.submit = answers  # type: ignore[method-assign]
    with pytest.raises(SlurmUnavailable):
        site.submit()
    assert [job.role for job in read_study(site.paths).jobs] == ["array"]
    slurm.submit = submitted  # type: ignore[method-assign]
    assert [job.role for job in site.submit().jobs] == ["finisher"]


def test_a_finisher_looks_after_what_was_lost_where_nothing_else_may_start(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, budget={"trials": 1})
    site.submit()
    lost_with_its_node(site)
    slurm.queue.clear()
    assert [job.role for job in site.submit().jobs] == ["finisher"]
    assert "--dependency" not in Path(slurm.scripts[site.submit().active[0].id]).read_text()


def test_a_second_stop_reaches_what_trains_on_after_the_first(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, budget={"trials": 1})
    site.submit()
    attempt = lost_with_its_node(site)
    stop_study(str(site.paths.root), drain=True, say=lambda text: None)
    assert read_study(site.paths).ended is not None and not (attempt / "stop.json").exists()
    assert "is stopping" in stop_study(str(site.paths.root), now=True, say=lambda text: None)
    assert (attempt / "stop.json").exists()


def lost_with_its_node(site: Site) -> Path:
    """The array's first task took trial 0 on node n1; the attempt's folder."""
    from outlast.engine.opening import open_study
    from outlast.study.attempts import open_attempt

    array = next(job.job for job in read_study(site.paths).jobs if job.role == "array")
    opened = open_study(site.paths, site.settings)
    at = opened.study.last_run.at if opened.study.last_run else ""
    asker = {"host": "n1", "pid": 7, "boot": "b", "start": "1"}
    opened.ledger.append(
        [
            TrialCreated(0, at, {"x": 0.5}),
            AttemptOpened(0, 1, at, "worker:n1:7:x", job=f"{array}_0", worker=asker),
        ]
    )
    opened.ledger.close()
    opened.lease.release()
    open_attempt(site.paths, 0, 1, "{}", {})
    attempt = site.paths.attempt(0, 1).folder
    (attempt / "started.json").write_text(json.dumps({**asker, "alive": [0, 0]}))
    (attempt / "alive").write_text("")
    return attempt


def test_a_queue_too_full_for_the_finisher_is_tried_again_and_halts_nothing(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "_A_MOMENT", 0.0)
    site, submitted = Site(tmp_path, slurm, budget={"trials": 1}), slurm.submit

    def answers(script: str, arguments: tuple[str, ...] = ()) -> str:
        if script.endswith("finisher.sh"):
            raise SlurmRefused("sbatch: QOSMaxSubmitJobPerUserLimit", limit=True)
        return submitted(script, arguments)

    slurm.submit = answers  # type: ignore[method-assign]
    with pytest.raises(SlurmRefused):
        site.submit()
    assert site.roles() == [] and read_study(site.paths).jobs == [], "the array that had to go is not on record"
    slurm.submit = submitted  # type: ignore[method-assign]
    assert [job.role for job in site.submit().jobs] == ["array", "finisher"]


def test_cron_looks_after_what_was_lost_and_leaves_what_was_stopped(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, budget={"trials": 1})
    site.submit()
    lost_with_its_node(site)
    slurm.queue.clear()
    assert finish.finish(str(site.paths.root), once=True, say=lambda text: None) is not None
    assert site.roles() == ["finisher"]
    stop_study(str(site.paths.root), say=lambda text: None)
    slurm.queue.clear()
    assert finish.finish(str(site.paths.root), once=True, say=lambda text: None) is None
    assert site.roles() == []


def test_cron_without_the_study_s_secrets_says_which(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, slurm, env={"WANDB_API_KEY": "0123456789abcdef"})
    site.submit()
    slurm.queue.clear()
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(UsageError, match="WANDB_API_KEY"):
        finish.finish(str(site.paths.root), once=True, say=lambda text: None)


def test_a_job_s_last_act_is_tried_again_while_slurmctld_is_away(
    slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "_AGAIN_AFTER", 0.01)
    slurm.add("7", "RUNNING")
    slurm.fall_silent(2)
    assert anew.begin_anew(JobFacts("7", "7", seconds=60.0), slurm)
    assert slurm.queue["7"].restarts == 1
    slurm.fall_silent(10_000)
    assert not anew.begin_anew(JobFacts("7", "7", seconds=0.05), slurm), "its walltime is over"
