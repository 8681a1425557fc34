"""What a supervisor makes of requests, signals and trainings that are left, without a coordinator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from outlast._system.clock import utc_now
from outlast._system.processes import identity_of, my_identity
from outlast.cli.running.run_meant import at_rest
from outlast.cli.running.supervising import say_beside
from outlast.config.load import load_study_file
from outlast.core.records import AttemptOpened, RevisionMade, RunStarted, StudyCreated, StudyEnded, TrialCreated
from outlast.core.states import BY_SIGNAL
from outlast.engine.campaign.coordination import Coordination
from outlast.engine.campaign.looked_after import Wanted
from outlast.engine.campaign.orders import Orders
from outlast.engine.campaign.stop_campaign import stop_one
from outlast.engine.campaign.supervisor import Supervisor
from outlast.errors import LedgerDamaged
from outlast.study import requests
from outlast.study.campaign import Campaign, CampaignPaths, Member, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.supervision import Charge, Post, Supervision

AT = "2026-01-05T10:00:00.000+00:00"
SETTINGS = {
    "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 6},
}  # fmt: skip


class Place:
    """A campaign of one study, of which trial 0 still trains, whose coordinator cannot be begun: its log is a folder."""

    def __init__(self, place: Path) -> None:
        self.camp = CampaignPaths.at(place / "camp")
        self.study = StudyPaths.at(place / "camp" / "lab")
        self.said: list[str] = []
        ledger, _ = Ledger.claim(self.study.ledger)
        ledger.append([StudyCreated("lab", AT, study_seed=1), RevisionMade(1, AT, SETTINGS), RunStarted(AT, "box", 1)])
        self.study.attempt(0, 1).folder.mkdir(parents=True)
        ledger.append([TrialCreated(0, AT, {"x": 0.5}), AttemptOpened(0, 1, AT, "plugged:7")])
        ledger.close()
        self.study.run_log.mkdir()
        self.program = "true"
        keep_campaign(self.camp.root, Campaign("camp", (Member("lab", "lab"),), command=("run", "camp.yaml")))
        self.post = Post(self.camp.supervisor)
        assert self.post.take()

    def supervisor(self, before: Supervision | None = None) -> Supervisor:
        """One that has looked after the study for a round."""
        folder, file = str(self.study.root), self.camp.root / "lab.yaml"
        file.write_text(json.dumps(SETTINGS))
        settings = replace(load_study_file(str(file)), command=(self.program,))
        self.orders = Orders(study="lab", settings=settings, folder=folder)
        wanted = Wanted(study="lab", folder=folder, orders=self.orders)
        supervisor = Supervisor(self.post, [wanted], before, lambda _study, text: self.said.append(text))
        supervisor.round()
        return supervisor

    @property
    def is_asked(self) -> bool:
        """Whether the training is."""
        return self.study.attempt(0, 1).asked.exists()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.post.close()


def seen(supervisor: Supervisor) -> tuple[str, bool]:
    return supervisor.charges[0].condition, supervisor.charges[0].asked


@pytest.mark.parametrize(
    ("end", "asked", "trains"),
    [
        (lambda it: it.stop(), True, False),
        (lambda it: it.stop(now=True), True, False),
        (lambda it: it.stop(by_person=False), False, False),
        (lambda it: it.begin_nothing(), True, True),
    ],
)
def test_a_study_that_waits_for_its_restart_leaves_nothing_training_behind_a_stop(
    place: Place, end: Callable[[Supervisor], None], asked: bool, trains: bool
) -> None:
    supervisor = place.supervisor()
    assert seen(supervisor) == ("waiting", False), place.said
    end(supervisor)
    assert seen(supervisor) == ("ended", asked) and supervisor.is_over
    assert place.is_asked is not trains


def test_only_a_request_about_all_of_a_study_ends_it(place: Place) -> None:
    supervisor = place.supervisor()
    requests.drop(place.study, "stop", trial=0)
    supervisor.round()
    assert seen(supervisor) == ("waiting", False)
    supervisor.round()  # its record is known now
    said = stop_one(str(place.study.root))
    assert "it is not begun again, and what still trains of it is asked to stop" in said
    supervisor.round()
    assert seen(supervisor) == ("ended", True) and place.is_asked


@pytest.mark.parametrize(("by_person", "number"), [(True, signal.SIGINT), (False, signal.SIGTERM)])
def test_one_that_runs_is_taken_over_whatever_would_refuse_a_new_one(
    place: Place, by_person: bool, number: int
) -> None:
    with subprocess.Popen(["sleep", "60"]) as running:
        known = Charge("lab", str(place.study.root), condition="running", process=identity_of(running.pid), since=AT)
        place.program = "./gone"
        supervisor = place.supervisor(Supervision(my_identity(), AT, (known,)))
        assert seen(supervisor) == ("running", False), place.said
        supervisor.stop(by_person=by_person)
        assert running.wait(60) == -number
    supervisor.round()
    assert seen(supervisor) == ("ended", by_person)
    assert place.is_asked, "it was ended before it had asked its trainings"


@pytest.mark.parametrize(("ended", "then"), [("stopped", "starting"), ("halted", "ended")])
def test_one_that_has_ended_its_study_and_is_not_gone_yet_is_begun_again_if_a_person_stopped_it(
    place: Place, ended: str, then: str
) -> None:
    with subprocess.Popen(["sleep", "60"]) as leaving:
        known = Charge("lab", str(place.study.root), condition="running", process=identity_of(leaving.pid), since=AT)
        ledger, _ = Ledger.claim(place.study.ledger)
        ledger.append([StudyEnded(utc_now(), ended)])
        ledger.close()
        supervisor = place.supervisor(Supervision(my_identity(), AT, (known,)))
        assert seen(supervisor)[0] == "running", place.said
        assert any("is stopping" in each for each in place.said) is (ended == "stopped"), place.said
        leaving.terminate()
    supervisor.round()
    assert seen(supervisor)[0] == then, place.said


def test_what_cannot_be_mended_by_trying_again_is_an_end_with_its_cure(place: Place) -> None:
    error = LedgerDamaged("decision 3 is missing", cure="outlast repair lab")
    supervisor = Supervisor(
        place.post, [Wanted(study="lab", folder="lab", error=error)], None, lambda _study, text: place.said.append(text)
    )
    supervisor.round()
    assert (supervisor.charges[0].condition, supervisor.charges[0].code) == ("refused", 2)
    assert place.said == ["cannot start: decision 3 is missing\n  outlast repair lab"]


def test_the_last_words_of_a_coordinator_say_what_helps(place: Place) -> None:
    place.supervisor()
    place.study.run_log.rmdir()
    place.study.run_log.write_text(
        "error:  before\nits work\nerror:  it is damaged\n        outlast repair lab\nmore\n"
    )
    assert Coordination(place.orders).last_words() == "it is damaged; outlast repair lab"


def test_words_beside_a_coordinator_s_are_no_sign_of_its_life(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("its own\n")
    before = log.stat().st_mtime_ns - 10**12
    os.utime(log, ns=(before, before))
    say_beside(log, "ours\n")
    assert (log.read_text(), log.stat().st_mtime_ns) == ("its own\nours\n", before)


@pytest.mark.parametrize(
    ("ended", "charge", "rests"),
    [
        (None, None, False),
        (("stopped", "the same command goes on"), None, True),
        (("stopped", BY_SIGNAL), None, False),
        (("paused", "no room"), None, False),
        (("done", ""), None, True),
        (None, Charge("lab", "lab", condition="ended", code=4), False),
        (None, Charge("lab", "lab", condition="ended", code=4, asked=True), True),
        (None, Charge("lab", "lab", condition="running", asked=True), True),
        (None, Charge("lab", "lab", condition="refused", code=2), True),
    ],
)
def test_only_what_is_over_or_a_person_ended_is_left_alone_by_a_clock(
    place: Place, ended: tuple[str, str] | None, charge: Charge | None, rests: bool
) -> None:
    if ended is not None:
        ledger, _ = Ledger.claim(place.study.ledger)
        ledger.append([StudyEnded(utc_now(), *ended)])
        ledger.close()
    known = Supervision(my_identity(), AT, () if charge is None else (charge,))
    assert (at_rest(str(place.study.root), known, "lab") is not None) is rests
