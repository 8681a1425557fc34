"""What runs in the background goes on whoever is killed, says who it is, and ends when it is told to."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.campaign import CampaignLab
from lab.study import TRAININGS
from lab.waiting import until, wait_gone
from outlast._system.processes import is_running
from outlast._system.reading import read_bytes
from outlast.engine.record.look import look
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder
from outlast.study.supervision import Supervision, live_supervision

SECRET = "hunter2-and-more"
pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CampaignLab]:
    lab = CampaignLab(tmp_path / "place", trials=2000)
    yield lab
    lab.close()


def supervisor_of(pid: int, record: Path) -> Supervision:
    found = live_supervision(record)
    assert found is not None and found.process.pid == pid
    return found


def test_a_campaign_in_the_background_is_one_thing_to_watch_to_refuse_and_to_stop(lab: CampaignLab) -> None:
    begun = lab.call("run", "camp.yaml", "--detach")
    assert begun.returncode == 0, begun.stderr
    assert re.search(r"^  broken: refused: camp.yaml:1: ", begun.stdout, re.MULTILINE)
    pid = re.search(
        r"running in the background \(supervisor: pid (\d+)\); words go to studies/camp/campaign.log", begun.stdout
    )
    assert pid is not None, begun.stdout
    found = supervisor_of(int(pid[1]), lab.folder / "supervisor.json")
    assert os.getsid(found.process.pid) == found.process.pid  # the end of a login is nothing to it
    coordinators = [each.process for each in found.charges if each.process is not None]
    assert len(coordinators) == 3

    again = lab.call("run", "camp.yaml")
    assert again.returncode == 4
    assert f"is looked after already (pid {pid[1]}" in again.stderr and "outlast stop studies/camp" in again.stderr

    os.kill(found.process.pid, signal.SIGKILL)
    wait_gone(found.process.pid)
    for each in ("campaign.json", "supervisor.json", "campaign.log"):
        (lab.folder / each).unlink()
    assert lab.call("run", "camp.yaml", "--detach").returncode == 0
    second = lab.supervision()
    assert second is not None and [each.process for each in second.charges if each.process is not None] == coordinators

    said = lab.call("stop", "studies/camp")
    assert "all of it is stopping: each study has its grace" in said.stdout, said
    for process in (second.process, *coordinators):
        until(lambda process=process: not is_running(process), f"{process.pid} ends; {lab.log}")
    assert "share: stopped: the same command goes on" in lab.log


def test_one_study_in_the_background_outlives_its_coordinator_and_its_supervisor(lab: CampaignLab) -> None:
    training = [
        sys.executable,
        "-S",
        "-E",
        str(TRAININGS / "survival.py"),
        "${args}",
        "--epochs",
        "1",
        "--seconds",
        "0.1",
    ]
    file = {
        "command": [*training, "--audit", "one.jsonl", "--checkpoint-dir", "${checkpoint_dir}"],
        "metric": {"name": "score", "goal": "maximize"}, "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": 2000}, "trial": {"grace": "2s"}, "env": {"HUB_TOKEN": SECRET},
    }  # fmt: skip
    (lab.place / "one.yaml").write_text(json.dumps(file))
    paths = StudyPaths.at(lab.place / "studies" / "one")
    begun = lab.call("run", "one.yaml", "--detach")
    pids = [int(pid) for pid in re.findall(r"pid (\d+)", begun.stdout)]
    assert len(pids) == 2, begun
    coordinator, supervisor = pids
    supervisor_of(supervisor, paths.supervisor)

    for pid in pids:
        shown = [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
        assert not any(SECRET.encode() in each for each in shown)
    # What a runner is told holds its training's environment, as long as its attempt is open.
    found = (path for path in lab.place.rglob("*") if path.name != "one.yaml" and path.parent != paths.open)
    files = [path for path in found if path.is_file()]
    assert not [path for path in files if SECRET.encode() in (read_bytes(path) or b"")]

    os.kill(coordinator, signal.SIGKILL)
    until(lambda: current_holder(paths.ledger).get("pid") != coordinator, "another coordinator")
    words = paths.run_log.read_text()
    assert "supervisor: its coordinator was ended by SIGKILL: it is begun again in" in words

    os.kill(supervisor, signal.SIGKILL)
    wait_gone(supervisor)
    second = current_holder(paths.ledger)["pid"]
    assert look(paths.root)[0].supervisor is None
    begun = lab.call("run", "one.yaml", "--detach")
    assert f"running in the background (pid {second})" in begun.stdout, begun
    new = live_supervision(paths.supervisor)
    assert new is not None and new.process.pid != supervisor
    seen = look(paths.root)[0].supervisor
    assert seen is not None and seen.pid == new.process.pid

    said = lab.call("stop", "studies/one")
    assert "the search is stopping" in said.stdout, said
    until(lambda: not is_running(new.process) and live_supervision(paths.supervisor) is None, "the supervisor ends")
    wait_gone(second)
