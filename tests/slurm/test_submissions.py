"""What `submit`, `stop` and the finisher do to the queue, on a cluster in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast._system.clock import utc_now
from outlast._system.job_environment import JobFacts
from outlast._system.processes import my_identity
from outlast.cli.main import run_cli
from outlast.config.load import load_study_file
from outlast.core.evidence import Evidence
from outlast.core.fold import Study
from outlast.core.records import AttemptEnded, AttemptOpened, Event, Trial, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.care.stop import stop_study
from outlast.engine.cluster import finish, submit
from outlast.engine.cluster.submit import Submitted, submit_study, tell
from outlast.engine.cluster.topup import something_was_lost, top_up
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.turn import Memory, take_turn
from outlast.engine.record.examine import read_study
from outlast.engine.record.look import look
from outlast.engine.record.recorded import study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.errors import SlurmMissing, SlurmRefused, SlurmUnavailable, UsageError
from outlast.executors.slurm import commands
from outlast.executors.slurm.cluster_facts import Nodes
from outlast.monitor.queue import queue_in_words
from outlast.runner.spec import silent_after
from outlast.study import disk_space, requests
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.putting_away import put_away
from outlast.testing.fake_slurm import FakeSlurm


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
    for module in ("outlast.engine.record.study_queue", "outlast.engine.hold.turn"):
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


def test_a_submission_that_cannot_say_what_it_does_holds_the_study_no_longer(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    with open_study(site.paths, site.settings) as opened:
        opened.ledger.append([TrialCreated(0, utc_now(), {"x": 0.75})])
    narrower = Site(tmp_path, slurm, parameters={"x": {"min": 0.0, "max": 0.5}})

    def say(text: str) -> None:
        raise BrokenPipeError(text)

    with pytest.raises(BrokenPipeError, match="does not fit the study file any more") as kept:
        submit_study(narrower.paths, narrower.settings, accept_changes=True, say=say)
    lease = Lease(site.paths.lease)
    assert lease.take_if_free()
    lease.release()
    del kept  # with its frames: it was not the end of theirs that gave the lease back


def test_submit_leaves_a_controller_alone_that_does_what_is_wanted(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, slurm={"mode": "controller"})
    site.submit()
    segments = len(list(site.paths.ledger.iterdir()))
    again = site.submit()
    assert site.roles() == ["controller"] and not again.jobs and len(again.active) == 1
    assert len(list(site.paths.ledger.iterdir())) == segments, "the lease was not even asked for"


def test_earlier_trials_reach_a_study_whose_controller_is_in_the_queue(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, slurm={"mode": "controller"})
    site.submit()

    def given(study: Study) -> tuple[list[Event], list[str]]:
        if study.trials:
            return [], ["nothing is new"]
        events = [TrialCreated(0, utc_now(), {"x": 0.75}, source="earlier: old 1")]
        for event in events:
            study.apply(event)
        return list(events), ["its best is tried first"]

    said: list[str] = []
    for _ in range(2):
        again = submit_study(site.paths, site.settings, say=said.append, given=given)
        assert site.roles() == ["controller"] and not again.jobs
    assert [trial.source for trial in read_study(site.paths).trials.values()] == ["earlier: old 1"]
    assert "its best is tried first" in said and said[-1] == "nothing is new"


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
    array = next(job.job for job in read_study(site.paths).jobs if job.role == "array")
    with open_study(site.paths, site.settings) as opened:
        at = opened.study.last_run.at if opened.study.last_run else ""
        asker = {"host": "n1", "pid": 7, "boot": "b", "start": "1"}
        opened.ledger.append(
            [
                TrialCreated(0, at, {"x": 0.5}),
                AttemptOpened(0, 1, at, "worker:n1:7:x", job=f"{array}_0", worker=asker),
            ]
        )
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


def test_a_finisher_that_fails_has_people_told(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []
    monkeypatch.setattr(finish, "tell_once", lambda root, env, wait: told.append(root))
    site = Site(tmp_path, slurm, notify={"command": ["true"]})
    site.submit()
    slurm.queue.clear()
    with open_study(site.paths, site.settings):  # that it goes on
        pass
    slurm.refuse("Invalid account or account/partition combination specified", times=9)
    with pytest.raises(SlurmRefused):
        finish.finish(str(site.paths.root), say=lambda text: None)
    assert told == [site.paths.root]


def test_a_job_s_last_act_is_tried_again_while_slurmctld_is_away(
    slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_REQUEUE_AGAIN_AFTER", 0.01)
    slurm.add("7", "RUNNING")
    slurm.fall_silent(2)
    assert slurm.requeue_us(JobFacts("7", "7", seconds=60.0))
    assert slurm.queue["7"].restarts == 1
    slurm.fall_silent(10_000)
    assert not slurm.requeue_us(JobFacts("7", "7", seconds=0.05)), "its walltime is over"


def superseded(site: Site, state: str) -> tuple[str, str]:
    """An array that is over but for its finisher, which is held; the study was submitted again. Both finishers' arrays."""
    site.submit()
    first, finisher = site.slurm.queue
    lost_with_its_node(site)
    site.slurm.queue.pop(first)
    (site.paths.attempt(0, 1).folder / "exit.json").write_text(json.dumps({"exit_code": 0, "values": [0.5]}))
    site.submit()
    second = next(job for job, each in site.slurm.queue.items() if each.comment.endswith(":array"))
    site.slurm.set(second, state)
    site.slurm.set(finisher, "RUNNING")
    return first, second


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "REQUEUE_HOLD"])
def test_a_finisher_that_comes_late_leaves_the_next_array_alone(slurm: FakeSlurm, tmp_path: Path, state: str) -> None:
    site = Site(tmp_path, slurm)
    first, _ = superseded(site, state)
    finisher = next(iter(slurm.queue))
    finish.finish(str(site.paths.root), job=JobFacts(finisher, finisher), after=first, say=lambda text: None)
    assert read_study(site.paths).ended is None and slurm.cancelled == []
    assert site.roles() == ["array", "finisher", "finisher"], "the late one's own place, and what was submitted since"
    # nor does one that does not know its array (a script of an earlier version) judge what is in the queue
    finish.finish(str(site.paths.root), job=JobFacts(finisher, finisher), say=lambda text: None)
    assert read_study(site.paths).ended is None and slurm.cancelled == []


def test_a_finisher_sees_to_it_that_a_later_array_has_one_of_its_own(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm)
    first, second = superseded(site, "PENDING")
    late, own = (job for job, each in slurm.queue.items() if each.comment.endswith(":finisher"))
    slurm.queue.pop(own)
    finish.finish(str(site.paths.root), job=JobFacts(late, late), after=first, say=lambda text: None)
    assert site.roles() == ["array", "finisher", "finisher"] and read_study(site.paths).ended is None
    [text] = [Path(slurm.scripts[job]).read_text() for job in list(slurm.queue)[-1:]]
    assert f"--dependency=afterany:{second}" in text and f"--after {second}" in text


def test_a_finisher_whose_array_ended_in_vain_says_so_still(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    array, finisher = slurm.queue
    slurm.set(array, "FAILED")
    slurm.set(finisher, "RUNNING")
    (site.paths.jobs / f"{array}_0.out").write_text("module: command not found\n")
    finish.finish(str(site.paths.root), job=JobFacts(finisher, finisher), after=array, say=lambda text: None)
    ended = read_study(site.paths).ended
    assert ended is not None and ended.state == "halted" and f"no task of array {array}" in ended.reason


def test_an_array_that_was_cancelled_while_it_waited_is_no_failure(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    array, finisher = slurm.queue
    slurm.set(array, "CANCELLED")
    finish.finish(str(site.paths.root), job=JobFacts(finisher, finisher), after=array, say=lambda text: None)
    ended = read_study(site.paths).ended
    assert ended is not None and ended.state == "stopped" and "cancelled before it began" in ended.reason


def end_of_task(site: Site, array: str) -> None:
    """A task of the array took a trial and lost it."""
    with open_study(site.paths, site.settings) as opened:
        at = utc_now()
        opened.ledger.append(
            [
                TrialCreated(1, at, {"x": 0.25}),
                AttemptOpened(1, 1, at, "worker:n1:8:x", job=f"{array}_0"),
                AttemptEnded(1, 1, at, TrialState.INTERRUPTED, Cause.PREEMPTED),
            ]
        )


class Without:
    """SLURM's commands on a node that lacks some of them."""

    def __init__(self, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch, *commands: str) -> None:
        methods = {"squeue": ("jobs", "job"), "scontrol": ("requeue", "partitions"), "sbatch": ("submit",)}

        def missing(command: str) -> object:
            def call(*_given: object, **_more: object) -> object:
                raise SlurmMissing(f"{command} is not found: is this a SLURM cluster's node?")

            return call

        for command in commands:
            for method in methods[command]:
                monkeypatch.setattr(slurm, method, missing(command))
        if "scontrol" in commands:
            monkeypatch.setattr(slurm, "config", dict)


@pytest.mark.parametrize(
    ("lacking", "goes_on"),
    [(("scontrol",), True), (("squeue",), True), (("squeue", "scontrol"), True), (("squeue", "scontrol", "sbatch"), False)],
)  # fmt: skip
def test_a_finisher_does_what_it_can_where_a_node_lacks_slurm_s_commands(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    lacking: tuple[str, ...], goes_on: bool,
) -> None:  # fmt: skip
    site = Site(tmp_path, slurm)
    superseded(site, "PENDING")
    for job in list(slurm.queue):
        slurm.queue.pop(job)
    newest = [job.job for job in read_study(site.paths).jobs if job.role == "array"][-1]
    end_of_task(site, newest)
    Without(slurm, monkeypatch, *lacking)
    arguments = ["finisher", str(site.paths.root), "--after", newest]
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    code = run_cli(arguments)
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said and read_study(site.paths).ended is None
    if goes_on:
        assert site.roles() == ["array", "finisher"], said
    else:
        assert code == 4 and "sbatch is not found" in said
        assert "*/10 * * * *" in said and f"outlast submit {site.paths.root}" in said


def test_a_job_that_cannot_be_requeued_without_scontrol_does_not_wait_for_it(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    Without(slurm, monkeypatch, "scontrol")
    assert not slurm.requeue_us(JobFacts("7", "7", seconds=60.0))
    said: list[str] = []
    monkeypatch.setattr(finish, "Slurm", lambda: slurm)
    finish.finish(str(site.paths.root), job=JobFacts("7", "7", seconds=0.0), after="1001", say=said.append)
    assert any("*/10 * * * *" in line for line in said), said


def test_a_silent_job_that_nobody_can_ask_about_is_given_up_late_but_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node is gone, and the node of whoever looks has no squeue."""
    site = Site(tmp_path, FakeSlurm(), budget={"trials": 1})
    with monkeypatch.context() as there:
        there.setattr("outlast.engine.record.study_queue.Slurm", lambda: site.slurm)
        site.submit()
    lost_with_its_node(site)
    monkeypatch.setenv("PATH", str(tmp_path))
    memory, ended = Memory(), []
    for passed in (1.0, 1.5, 2.0, 4.9, 5.1):  # times what a host may be silent for
        lease = Lease(site.paths.lease)
        assert lease.take_if_free()
        for pulse in memory.pulses.values():
            pulse.silent = passed * silent_after()
        turn = take_turn(site.paths.root, lease, memory, say=lambda text: None)
        ended.append(turn.study.trials[0].state.value)
    assert ended == ["running"] * 4 + ["interrupted"]


class Refusing(FakeSlurm):
    """A cluster that takes nothing."""

    def test(self, script: str) -> float | None:
        raise SlurmRefused("sbatch: Invalid account or account/partition combination specified", limit=False)

    def nodes(self) -> list[Nodes]:
        return []


@pytest.mark.parametrize("mode", ["array", "controller"])
@pytest.mark.parametrize("there", [False, True])
def test_a_dry_run_prints_its_scripts_whatever_slurm_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: bool, mode: str
) -> None:
    Site(tmp_path, FakeSlurm(), slurm={"mode": mode})
    monkeypatch.chdir(tmp_path)
    if there:
        for module in ("record.study_queue", "cluster.inspection"):
            monkeypatch.setattr(f"outlast.engine.{module}.Slurm", Refusing)
    else:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "true").symlink_to("/bin/true")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    code = run_cli(["submit", "study.yaml", "--dry-run"])
    scripts, said = capsys.readouterr()
    assert scripts.count("#!/bin/bash\n") == 2 and "--job-name=lab" in scripts
    assert (code, "Invalid account" in said, "is not found" in said) == (
        (2, True, False) if there else (0, False, True)
    )
    assert not (tmp_path / "studies").exists()
    assert run_cli(["submit", "study.yaml"]) == 2 and capsys.readouterr().out == ""


def test_a_trial_names_its_job_and_where_that_one_s_script_and_log_lie(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    lost_with_its_node(site)
    array = next(iter(slurm.queue))
    (site.paths.jobs / f"{array}_0.out").write_text("")
    monkeypatch.chdir(tmp_path)
    assert run_cli(["show", "studies/lab", "0"]) == 0
    said = capsys.readouterr().out
    assert f"job {array}_0" in said
    assert f"studies/lab/jobs/{array}.array.sh" in said and f"studies/lab/jobs/{array}_0.out" in said
    assert run_cli(["show", "studies/lab", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["job"] == f"{array}_0"


def test_a_trial_s_own_script_stays_beside_its_output(tmp_path: Path) -> None:
    paths = StudyPaths.at(tmp_path).trial(7)
    trial = Trial(7, state=TrialState.COMPLETE)
    for attempt in (1, 2):
        folder = paths.attempt(attempt).folder
        folder.mkdir(parents=True)
        (folder / "job.sh").write_text(f"# attempt {attempt}\n")
        (folder / "output.log").write_text(f"epoch {attempt}\n")
    for _ in range(2):  # repeating it is harmless
        put_away(paths, trial)
        assert sorted(path.name for path in paths.folder.iterdir()) == ["job.sh", "output.log", "trial.json"]
        assert paths.script.read_text() == "# attempt 2\n"


def test_nobody_speaks_of_a_finisher_where_there_is_a_controller(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, slurm={"mode": "controller"})
    site.submit()
    said = " ".join(tell(site.submit(), "studies/lab"))
    assert "in the queue already" in said and "controller" in said and "finisher" not in said
    slurm.queue.clear()
    slurm.refuse("AssocMaxSubmitJobLimit")
    said = " ".join(tell(site.submit(), "studies/lab"))
    assert "would not take" in said and "finisher" not in said


@pytest.mark.parametrize(
    ("state", "stands", "says"),
    [
        ("RUNNING", "running", "1 running"),
        ("SUSPENDED", "waiting", "SLURM has suspended whatever runs (1)"),
        ("PENDING", "waiting", "1 job waits in the queue (Resources)"),
    ],
)
def test_status_tells_a_suspended_search_from_one_that_runs(
    slurm: FakeSlurm, tmp_path: Path, state: str, stands: str, says: str
) -> None:
    site = Site(tmp_path, slurm)
    site.submit()
    array, _ = slurm.queue
    slurm.set(array, state, reason="Resources" if state == "PENDING" else "None")
    found, _, _ = look(site.paths.root)
    assert found.state.value == stands
    assert says in f"{found.reason} {queue_in_words(found.jobs)}"


def test_a_disk_that_is_full_for_a_while_costs_an_array_neither_its_tasks_nor_its_end(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, full = Site(tmp_path, slurm), [True]
    site.submit()
    array = next(iter(slurm.queue))
    monkeypatch.setattr(disk_space, "no_room", lambda *disk: "only 0.4 MB are free" if full[0] else None)

    def ask() -> dict[str, object]:
        """What a task of the array is answered."""
        said = {"job": f"{array}_0", "restarts": 0, "task": True, "worker": {**my_identity().to_json(), "host": "n1"}}
        request, lease = requests.drop(site.paths, "trial", **said), Lease(site.paths.lease)
        assert lease.take_if_free()
        take_turn(site.paths.root, lease, Memory(), say=lambda text: None)
        return dict(requests.read_answer(site.paths, request) or {})

    told = ask()
    assert (
        told["lacking"] == f"only 0.4 MB are free in {site.paths.root}" and "attempt" not in told and "done" not in told
    )
    assert read_study(site.paths).ended is None and slurm.cancelled == []
    assert look(site.paths.root)[0].reason.startswith("only 0.4 MB are free")
    slurm.queue.clear()
    said = finish.finish(str(site.paths.root), once=True, say=lambda text: None)
    assert said is None and site.roles() == [], "nothing is submitted that would only wait on a card"
    full[0] = False
    assert "attempt" in ask()


def test_a_task_that_looks_makes_up_for_one_that_was_lost(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, budget={"trials": 1})
    site.submit()
    attempt, folder = lost_with_its_node(site), str(site.paths.root)
    array, finisher = slurm.queue
    comment = slurm.queue.pop(array).comment
    slurm.add(f"{array}_0", "RUNNING", comment=comment)
    assert not something_was_lost(folder)
    slurm.set(f"{array}_0", "NODE_FAIL")
    assert something_was_lost(folder) and not something_was_lost(folder, [f"{array}_0"])
    (attempt / "exit.json").write_text(json.dumps(Evidence(lost="its node is gone", new_steps=True).to_json()))

    def turn() -> list[str]:
        said: list[str] = []
        lease = Lease(site.paths.lease)
        assert lease.take_if_free()
        take_turn(folder, lease, Memory(), say=said.append, last=lambda *end: top_up(*end, said.append))
        return said

    assert any("submitted array" in line for line in turn())
    assert site.roles()[1:] == ["array", "finisher", "finisher"], "and the one that was lost"
    assert [job.tasks for job in read_study(site.paths).jobs if job.role == "array"] == [1, 1]
    assert not something_was_lost(folder) and turn() == [], "once"
    # the finisher of the first array leaves the second one to its own
    slurm.set(finisher, "RUNNING")
    finish.finish(folder, job=JobFacts(finisher, finisher), after=array, say=lambda text: None)
    assert read_study(site.paths).ended is None and len(read_study(site.paths).jobs) == 4


def test_a_node_that_may_not_submit_leaves_what_was_lost_to_the_finisher(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, budget={"trials": 1})
    site.submit()
    attempt = lost_with_its_node(site)
    array = next(iter(slurm.queue))
    slurm.add(f"{array}_0", "NODE_FAIL", comment=slurm.queue.pop(array).comment)
    (attempt / "exit.json").write_text(json.dumps(Evidence(lost="its node is gone", new_steps=True).to_json()))
    slurm.refuse("Access/permission denied")
    said: list[str] = []
    lease = Lease(site.paths.lease)
    assert lease.take_if_free()
    turn = take_turn(site.paths.root, lease, Memory(), say=said.append, last=lambda *end: top_up(*end, said.append))
    assert turn.study.ended is None and "the finisher submits what was lost" in said[-1]


def waits_for(slurm: FakeSlurm) -> list[tuple[str, str]]:
    """Role and dependency of each job, in the order of their submission."""
    found = []
    for job in slurm.scripts:
        text = Path(slurm.scripts[job]).with_name(f"{job}.{Path(slurm.scripts[job]).name}").read_text()
        dependency = [line.partition("=")[2] for line in text.splitlines() if line.startswith("#SBATCH --dependency=")]
        found.append((slurm.queue[job].comment.rpartition(":")[2], *dependency))
    return found


def test_a_search_waits_for_somebody_else_s_job_once(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, slurm={"dependency": "afterok:77,afterany:78"})
    site.submit()
    array, finisher = slurm.queue
    assert waits_for(slurm) == [("array", "afterok:77,afterany:78"), ("finisher", f"afterany:{array}")]
    end_of_task(site, array)
    slurm.set(array, "COMPLETED")
    slurm.set(finisher, "RUNNING")
    finish.finish(str(site.paths.root), job=JobFacts(finisher, finisher), after=array, say=lambda text: None)
    third = list(slurm.queue)[2]
    assert waits_for(slurm)[2:] == [("array",), ("finisher", f"afterany:{third}")], "what it waited for is long over"


def test_a_controller_waits_for_somebody_else_s_job_and_its_trials_do_not(slurm: FakeSlurm, tmp_path: Path) -> None:
    site = Site(tmp_path, slurm, slurm={"mode": "controller", "dependency": "singleton"})
    site.submit()
    assert waits_for(slurm) == [("controller", "singleton")]
    queue = StudyQueue(site.paths, site.settings, slurm)
    assert "dependency" not in queue.trial("0000.1", "MARKER", "LOG").options


def test_a_controller_on_a_node_without_slurm_s_commands_says_what_works_there(
    slurm: FakeSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path, slurm, slurm={"mode": "controller"})
    site.submit()
    Without(slurm, monkeypatch, "squeue", "sbatch", "scontrol")
    assert run_cli(["controller", str(site.paths.root)]) == 4
    said = "".join(capsys.readouterr())
    assert "sbatch is not found" in said or "squeue is not found" in said
    assert "mode: array" in said and "Traceback" not in said and read_study(site.paths).ended is None
