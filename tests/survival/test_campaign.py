"""Several studies that one command runs: what happens to one, or to the one who looks after them, is nothing to the others."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from lab.campaign import CampaignLab, hurt
from lab.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CampaignLab]:
    lab = CampaignLab(tmp_path / "place")
    yield lab
    lab.close()


def test_two_finish_exactly_beside_one_that_cannot_start_one_that_breaks_and_supervisors_that_are_killed(
    lab: CampaignLab,
) -> None:
    code = hurt(lab, random.Random(7))
    assert code == 2, lab.said
    for name in lab.good:
        assert lab.verify(name).faults == []
    log = lab.log
    assert "broken: cannot start: camp.yaml" in log
    assert "half: has halted" in log
    assert len(re.findall(r"runs already \(pid \d+\): taken over, not begun again", log)) >= 4
    assert re.search(
        r"share: its coordinator \(pid \d+\) is stopped \(SIGSTOP or Ctrl-Z\): it is ended and replaced", log
    )
    assert re.search(r"joint: its coordinator was ended by SIGKILL|joint: its coordinator is gone", log)
    assert re.search(r"joint: begun again \(pid \d+\)", log)
    ended = next(line for line in lab.log.splitlines() if "half: has halted" in line)[:19]
    told = {(each["study"], each.get("key")): each["told_at"] for each in reversed(lab.told)}
    halted = datetime.fromisoformat(ended).replace(tzinfo=timezone.utc).timestamp()
    assert told["half", "halted"] - halted < 60
    assert ("broken", "not_started") in told
    end = lab.look()
    assert {sight.name: sight.state for sight in end.sights} == {
        "share": "done", "joint": "done", "half": "halted", "broken": "cannot start",
    }  # fmt: skip


def test_a_closed_terminal_is_nothing_to_it_once_asked_it_stops_gracefully_and_twice_at_once(lab: CampaignLab) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    study = {
        "command": [sys.executable, "-S", "-E", "-c", stubborn, "${args}"], "trial": {"grace": "300s"},
        "metric": {"name": "score", "goal": "maximize"}, "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "budget": {"trials": 3}, "parallel": 1,
    }  # fmt: skip
    for name in ("a", "b"):
        (lab.place / f"{name}.yaml").write_text(json.dumps(study))
    run = lab.start("run", "a.yaml", "b.yaml", "--parallel", "2")
    trained = "studies/[ab]/trials/0000/attempts/1/output.log"
    until(lambda: [path.read_text() for path in lab.place.glob(trained)] == ["deaf\n"] * 2, lambda: lab.said)
    log = lab.place / "studies" / "a+b" / "campaign.log"
    for number, words in (
        (signal.SIGHUP, "the terminal was closed: the searches go on"),
        (signal.SIGINT, "stopping: running trials have their grace"),
        (signal.SIGINT, "ending the running trials now"),
    ):
        assert run.poll() is None
        run.send_signal(number)
        until(lambda words=words: words in log.read_text(), words)
    assert run.wait(timeout=60) == 4
    words = log.read_text()
    assert "a: stopped: the same command goes on, 0/3" in words and "b: has stopped" in words


_PATIENT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("training." + sys.argv[1], "a").close()
while not os.path.exists("go"):
    time.sleep(0.02)
print("score: 0.5")
"""


def test_a_study_that_is_still_stopping_is_begun_again_by_whoever_runs_it_since(lab: CampaignLab) -> None:
    commands = {name: [sys.executable, "-S", "-E", "-c", _PATIENT, name, "${args}"] for name in ("patient", "other")}
    studies = {name: {"command": command, "trial": {"grace": "60s"}} for name, command in commands.items()}
    base = json.loads((lab.place / "camp.yaml").read_text())["base"] | {"budget": {"trials": 2}}
    (lab.place / "camp.yaml").write_text(json.dumps({"base": base, "studies": studies}))
    first = lab.start()
    until((lab.place / "training.patient").exists, "a training hears no signal any more")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert lab.call("stop", "studies/camp").returncode == 0
    second = lab.start()
    until(lambda: "patient: is stopping" in lab.log, lambda: lab.log)
    (lab.place / "go").touch()
    assert second.wait(60) == 0, lab.log
