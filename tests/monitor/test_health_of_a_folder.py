"""What a look at a real folder finds of a study's health, and says: silences, locks, hands that it went through."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from outlast._system import nvml
from outlast._system.clock import utc_now
from outlast.config.load import settings_from_resolved
from outlast.core.records import AttemptOpened, RevisionMade, RunStarted, StudyCreated, StudyEnded, TrialCreated
from outlast.engine.record import health_facts, look
from outlast.engine.record.look import Looker
from outlast.study.campaign import Campaign, CampaignPaths, Member, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
from outlast.study.supervision import Charge, Post

FILE = {
    "name": "digits", "command": ["true"], "metric": {"name": "acc", "goal": "maximize"}, "parameters": {"lr": [1, 2]},
    "budget": {"trials": 5},
}  # fmt: skip


class Held:
    """A study that this process holds, with one trial that runs."""

    def __init__(self, folder: Path) -> None:
        self.paths = StudyPaths.at(folder)
        self.lease = Lease(self.paths.lease)
        self.lease.acquire()
        self.ledger, _ = Ledger.claim(self.paths.ledger)
        now = utc_now()
        self.ledger.append(
            [
                StudyCreated("digits", now, study_seed=1),
                RevisionMade(1, now, settings_from_resolved(FILE, str(folder)).resolved),
                RunStarted(now, os.uname().nodename, os.getpid()),
                TrialCreated(0, now, {"lr": 1}),
                AttemptOpened(0, 1, now, "local:0", gpus=("GPU-1",)),
            ]
        )
        self.files = self.paths.attempt(0, 1)
        self.files.folder.mkdir(parents=True)
        for path in (self.files.started, self.files.alive, self.files.log, self.files.reports):
            path.touch()

    def again(self, **about: object) -> None:
        """Another takes it over."""
        self.ledger.close()
        self.ledger, _ = Ledger.claim(self.paths.ledger, about=about)

    def keys(self, looker: Looker | None = None) -> list[str]:
        return [each.key for each in (looker or Looker(self.paths.root)).look()[0].warnings]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    made = Held(tmp_path / "digits")
    yield made
    made.ledger.close()
    made.lease.release()


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_study_in_good_health_says_nothing(held: Held) -> None:
    looker = Looker(held.paths.root)
    assert (held.keys(looker), held.keys(looker)) == ([], [])


def test_a_trial_that_has_not_printed_for_an_hour_is_silent(held: Held) -> None:
    for path in (held.files.started, held.files.log, held.files.reports):
        aged(path, 3600)
    assert held.keys() == ["silent"]
    held.files.log.write_text("epoch 2\n")
    assert held.keys() == []


def test_silence_is_measured_by_the_clock_of_the_files(held: Held) -> None:
    """A file server whose clock is an hour late, and a study in good health."""
    for path in (held.files.started, held.files.log, held.files.reports, held.files.alive, held.paths.lease):
        aged(path, 3600)
    assert held.keys() == []


def test_a_machine_that_slept_was_not_silent(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    finder, since_boot = health_facts.FactFinder(), health_facts._since_boot
    _, study, settings = Looker(held.paths.root).look()
    finder.find(held.paths, study, settings, live=True)
    for path in (held.files.started, held.files.log, held.files.reports):
        aged(path, 3600)
    assert finder.find(held.paths, study, settings, live=True).quiet[0] > 3000
    monkeypatch.setattr(health_facts, "_since_boot", lambda: since_boot() + 3600)
    assert finder.find(held.paths, study, settings, live=True).quiet[0] < 60


def test_a_runner_without_a_heartbeat_is_stale(held: Held) -> None:
    aged(held.files.alive, 90)
    assert held.keys() == ["stale_worker"]
    held.files.started.unlink()
    assert held.keys() == [], "its job waits: nobody has begun it yet"


def test_a_coordinator_without_a_heartbeat_is_said_to_be_silent(held: Held) -> None:
    aged(held.paths.lease, 90)
    assert held.keys() == ["holder_silent"]


def test_a_locked_database_is_seen_in_what_a_trial_prints_and_in_the_runs_own_words(held: Held) -> None:
    held.paths.run_log.write_text("sqlite3.OperationalError: database is locked\n")
    (said,) = Looker(held.paths.root).look()[0].warnings
    held.paths.run_log.write_text(f"warning: {said.text}\n")
    assert held.keys() == [], "what we say of it is no sign of it"
    held.files.log.write_text("...\n(sqlite3.OperationalError) Database is locked\n")
    assert held.keys() == ["database_locked"]
    held.files.log.write_text("epoch 2\n")
    held.paths.run_log.write_text("sqlite3.OperationalError: database is locked\n")
    aged(held.paths.run_log, 3600)
    assert held.keys() == [], "the words of an earlier run"


def test_a_study_that_changes_hands_again_and_again_is_contended(held: Held) -> None:
    for _ in range(3):
        held.again()
    assert held.keys() == []
    held.again()
    assert held.keys() == ["contention"]


def test_tasks_that_take_turns_contend_for_nothing(held: Held) -> None:
    for _ in range(6):
        held.again(turn=True)
    assert held.keys() == []


def test_whoever_runs_it_says_how_many_slots_it_has(held: Held) -> None:
    held.again(slots=3)
    live = Looker(held.paths.root).look()[0].live
    assert live is not None and live.slots == 3


def test_a_study_that_died_is_supervised_while_its_campaigns_supervisor_is_there(held: Held) -> None:
    _, study, settings = Looker(held.paths.root).look()
    campaign, finder = CampaignPaths.at(held.paths.root.parent / "all"), health_facts.FactFinder()
    keep_campaign(campaign.root, Campaign("all", (Member("digits", "../digits"),)))
    post = Post(campaign.supervisor)
    assert post.take()
    post.write((Charge("digits", str(held.paths.root), "running"),))
    assert finder.find(held.paths, study, settings, live=False).supervised
    post.write((Charge("digits", str(held.paths.root), "given up"),))
    assert not finder.find(held.paths, study, settings, live=False).supervised
    post.write((Charge("digits", str(held.paths.root), "running"),))
    post.close()
    assert not finder.find(held.paths, study, settings, live=False).supervised


def test_runs_that_ended_in_order_contend_for_nothing(held: Held) -> None:
    for _ in range(6):
        held.ledger.append([StudyEnded(utc_now(), "stopped", "stopped by hand", 1.0)])
        held.again()
        held.ledger.append([RunStarted(utc_now(), "box", os.getpid())])
    assert held.keys() == []


def test_who_could_not_be_told_is_said(held: Held) -> None:
    letter = {"message": {"event": "finding", "title": "x", "text": "x"}, "at": 0, "left": ["1:ntfy"]}
    held.paths.told.write_text(json.dumps({"letters": [letter], "trouble": {"1:ntfy": "refused"}}))
    assert held.keys() == ["not_told"]
    held.paths.told.write_text("{")
    assert held.keys() == []


def test_a_clock_that_is_set_between_two_looks_is_noticed(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = health_facts.FactFinder()
    _, study, settings = Looker(held.paths.root).look()
    assert finder.find(held.paths, study, settings, live=True).clock_jump is None
    now = time.time
    monkeypatch.setattr(health_facts.time, "time", lambda: now() + 3600)
    jump = finder.find(held.paths, study, settings, live=True).clock_jump
    assert jump is not None and abs(jump - 3600) < 60


def test_a_card_is_idle_for_as_long_as_every_look_found_it_so(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    finder, at, busy = health_facts.FactFinder(), [0.0], [0]
    monkeypatch.setattr(health_facts, "_since_boot", lambda: at[0])
    cards = (nvml.Card("0", "GPU-1", busy=0), nvml.Card("1", "GPU-2", busy=0))
    monkeypatch.setattr(
        nvml, "read_cards", lambda _timeout: nvml.Reading((nvml.Card("0", "GPU-1", busy=busy[0]), cards[1]))
    )
    _, study, settings = Looker(held.paths.root).look()

    def idle(moment: float, percent: int) -> dict[str, float]:
        at[0], busy[0] = moment, percent
        return dict(finder.find(held.paths, study, settings, live=True).idle_cards)

    assert [idle(*each) for each in ((0, 0), (10, 0), (300, 1), (700, 0), (720, 60), (730, 0))] == [
        {}, {"GPU-1": 0.0}, {"GPU-1": 290.0}, {"GPU-1": 690.0}, {"GPU-1": 0.0}, {"GPU-1": 10.0}
    ]  # fmt: skip
    finder.find(held.paths, study, settings, live=False)
    assert idle(9000, 0) == {"GPU-1": 0.0}, "nothing ran meanwhile"


def test_a_kept_trial_trains_since_it_was_opened(held: Held) -> None:
    """It has no folder, and no heartbeat in one."""
    opened = (datetime.now(timezone.utc) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    held.ledger.append([TrialCreated(1, opened, {"lr": 2}), AttemptOpened(1, 1, opened, "kept:0")])
    running = {each.trial: each.seconds for each in Looker(held.paths.root).look()[0].running}
    assert running[1] == pytest.approx(3600, abs=60) and held.keys() == []
    _, study, _ = Looker(held.paths.root).look()
    assert look._trained(held.paths, study) == {0: 0.0}
