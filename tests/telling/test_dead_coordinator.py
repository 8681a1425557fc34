"""Whoever still lives tells that the process which ran the search is gone, once; and what is told puts no secret anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.study import InBackground, lines_of
from tests.lab.waiting import until, wait_gone
from tests.telling.servers import http_server

from outlast._system.locks import is_locked

pytestmark = pytest.mark.slow

TRAIN = """\
import pathlib, time
print("acc=0.5", flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.02)
"""
TELL = "import sys; open('told.jsonl', 'a').write(sys.stdin.read())"


class Told(InBackground):
    """A search whose findings are written down."""

    def __init__(self, place: Path) -> None:
        self.place, self.running = place, []
        self.environment = {"OUTLAST_TELL_SECONDS": "0.3", "OUTLAST_LEASE_SECONDS": "1"}
        (place / "train.py").write_text(TRAIN)
        self.settings = {
            "name": "digits",
            "command": [sys.executable, "train.py", "${args}"],
            "metric": {"name": "acc", "goal": "maximize", "pattern": "acc=(.*)"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": 2},
            "parallel": 2,
            "notify": {"command": [sys.executable, "-c", TELL]},
        }
        self.write()

    @property
    def told(self) -> list[dict[str, Any]]:
        return lines_of(self.place / "told.jsonl")

    def go(self) -> None:
        (self.place / "go").touch()

    def until_both_train(self) -> None:
        """What is on record of an attempt is so before its runner is started: a coordinator that dies in between leaves none."""
        logs = [self.paths.attempt(trial, 1).log for trial in (0, 1)]
        until(lambda: all(log.exists() and log.read_text() for log in logs), "both train")

    def teller(self) -> int:
        """The process that tells, once it does."""
        until(lambda: is_locked(str(self.paths.telling)), "somebody tells")
        return int(until(lambda: self.paths.telling.read_text().strip(), "who"))


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    yield made
    made.go()
    made.end()


def keys(told: Told) -> list[str]:
    return [each.get("key", each["event"]) for each in told.told]


def test_a_coordinator_killed_during_a_trial_is_told_of_and_the_next_run_tells_how_it_ended(told: Told) -> None:
    run = told.start()
    told.teller()
    told.until_both_train()
    run.kill()
    until(lambda: keys(told) == ["left_alone"], "it is told")
    assert told.told[0]["cure"] == "outlast run study"
    again = told.start()
    told.go()
    assert len(told.finish(again).trials) == 2
    until(lambda: keys(told)[-1:] == ["ended"], "the end is told")
    assert keys(told).count("left_alone") <= 2, "once, and perhaps that it is over"
    assert told.told[-1]["best"]["value"] == 0.5


def test_with_its_teller_dead_as_well_the_runners_notice_and_tell_once(told: Told) -> None:
    run = told.start()
    teller = told.teller()
    told.until_both_train()
    run.kill()
    os.kill(teller, signal.SIGKILL)
    wait_gone(teller)
    until(lambda: keys(told) == ["left_alone"], "a runner has it told")
    told.go()
    until(lambda: not is_locked(str(told.paths.telling)), "everybody who tells has left")
    assert keys(told) == ["left_alone"], "one of two runners"


def test_the_token_of_an_address_is_on_no_record_in_no_log_and_in_no_list_of_processes(told: Told) -> None:
    with http_server() as inbox:
        told.write(notify={"urls": [f"json://127.0.0.1:{inbox.port}/TOPSECRET"], "what": ["begin", "end", "error"]})
        run = told.start()
        teller = told.teller()
        assert b"TOPSECRET" not in Path(f"/proc/{teller}/cmdline").read_bytes()
        assert b"TOPSECRET" not in Path(f"/proc/{teller}/environ").read_bytes()
        told.go()
        told.finish(run)
        until(lambda: inbox.got, "the end is told")
        until(lambda: not is_locked(str(told.paths.telling)), "whoever told it has noted that, and left")
    assert [path for path, _ in inbox.got] == ["/TOPSECRET"]
    subprocess.run(
        [sys.executable, "-m", "outlast", "report", "study"], cwd=told.place, check=True, capture_output=True
    )
    holding = [path.name for path in told.place.rglob("*") if path.is_file() and b"TOPSECRET" in path.read_bytes()]
    assert holding == ["study.yaml"], "the person's own file"
    assert json.loads((told.folder / "told.json").read_text())["letters"] == []


def test_a_dead_server_costs_a_search_nothing_and_what_it_did_not_take_is_kept(told: Told) -> None:
    with http_server() as inbox:
        inbox.refuses = 10**6
        told.write(notify={"urls": [f"json://127.0.0.1:{inbox.port}"], "command": None, "what": ["end"]})
        told.go()
        told.finish(told.start())
        until(lambda: inbox.refuses < 10**6, "it was tried")
        assert inbox.got == []
        os.kill(told.teller(), signal.SIGKILL)
        inbox.refuses = 0
        letters = json.loads((told.folder / "told.json").read_text())["letters"]
        assert [letter["left"] for letter in letters] == [["1:json"]]


def test_a_supervisor_that_is_killed_is_told_of_and_the_next_one_ends_that(told: Told) -> None:
    study = {key: value for key, value in told.settings.items() if key not in ("name", "notify")}
    campaign = {"name": "both", "base": study, "studies": {"a": {}, "b": {}}, "notify": told.settings["notify"]}
    (told.place / "study.yaml").write_text(json.dumps(campaign))
    first = told.start()
    told.teller()
    until(lambda: any(told.place.glob("study/*/open/*")), "one of them runs")
    first.kill()
    until(lambda: keys(told) == ["supervisor_gone"], "it is told")
    second = told.start()
    until(lambda: keys(told)[1:] == ["supervisor_gone"], "it is over")
    assert told.told[1]["event"] == "over"
    told.go()
    assert second.wait(60) == 0
    until(lambda: keys(told)[-1] == "ended", "the end is told")
    assert [each["state"] for each in told.told[-1]["studies"]] == ["done", "done"]
