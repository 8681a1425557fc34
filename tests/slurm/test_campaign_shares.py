"""Who gets the tasks of a study that is done, on a cluster in memory."""

from __future__ import annotations

import errno
import json

import pytest
from msgspec.structs import replace

from outlast.cli.main import run_cli
from outlast.cli.running.submitting import _with_parts, submit_several
from outlast.cli.targets.campaign_command import request_of
from outlast.config.resolved import settings_on_record
from outlast.config.settings import NotifySettings
from outlast.core.records import StudyEnded
from outlast.engine.cluster.siblings import share_anew
from outlast.engine.cluster.submit import submit_study
from outlast.engine.hold.opening import open_study
from outlast.engine.record.recorded import study_paths
from outlast.study.campaign import Member, campaigns_of, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.testing.fake_slurm import FakeSlurm


@pytest.fixture
def said():
    return []


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Three studies of a campaign in a queue, as `submit` would have put them there."""
    monkeypatch.chdir(tmp_path)
    slurm = FakeSlurm()
    monkeypatch.setattr("outlast.engine.record.study_queue.Slurm", lambda: slurm)
    study = {
        "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "sampler": "random",
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 20}, "slurm": {},
    }  # fmt: skip
    studies = {"a": {"weight": 2}, "b": {}, "c": {"parallel": 2}}
    (tmp_path / "big.yaml").write_text(json.dumps({"parallel": 8, "base": study, "studies": studies}))
    plan = request_of(("submit", "big.yaml")).campaign
    keep_campaign(plan.folder, plan.campaign)
    for each in plan.planned:
        submit_study(study_paths(each.folder, each.settings), each.settings, say=lambda text: None)
    return slurm


def end(study: str, state: str = "done") -> None:
    settings = request_of(("run", f"studies/big/{study}")).settings
    paths = StudyPaths.at(f"studies/big/{study}")
    with open_study(paths, settings) as opened:
        opened.ledger.append([StudyEnded("2026-01-05T10:00:00.000+00:00", state, "all of it", 1.0)])


def test_nobody_gets_anything_while_all_of_them_go_on(queue, said):
    share_anew("studies/big/a", said.append, queue)
    assert (queue.throttles, said) == ({}, [])


def test_what_a_study_had_goes_to_the_others_by_weight_and_none_gets_more_than_its_file_says(queue, said):
    arrays = dict(
        zip("abc", (job.array for job in queue.queue.values() if job.comment.endswith(":array")), strict=True)
    )
    end("b", "halted")
    share_anew("studies/big/b", said.append, queue)
    assert queue.throttles == {arrays["a"]: 6, arrays["c"]: 2}
    assert said[0] == f"a: 6 tasks of array {arrays['a']} side by side from now on"
    end("a")
    share_anew("studies/big/a", said.append, queue)
    assert queue.throttles[arrays["c"]] == 2
    end("c")
    said.clear()
    share_anew("studies/big/c", said.append, queue)
    assert said == []


def test_a_study_that_was_refused_keeps_no_part(queue, said):
    folder, record = campaigns_of("studies/big/a")[0]
    keep_campaign(folder, replace(record, parallel=5, members=(*record.members, Member("refused", "refused"))))
    share_anew("studies/big/a", said.append, queue)
    assert sorted(queue.throttles.values()) == [1, 1, 3], "and not a fifth of five for nobody"


def test_one_that_comes_to_rest_meanwhile_is_taken_in(queue, said, monkeypatch):
    """Two finishers at once: this one has looked before the other study's end was on record."""
    end("c")
    throttle = queue.throttle

    def late(array: str, tasks: int) -> bool:
        if not queue.throttles:
            end("b")
        return throttle(array, tasks)

    monkeypatch.setattr(queue, "throttle", late)
    share_anew("studies/big/c", said.append, queue)
    assert [line[:10] for line in said if line.startswith("a: ")] == ["a: 5 tasks", "a: 8 tasks"]


def test_a_limit_that_slurm_does_not_take_is_said(queue, said, monkeypatch):
    monkeypatch.setattr(queue, "throttle", lambda array, tasks: False)
    end("b")
    share_anew("studies/big/b", said.append, queue)
    assert said[0].startswith("a: SLURM refuses 6 tasks of array ") and said[0].endswith("it keeps its limit")
    for job in list(queue.queue):
        queue.set(job, "RUNNING")  # none of its tasks waits for anything: there is nothing to change
    said.clear()
    share_anew("studies/big/b", said.append, queue)
    assert said == []


def test_a_cluster_that_gives_no_answer_changes_nothing_and_is_said(queue, said):
    end("b")
    queue.fall_silent(1)
    share_anew("studies/big/b", said.append, queue)
    assert queue.throttles == {} and said[0].startswith("big: its other studies keep the parts they have: squeue")


def test_a_dry_run_prints_every_study_s_scripts_with_its_part_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    study = {
        "command": ["/bin/true"],
        "metric": "maximize score",
        "parameters": {"x": "float(0,1)"},
        "budget": {"trials": 20},
    }
    studies = {"a": {"weight": 3}, "b": {"slurm": {"time": "1:00:00"}}, "wrong": {"budget": {"trails": 1}}}
    (tmp_path / "big.yaml").write_text(json.dumps({"parallel": 8, "base": study, "studies": studies}))
    assert run_cli(["submit", "big.yaml", "--dry-run"]) == 2
    told = capsys.readouterr()
    assert "#### a: studies/big/a" in told.out and "--array=0-19%6" in told.out
    assert "#### b: studies/big/b" in told.out and "--array=0-19%2" in told.out
    assert "wrong: not submitted" in told.err and "did you mean `trials`?" in told.err
    assert {each.name for each in tmp_path.iterdir()} == {"big.yaml"}


def test_a_disk_that_refuses_is_said_of_each_study_and_ends_nothing_halfway(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = {
        "command": ["/bin/true"],
        "metric": "maximize score",
        "parameters": {"x": "float(0,1)"},
        "budget": {"trials": 2},
    }
    text = {"base": study, "studies": {"a": {}, "b": {}, "wrong": {"budget": {"trails": 1}}}}
    (tmp_path / "big.yaml").write_text(json.dumps(text))

    def full(settings: object, folder: str, **how: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", folder)

    monkeypatch.setattr("outlast.cli.running.submitting.make_ready", full)
    plan = request_of(("submit", "big.yaml")).campaign
    assert submit_several(plan) == 2, "one could not start; 4, of the full disk, is less"
    told = capsys.readouterr().err
    assert all(f"{name}: not submitted" in told for name in ("a", "b", "wrong"))
    assert told.count("No space left on device") == 2


def test_each_study_in_the_queue_tells_whom_the_campaign_names_but_for_one_that_says_whom(queue, tmp_path):
    file = json.loads((tmp_path / "big.yaml").read_text())
    file["studies"]["b"]["notify"] = {"command": ["tell"]}
    (tmp_path / "big.yaml").write_text(json.dumps({**file, "notify": "${NTFY}"}))
    given = {each.member.study: settings for each, settings in _with_parts(request_of(("submit", "big.yaml")).campaign)}
    kept = {name: settings_on_record(settings.resolved, ".").notify for name, settings in given.items()}
    assert kept == {name: settings.notify for name, settings in given.items()}
    theirs = NotifySettings(urls=("${NTFY}",))
    assert kept == {"a": theirs, "b": NotifySettings(command=("tell",)), "c": theirs}
